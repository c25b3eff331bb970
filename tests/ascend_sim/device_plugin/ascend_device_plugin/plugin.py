"""The gRPC service that the kubelet calls."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import grpc

from ascend_device_plugin import allocation
from ascend_device_plugin import deviceplugin_pb2 as api
from ascend_device_plugin.deviceplugin_pb2_grpc import DevicePluginServicer

OPTIONS = api.DevicePluginOptions(get_preferred_allocation_available=True)

log = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")


class SimulatedAscend910(DevicePluginServicer):
    """Eight cards; a request that they cannot serve is answered with INVALID_ARGUMENT and the reason."""

    def __init__(self) -> None:
        self._faults: frozenset[str] = frozenset()
        self._changed = asyncio.Condition()

    async def set_faults(self, faults: frozenset[str]) -> None:
        """Report exactly these cards as unhealthy to every kubelet that watches; unknown names are only logged."""
        if faults == self._faults:
            return
        log.info("unhealthy cards: %s", ", ".join(sorted(faults)) or "none")
        if unknown := faults - {*allocation.CARDS}:
            log.error("no such card: %s", ", ".join(sorted(unknown)))
        async with self._changed:
            self._faults = faults
            self._changed.notify_all()

    async def GetDevicePluginOptions(  # noqa: N802 named by the interface, like the three below
        self,
        request: api.Empty,  # noqa: ARG002
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> api.DevicePluginOptions:
        return OPTIONS

    async def ListAndWatch(  # noqa: N802
        self,
        request: api.Empty,  # noqa: ARG002
        context: grpc.aio.ServicerContext,  # noqa: ARG002
    ) -> AsyncIterator[api.ListAndWatchResponse]:
        """Yield all cards now and after each change of their health."""
        log.info("the kubelet watches %s", allocation.RESOURCE)
        while True:
            faults = self._faults
            yield api.ListAndWatchResponse(devices=[_device(card, card in faults) for card in allocation.CARDS])
            async with self._changed:
                await self._changed.wait_for(lambda seen=faults: self._faults != seen)

    async def GetPreferredAllocation(  # noqa: N802
        self, request: api.PreferredAllocationRequest, context: grpc.aio.ServicerContext
    ) -> api.PreferredAllocationResponse:
        return await _answer(context, _preferred, request)

    async def Allocate(  # noqa: N802
        self, request: api.AllocateRequest, context: grpc.aio.ServicerContext
    ) -> api.AllocateResponse:
        return await _answer(context, _allocated, request)


async def _answer(
    context: grpc.aio.ServicerContext, respond: Callable[[Request], Response], request: Request
) -> Response:
    try:
        return respond(request)
    except allocation.AllocationError as error:
        log.warning("refused: %s", error)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _preferred(request: api.PreferredAllocationRequest) -> api.PreferredAllocationResponse:
    response = api.PreferredAllocationResponse()
    for wanted in request.container_requests:
        cards = allocation.preferred(wanted.available_deviceIDs, wanted.must_include_deviceIDs, wanted.allocation_size)
        response.container_responses.add(deviceIDs=cards)
    return response


def _allocated(request: api.AllocateRequest) -> api.AllocateResponse:
    response = api.AllocateResponse()
    for container in request.container_requests:
        envs = allocation.environment(container.devices_ids)
        log.info("allocated ASCEND_VISIBLE_DEVICES=%s", envs["ASCEND_VISIBLE_DEVICES"])
        response.container_responses.add(envs=envs)
    return response


def _device(card: str, faulty: bool) -> api.Device:
    return api.Device(ID=card, health="Unhealthy" if faulty else "Healthy")
