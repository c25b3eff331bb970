"""`python -m lab.ascend.npu_exporter`: serve the cards of this node; needs the kubelet's socket, so it runs as root."""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lab.ascend.npu_exporter import cards, kubelet


class Node(Collector):
    """The node's cards at the moment of the scrape, which fails where the kubelet does not answer."""

    def __init__(self, socket: Path, faults: Path) -> None:
        self._socket = socket
        self._faults = faults

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: the registry would call collect() at the start, and the kubelet may start later."""
        yield from ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        faults = {*self._faults.read_text().split()} if self._faults.exists() else set()
        return cards.families(kubelet.holders(self._socket), faults, time.time())


def main() -> None:
    parser = argparse.ArgumentParser(prog="lab.ascend.npu_exporter", description="Simulated npu-exporter")
    parser.add_argument(
        "--pod-resources", type=Path, default=Path("/var/lib/kubelet/pod-resources/kubelet.sock"), help="the kubelet's"
    )
    parser.add_argument(
        "--faults", type=Path, default=Path("/run/ascend-sim/faults"), help="names unhealthy cards, one a line"
    )
    parser.add_argument("--address", default="127.0.0.1", help="to listen on")
    parser.add_argument("--port", type=int, default=8082, help="to listen on")
    options = parser.parse_args()
    registry = CollectorRegistry()
    registry.register(Node(options.pod_resources, options.faults))
    server, thread = start_http_server(options.port, options.address, registry)
    print(f"simulated Ascend 910: cards at http://{options.address}:{server.server_port}/metrics", flush=True)
    thread.join()


if __name__ == "__main__":
    main()
