"""Two Prometheus servers that watch the season from its beginning, and the cards' exporter beside the cluster."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from lab.demo.target import Target
from lab.monitoring import discovery, npu, prometheus
from lab.monitoring.prometheus import Prometheus

# Two ways to scrape: as the chart's example says, and as one of several clusters without honorLabels for the cards.
ALONE, SHARED = "alone", "shared"
CLUSTER = "east"


class Watchers(NamedTuple):
    """The servers by name, since when they watch, and the file that names the cards with a fault."""

    servers: Mapping[str, Prometheus]
    start: float
    faults: Path


@contextmanager
def watching(target: Target, folder: Path) -> Iterator[Watchers]:
    """Watch all pods of the cluster until the block ends."""
    with ExitStack() as running:
        faults = folder / "faults"
        running.enter_context(npu.exporter(faults))

        def pods() -> list[discovery.Pod]:
            return [npu.POD, *target.kubectl.get("pods", "--all-namespaces")["items"]]

        jobs = prometheus.jobs(running.enter_context(discovery.serve(pods)))
        servers = {}
        for name, scrape_configs in ((ALONE, jobs), (SHARED, prometheus.of_one_cluster(jobs, CLUSTER))):
            (folder / name).mkdir()
            servers[name] = running.enter_context(prometheus.serve(folder / name, scrape_configs))
        yield Watchers(servers, time.time(), faults)
