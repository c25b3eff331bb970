"""`python -m ascend_device_plugin`: needs write access to the kubelet's plugin folder, so it runs as root."""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc

from ascend_device_plugin.allocation import CARDS, SHARES
from ascend_device_plugin.kubelet import run
from ascend_device_plugin.plugin import Manners, SimulatedAscend910, SimulatedShares

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
    parser.add_argument("--cards", type=Path, default=Manners.cards, help="where the cards' device files are made")
    parser.add_argument(
        "--driver", choices=["runtime", "hostPath"], default=Manners.driver, help="who gives containers the driver"
    )
    parser.add_argument("--volcano", action="store_true", help="serve only what Ascend's Volcano plugin has placed")
    parser.add_argument(
        "--split",
        type=_split,
        action="append",
        default=[],
        metavar="CARD=TEMPLATE",
        help="a card that npu-smi has split into vNPUs, such as Ascend910-7=2c; may be given again",
    )
    options = parser.parse_args(command_line)
    if not options.folder.is_dir():
        parser.error(f"--folder={options.folder}: no such folder; give the kubelet's device-plugins folder")
    if not os.access(options.folder, os.W_OK):
        parser.error(f"--folder={options.folder}: not writable; run as root, with the folder mounted writable")
    return options


def _split(text: str) -> tuple[str, str]:
    card, _, template = text.partition("=")
    if card not in CARDS or template not in SHARES:
        raise argparse.ArgumentTypeError(f"{text!r}: give {CARDS[0]} to {CARDS[-1]} and one of {', '.join(SHARES)}")
    return card, template


def plugins(manners: Manners, split: Mapping[str, str]) -> list[SimulatedAscend910]:
    """Return one for the whole cards, and one for each template that cards are split into."""
    templates = dict.fromkeys(split.values())
    shares = [SimulatedShares(manners, name, [card for card in split if split[card] == name]) for name in templates]
    return [SimulatedAscend910(manners, split), *shares]


async def _until_terminated(options: argparse.Namespace) -> None:
    manners = Manners(options.cards, options.driver, options.volcano)
    served = plugins(manners, dict(options.split))
    for plugin in served:
        manners.make_device_files(plugin.files())
    serving = asyncio.gather(*(run(plugin, options.folder, options.faults) for plugin in served))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main() -> int:
    """Serve until SIGTERM; return 1 after an error that waiting does not cure."""
    options = arguments(sys.argv[1:])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s simulated Ascend 910: %(message)s")
    try:
        asyncio.run(_until_terminated(options))
    except grpc.aio.AioRpcError as error:
        log.error("the kubelet refused the registration: %s", error.details())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
