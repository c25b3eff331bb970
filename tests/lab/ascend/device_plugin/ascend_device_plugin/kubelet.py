"""Keeping the plugin registered: at start, and again whenever the kubelet has restarted."""

import asyncio
import logging
from pathlib import Path

import grpc

from ascend_device_plugin import deviceplugin_pb2 as api
from ascend_device_plugin.deviceplugin_pb2_grpc import RegistrationStub, add_DevicePluginServicer_to_server
from ascend_device_plugin.plugin import OPTIONS, SimulatedAscend910

API_VERSION = "v1beta1"
KUBELET = "kubelet.sock"
OWN_CONNECTION = (("grpc.use_local_subchannel_pool", 1),)  # a pooled one may lead to the kubelet before this one
POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


async def run(plugin: SimulatedAscend910, folder: Path, faults_file: Path) -> None:
    """Serve a plugin on a socket in `folder` beside the kubelet's until cancelled.

    A kubelet that starts empties the folder and makes a new socket; plugins have to watch for that. `faults_file` names
    the unhealthy cards, one a line; without the file all are healthy.

    Raises:
        grpc.aio.AioRpcError: the kubelet refused the registration.
        RuntimeError: the socket cannot be made in the folder.
    """
    waiting = False
    while True:
        kubelet = _identity(folder / KUBELET)
        # Only a socket made after the kubelet's is safe from its cleaning.
        if kubelet and await _serve(plugin, folder, kubelet, faults_file):
            log.info("the kubelet's socket changed: registering again")
            waiting = False
            continue
        if not waiting:
            log.warning("no kubelet answers at %s: waiting for it", folder / KUBELET)
            waiting = True
        await asyncio.sleep(POLL_SECONDS)


async def _serve(plugin: SimulatedAscend910, folder: Path, kubelet: tuple[int, int], faults_file: Path) -> bool:
    """Serve this kubelet until it is replaced; return False if it does not answer."""
    server = grpc.aio.server()
    add_DevicePluginServicer_to_server(plugin, server)
    socket = folder / _endpoint(plugin)
    server.add_insecure_port(f"unix:{socket}")  # in place of a socket that a killed plugin left
    await server.start()
    try:
        if not await _register(plugin, folder):
            return False
        while _identity(folder / KUBELET) == kubelet and socket.exists():
            await plugin.set_faults(_faults(faults_file))
            await asyncio.sleep(POLL_SECONDS)
        return True
    finally:
        await server.stop(grace=None)


def _endpoint(plugin: SimulatedAscend910) -> str:
    """The name of its socket, as `Ascend910.sock`."""
    return plugin.resource.rpartition("/")[2] + ".sock"


async def _register(plugin: SimulatedAscend910, folder: Path) -> bool:
    request = api.RegisterRequest(
        version=API_VERSION, endpoint=_endpoint(plugin), resource_name=plugin.resource, options=OPTIONS
    )
    try:
        async with grpc.aio.insecure_channel(f"unix:{folder / KUBELET}", OWN_CONNECTION) as channel:
            await RegistrationStub(channel).Register(request, timeout=5)
    except grpc.aio.AioRpcError as error:
        if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
            return False
        raise
    log.info("registered %d devices as %s", len(plugin.devices), plugin.resource)
    return True


def _faults(file: Path) -> frozenset[str]:
    try:
        return frozenset(file.read_text().split())
    except FileNotFoundError:
        return frozenset()


def _identity(socket: Path) -> tuple[int, int] | None:
    try:
        status = socket.stat()
    except FileNotFoundError:
        return None
    # A file system may give the number of a deleted inode to the next file, so the time belongs to it.
    return status.st_ino, status.st_ctime_ns
