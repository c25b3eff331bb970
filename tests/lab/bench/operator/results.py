"""What was measured, as plain values."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
TITLES = {"training-operator": "training-operator", "trainer": "Kubeflow Trainer"}
"""The peers' names in the tables."""
Requests = Counter[str]
"""How often each call was made, by verb and resource, as in "patch bertfinetunes/status"."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least this share of the values do not exceed."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]


def writes(requests: Requests) -> int:
    """How many of the requests change something."""
    return sum(number for call, number in requests.items() if call.split()[0] in WRITES)


@dataclass(frozen=True)
class Process:
    """What a controller's process, or all of them, took from before the first object until they were quiet again."""

    cpu_seconds: float
    first_mb: float
    """Resident memory before the first object."""
    peak_mb: float
    requests: Requests

    @property
    def writes(self) -> int:
        return writes(self.requests)


@dataclass(frozen=True)
class Restart:
    """What a new process did over objects that were all finished."""

    ready_seconds: float
    cpu_seconds: float
    resident_mb: float
    requests: Requests

    @property
    def writes(self) -> int:
        return writes(self.requests)


@dataclass(frozen=True)
class Scrape:
    """A scrape of the metrics, all objects finished."""

    seconds: float
    megabytes: float
    longest_wait_seconds: float
    """The longest that another request to the process waited for its answer meanwhile."""


@dataclass(frozen=True)
class Run:
    """One contender; bare Jobs have no process of their own to measure."""

    count: int
    created_seconds: float
    seconds: float
    """From the first create to the last one done."""
    programs: dict[str, float]
    """CPU seconds of the control plane's programs meanwhile."""


@dataclass(frozen=True)
class ControlledRun(Run):
    """A contender with a controller."""

    process: Process

    @property
    def cpu_ms(self) -> float:
        """CPU of the controller, in milliseconds an object."""
        return 1000 * self.process.cpu_seconds / self.count

    @property
    def growth_kb(self) -> float:
        """Memory that the controller took for each object."""
        return 1000 * (self.process.peak_mb - self.process.first_mb) / self.count


@dataclass(frozen=True)
class OurRun(ControlledRun):
    """Ours, of which more is asked."""

    median_ms: float
    """From the arrival of an object to its stored Job."""
    p99_ms: float
    scrape: Scrape
    restart: Restart


@dataclass(frozen=True)
class Results:
    """All contenders of one benchmark."""

    floor: Run
    ours: OurRun
    peers: dict[str, ControlledRun]
    """By the word that chooses them."""

    @property
    def runs(self) -> dict[str, Run]:
        """By the name that the tables show."""
        return {"bare Jobs": self.floor, "ours": self.ours} | {TITLES[name]: run for name, run in self.peers.items()}

    @property
    def controlled(self) -> dict[str, ControlledRun]:
        return {name: run for name, run in self.runs.items() if isinstance(run, ControlledRun)}
