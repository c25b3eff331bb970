"""What the benchmark's result must keep to: a pure check of its JSON."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import eq, ge, le, lt
from typing import Any

from lab.bench.operator.record import Record

BASE = "00fbb54"
"""The commit whose recorded run a result is compared with: the last one at which kopf saw no object (ADR 23)."""

MEMORY_GOAL_OBJECTS = 2000
"""The goal for memory is one for this many objects or fewer; beyond it the growth per object counts."""


@dataclass(frozen=True)
class Goal:
    """A field of the result and the bound that it must keep."""

    field: str
    symbol: str
    bound: float
    most_objects: int | None = None

    def is_met(self, value: float) -> bool:
        return COMPARISONS[self.symbol](value, self.bound)


COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {"<=": le, ">=": ge, "<": lt, "==": eq}
GOALS = (
    Goal("rss_mb", "<=", 110.0, MEMORY_GOAL_OBJECTS),
    Goal("growth_kb_per_object", "<=", 20.0),
    Goal("writes_per_object", "<=", 4.0),
    Goal("restart_writes", "==", 0.0),
    Goal("scrape_seconds", "<=", 0.2),
)


MOST_OF_BASE: Mapping[str, float] = {"cpu_ms_per_object": 1.25, "floor_ratio": 1.05, "writes_per_object": 1.01}
"""Most that a field may be, as a multiple of what it was in the base's run on the same kind of machine."""


def base_of(machine: str, n: int, records: Iterable[Record]) -> Mapping[str, Any] | None:
    """The figures of the base's newest run with as many objects on such a machine, or None.

    Args:
        machine: the machine as a record names it: facts divided by commas, of which the load before the start is last.
        n: the number of objects.
        records: all that were kept, the newest last.
    """
    kind = machine.rpartition(", ")[0]
    runs = [run.figures for run in records if (run.commit, run.n) == (BASE, n) and run.machine.startswith(kind)]
    return runs[-1] if runs else None


def missed(result: Mapping[str, Any], base: Mapping[str, Any] | None) -> list[str]:
    """A sentence for every goal that the result misses; what was not measured (null) misses none."""
    sentences = []
    for goal in GOALS:
        value = result[goal.field]
        if value is None or (goal.most_objects is not None and result["n"] > goal.most_objects):
            continue
        if not goal.is_met(value):
            sentences.append(f"{goal.field} is {value}, the goal is {goal.symbol} {goal.bound:g}")
    if base:
        sentences += [
            f"{field} is {result[field]}, the goal is <= {factor:g} x {base[field]} of {BASE}"
            for field, factor in MOST_OF_BASE.items()
            if result[field] > factor * base[field]
        ]
    return sentences
