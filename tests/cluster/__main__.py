"""``python -m cluster up|down|images``: what ``make cluster-up``, ``cluster-down`` and ``images`` run."""

import argparse
import sys

from cluster import images, local
from cluster.errors import exit_code
from cluster.layout import KUBECONFIG


def up() -> None:
    local.up()
    print(f"export KUBECONFIG={KUBECONFIG}")


def down() -> None:
    print("cluster is down" if local.down() else "no cluster was running")


def build() -> None:
    for image in (images.OPERATOR, images.TRAINER, images.TRAINER_ASCEND_SIM, images.DEVICE_PLUGIN_SIM):
        images.build(image)
        print(image.reference())


COMMANDS = {"up": up, "down": down, "images": build}


def main() -> int:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    return exit_code(COMMANDS[parser.parse_args().command], interrupted="the same command continues")


if __name__ == "__main__":
    sys.exit(main())
