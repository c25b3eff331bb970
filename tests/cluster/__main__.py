"""``python -m cluster up|down|images``: what ``make cluster-up``, ``cluster-down`` and ``images`` run."""

import argparse
import sys

from cluster import images, local
from cluster.errors import ClusterError
from cluster.layout import KUBECONFIG


def main() -> int:
    parser = argparse.ArgumentParser(prog="cluster", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "images"))
    command = parser.parse_args().command
    try:
        if command == "up":
            local.up()
            print(f"export KUBECONFIG={KUBECONFIG}")
        elif command == "down":
            print("cluster is down" if local.down() else "no cluster was running")
        else:
            for image in (images.OPERATOR, images.TRAINER, images.TRAINER_ASCEND_SIM, images.DEVICE_PLUGIN_SIM):
                images.build(image)
                print(image.reference())
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
