"""What was measured, as plain values."""

from collections import Counter
from dataclasses import dataclass

from lab.bench.operator import audit
from lab.bench.operator.audit import Call


@dataclass(frozen=True)
class Process:
    """What a controller's process took from before the first object until it was quiet again."""

    cpu_seconds: float
    first_mb: float
    """Resident memory before the first object."""
    peak_mb: float
    requests: Counter[Call]

    @property
    def writes(self) -> int:
        return audit.writes(self.requests)


@dataclass(frozen=True)
class Restart:
    """What a new process did over objects that were all finished."""

    ready_seconds: float
    cpu_seconds: float
    resident_mb: float
    requests: Counter[Call]

    @property
    def writes(self) -> int:
        return audit.writes(self.requests)


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

    latencies_ms: list[float]
    """From the arrival of each object to its stored Job."""
    scrape: Scrape
    restart: Restart


@dataclass(frozen=True)
class Results:
    """All contenders of one benchmark."""

    floor: Run
    ours: OurRun
    peer: ControlledRun | None
    """None if it was left out."""

    @property
    def runs(self) -> dict[str, Run]:
        """By the name that the tables show."""
        named: dict[str, Run | None] = {"bare Jobs": self.floor, "ours": self.ours, "training-operator": self.peer}
        return {name: run for name, run in named.items() if run}

    @property
    def controlled(self) -> dict[str, ControlledRun]:
        return {name: run for name, run in self.runs.items() if isinstance(run, ControlledRun)}
