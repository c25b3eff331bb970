"""``python -m lab.images demo|images|bundle|chart``: the demo's images, and what ships."""

import argparse
import platform
import sys
from pathlib import Path

from lab.cluster.errors import exit_code
from lab.images import builder, bundle, chart, images, shipped


def run(arguments: argparse.Namespace) -> None:
    """Build the demo's images, package the chart, or build what ships and, for a bundle, pack it with all else."""
    if arguments.command == "demo":
        for image in (images.OPERATOR, images.TRAINER_ASCEND_SIM, images.DEVICE_PLUGIN_SIM):
            images.build(image)
        return
    if arguments.command == "chart":
        print(chart.package(arguments.output))
        return
    chosen = shipped.chosen(arguments.ascend_base, platform.machine())
    made = shipped.ship(chosen, builder.choose(), arguments.output / "images")
    print(shipped.table(made), flush=True)
    if arguments.command == "bundle":
        archive = bundle.make(made, arguments.output)
        print(f"{archive}  {archive.stat().st_size / 1e6:.0f} MB")


def main() -> int:
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("command", choices=["demo", "images", "bundle", "chart"])
    parser.add_argument(
        "--output", type=Path, help="folder to write to; not for the demo, whose images stay in the store"
    )
    parser.add_argument("--ascend-base", help="Ascend Hub's image, to build the trainer for Ascend 910 on")
    arguments = parser.parse_args()
    return exit_code(lambda: run(arguments), interrupted="the same command continues")


if __name__ == "__main__":
    sys.exit(main())
