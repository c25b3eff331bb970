"""``python -m lab.cluster up|down``: what ``make cluster-up`` and ``cluster-down`` run."""

import argparse
import sys

from lab.cluster import local
from lab.cluster.errors import exit_code
from lab.cluster.layout import KUBECONFIG


def up() -> None:
    local.up()
    print(f"export KUBECONFIG={KUBECONFIG}")


def down() -> None:
    print("cluster is down" if local.down() else "no cluster was running")


COMMANDS = {"up": up, "down": down}


def main() -> int:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    return exit_code(COMMANDS[parser.parse_args().command], interrupted="the same command continues")


if __name__ == "__main__":
    sys.exit(main())
