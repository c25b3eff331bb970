"""What the benchmark's result must keep to: a pure check of its JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import eq, ge, le, lt
from typing import Any

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
    Goal("peer_time_ratio", ">=", 3.0),
    Goal("peer_cpu_ratio", ">=", 1.5),
    Goal("rss_mb", "<=", 110.0, MEMORY_GOAL_OBJECTS),
    Goal("growth_kb_per_object", "<", 15.0),
    Goal("writes_per_object", "<=", 4.0),
    Goal("restart_writes", "==", 0.0),
    Goal("scrape_seconds", "<=", 0.2),
)


def missed(result: Mapping[str, Any]) -> list[str]:
    """A sentence for every goal that the result misses; what was not measured (null) misses none."""
    sentences = []
    for goal in GOALS:
        value = result[goal.field]
        if value is None or (goal.most_objects is not None and result["n"] > goal.most_objects):
            continue
        if not goal.is_met(value):
            sentences.append(f"{goal.field} is {value}, the goal is {goal.symbol} {goal.bound:g}")
    return sentences
