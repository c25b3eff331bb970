"""``python -m release images|bundle|chart``: what ``make images``, ``make bundle`` and ``make chart-package`` run."""

import argparse
import platform
import sys
from pathlib import Path

from cluster.errors import exit_code
from release import builder, bundle, chart, shipped


def run(arguments: argparse.Namespace) -> None:
    """Package the chart, or build the images and, for a bundle, pack them with the chart and all else."""
    if arguments.command == "chart":
        print(chart.package(arguments.output))
        return
    images = shipped.chosen(arguments.ascend_base, platform.machine())
    made = shipped.ship(images, builder.choose(), arguments.output / "images")
    print(shipped.table(made), flush=True)
    if arguments.command == "bundle":
        archive = bundle.make(made, arguments.output)
        print(f"{archive}  {archive.stat().st_size / 1e6:.0f} MB")


def main() -> int:
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("command", choices=["images", "bundle", "chart"])
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--ascend-base", help="Ascend Hub's image, to build the trainer for Ascend 910 on")
    arguments = parser.parse_args()
    return exit_code(lambda: run(arguments), interrupted="the same command continues")


if __name__ == "__main__":
    sys.exit(main())
