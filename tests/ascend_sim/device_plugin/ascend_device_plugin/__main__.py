"""`python -m ascend_device_plugin`: needs write access to the kubelet's plugin folder, so it runs as root."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc

from ascend_device_plugin.kubelet import run

log = logging.getLogger(__name__)


def arguments(command_line: Sequence[str]) -> argparse.Namespace:
    """Return the checked options; a folder that is absent or not writable ends the program with 2."""
    parser = argparse.ArgumentParser(prog="ascend_device_plugin", description="Simulated Ascend 910 device plugin")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("/var/lib/kubelet/device-plugins"),
        help="where kubelet.sock is",
    )
    parser.add_argument(
        "--faults",
        type=Path,
        default=Path("/run/ascend-sim/faults"),
        help="names unhealthy cards, one a line",
    )
    options = parser.parse_args(command_line)
    if not options.folder.is_dir():
        parser.error(f"--folder={options.folder}: no such folder; give the kubelet's device-plugins folder")
    if not os.access(options.folder, os.W_OK):
        parser.error(f"--folder={options.folder}: not writable; run as root, with the folder mounted writable")
    return options


async def _until_terminated(folder: Path, faults_file: Path) -> None:
    serving = asyncio.create_task(run(folder, faults_file))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main() -> int:
    """Serve until SIGTERM; return 1 after an error that waiting does not cure."""
    options = arguments(sys.argv[1:])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s simulated Ascend 910: %(message)s")
    try:
        asyncio.run(_until_terminated(options.folder, options.faults))
    except grpc.aio.AioRpcError as error:
        log.error("the kubelet refused the registration: %s", error.details())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
