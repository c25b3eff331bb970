"""The gRPC service that the kubelet calls."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import grpc

from ascend_device_plugin import allocation
from ascend_device_plugin import deviceplugin_pb2 as api
from ascend_device_plugin.deviceplugin_pb2_grpc import DevicePluginServicer

OPTIONS = api.DevicePluginOptions(get_preferred_allocation_available=True)

log = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")


OWNERS = 1000  # HwHiAiUser's group, as the driver's installer makes it
MODE = 0o660


@dataclass(frozen=True)
class Manners:
    """How the plugin is set up."""

    cards: Path = Path("/run/ascend-sim-cards")
    """Where the files stand on the node that containers get as /dev/davinci0 and so on."""
    driver: Literal["runtime", "hostPath"] = "runtime"
    """With ascend-docker-runtime (-useAscendDocker=true) a container gets ASCEND_VISIBLE_DEVICES, else it does not."""
    volcano: bool = False
    """Whether Allocate serves only pods that Ascend's Volcano plugin has marked (-volcanoType=true), so none of ours;
    who gets all cards of a node, or a vNPU, needs no mark."""

    def make_device_files(self, names: Iterable[str]) -> None:
        """Make device files, which only their owner and its group may open."""
        self.cards.mkdir(parents=True, exist_ok=True)
        for name in names:
            path = self.cards / name
            path.touch()
            path.chmod(MODE)
            os.chown(path, -1, OWNERS)


class SimulatedAscend910(DevicePluginServicer):
    """The cards that are not split; what they cannot serve is answered with INVALID_ARGUMENT and the reason."""

    resource = allocation.RESOURCE
    options, file = "", "davinci"
    """ASCEND_RUNTIME_OPTIONS of its containers, and how the devices' files are called on the node."""

    def __init__(self, manners: Manners, split: Iterable[str] = ()) -> None:
        self._manners = manners
        self.devices = {card: card for card in allocation.CARDS if card not in {*split}}
        """The card that each device is, or is a share of."""
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
        """Yield all devices now and after each change of their cards' health."""
        log.info("the kubelet watches %s", self.resource)
        while True:
            faults = self._faults
            yield api.ListAndWatchResponse(devices=[_device(*each, faults) for each in self.devices.items()])
            async with self._changed:
                await self._changed.wait_for(lambda seen=faults: self._faults != seen)

    async def GetPreferredAllocation(  # noqa: N802
        self, request: api.PreferredAllocationRequest, context: grpc.aio.ServicerContext
    ) -> api.PreferredAllocationResponse:
        return await _answer(context, self._preferred, request)

    async def Allocate(  # noqa: N802
        self, request: api.AllocateRequest, context: grpc.aio.ServicerContext
    ) -> api.AllocateResponse:
        if self._manners.volcano and any(self.needs_mark(each.devices_ids) for each in request.container_requests):
            log.warning("refused: no pod carries the annotation of Ascend's Volcano plugin")
            await context.abort(grpc.StatusCode.UNKNOWN, "not get valid pod")
        return await _answer(context, self._allocated, request)

    def _preferred(self, request: api.PreferredAllocationRequest) -> api.PreferredAllocationResponse:
        response = api.PreferredAllocationResponse()
        for wanted in request.container_requests:
            available, required = wanted.available_deviceIDs, wanted.must_include_deviceIDs
            response.container_responses.add(deviceIDs=self.prefer(available, required, wanted.allocation_size))
        return response

    def _allocated(self, request: api.AllocateRequest) -> api.AllocateResponse:
        response = api.AllocateResponse()
        for container in request.container_requests:
            numbers = self.numbers(container.devices_ids)
            log.info("allocated %s of %s", numbers, self.resource)
            visible = ",".join(map(str, numbers))
            envs = {"ASCEND_VISIBLE_DEVICES": visible, "ASCEND_RUNTIME_OPTIONS": self.options}
            files = zip(allocation.device_files(numbers), allocation.device_files(numbers, self.file), strict=True)
            response.container_responses.add(
                envs=envs if self._manners.driver == "runtime" else {},
                mounts=[
                    api.Mount(container_path=f"/dev/{name}", host_path=str(self._manners.cards / source))
                    for name, source in files
                ],
            )
        return response

    def files(self) -> list[str]:
        """Return the names of the device files that the node has for them."""
        return allocation.device_files([self.numbers([name])[0] for name in self.devices], self.file)

    def prefer(self, available: Sequence[str], required: Sequence[str], size: int) -> list[str]:
        return allocation.preferred(available, required, size)

    def numbers(self, names: Sequence[str]) -> list[int]:
        return allocation.numbers_of(names)

    def needs_mark(self, names: Sequence[str]) -> bool:
        return len(names) < len(allocation.CARDS)


class SimulatedShares(SimulatedAscend910):
    """The vNPUs of one template, of the cards that are split into such."""

    options, file = "VIRTUAL", "vdavinci"

    def __init__(self, manners: Manners, template: str, split: Iterable[str]) -> None:
        super().__init__(manners)
        self.resource = f"{allocation.RESOURCE}-{template}"
        self.devices = {share: card for card in split for share in allocation.shares(card, template)}

    def prefer(self, available: Sequence[str], required: Sequence[str], size: int) -> list[str]:
        """Return the lowest ids: the plugin of Volcano that packs shares onto few cards is absent."""
        return [*required, *sorted(set(available) - set(required))][:size]

    def numbers(self, names: Sequence[str]) -> list[int]:
        return [allocation.number_of_share(names)]

    def needs_mark(self, names: Sequence[str]) -> bool:  # noqa: ARG002
        return False


async def _answer(
    context: grpc.aio.ServicerContext, respond: Callable[[Request], Response], request: Request
) -> Response:
    try:
        return respond(request)
    except allocation.AllocationError as error:
        log.warning("refused: %s", error)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _device(name: str, card: str, faults: frozenset[str]) -> api.Device:
    return api.Device(ID=name, health="Unhealthy" if card in faults else "Healthy")
