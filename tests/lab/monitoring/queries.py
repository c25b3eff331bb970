"""What a dashboard asks Prometheus, and whether the answer can be true: pure functions over its JSON."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import promql_parser as promql

Answer = Mapping[str, Any]
"""As Prometheus answers: resultType and result."""

INFINITE = math.inf
RANGES = {
    "percentunit": (-1, 1),
    "percent": (0, 100),
    "s": (0, 86400),
    "ms": (0, 60_000),
    "suffix:ms": (0, 60_000),
    "suffix:x": (0, 1000),
    "suffix:pairs/s": (0, 100_000),
    "sci": (0, 1),  # a learning rate
    "mbytes": (0, 131_072),
    "bytes": (1, 2**40),
    "watt": (0, 500),
    "celsius": (0, 110),
    "dateTimeAsIso": (1.7e12, 4e12),
    "reqps": (0, 10_000),
    "ops": (0, 10_000),
    "short": (0, 1e6),
    "none": (-INFINITE, INFINITE),
}
"""Plausible values by unit, both ends included; what the panel says of its own minimum and maximum is narrower."""


class Target(NamedTuple):
    """One query of a panel."""

    panel: int
    title: str
    ref: str
    legend: str
    instant: bool
    expr: str
    unit: str
    least: float
    most: float


class Window(NamedTuple):
    """A time range as Grafana knows it, in Unix seconds; `step` between two points, `scrape` between two scrapes."""

    start: float
    end: float
    step: int
    scrape: int

    def variables(self) -> dict[str, str]:
        """Grafana's own variables."""
        return {
            "__interval": f"{self.step}s",
            "__range": f"{math.ceil(self.end - self.start)}s",
            "__rate_interval": f"{max(self.step + self.scrape, 4 * self.scrape)}s",
        }


def targets(dashboard: Mapping[str, Any]) -> Iterator[Target]:
    """All queries of all panels."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            field = _field(panel, target)
            least, most = RANGES.get(field["unit"], (0, INFINITE))
            yield Target(
                panel=panel["id"],
                title=panel["title"],
                ref=target["refId"],
                legend=target.get("legendFormat", ""),
                instant=target.get("instant", False),
                expr=target["expr"],
                unit=field["unit"],
                least=max(least, field.get("min", -INFINITE)),
                most=min(most, field.get("max", INFINITE)),
            )


def _field(panel: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """Unit, minimum and maximum of a query's values: the panel's, and those of the overrides for the query's name."""
    names = {target.get("legendFormat") or None, f"Value #{target['refId']}"}
    for transformation in panel.get("transformations", ()):
        names |= {new for old, new in transformation["options"].get("renameByName", {}).items() if old in names}
    field = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"].get("overrides", ()):
        if override["matcher"]["id"] == "byName" and override["matcher"]["options"] in names:
            field |= {given["id"]: given["value"] for given in override["properties"] if "value" in given}
    return field


def substitute(expr: str, values: Mapping[str, str]) -> str:
    """The query with `$name` and `${name}` replaced; a name without a value is a KeyError."""
    return re.sub(r"\$(?:([a-zA-Z_]\w*)|\{(\w+)\})", lambda found: values[found[1] or found[2]], expr)


def variables(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name and query of each variable that is asked of Prometheus."""
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


def label_values(query: str) -> tuple[str, str]:
    """Selector and label of `label_values(selector, label)`, the only function that our variables use."""
    found = re.fullmatch(r"label_values\((.+),\s*(\w+)\)", query)
    if not found:
        raise ValueError(f"{query!r} is not label_values(selector, label)")
    return found[1], found[2]


def selectors(expr: str) -> list[promql.VectorSelector]:
    """All that a query selects."""
    found: list[promql.VectorSelector] = []

    def enter(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.append(node)

    promql.walk(promql.parse(expr), enter)
    return found


def series(expr: str) -> set[str]:
    """The series that a query is made of, whether or not its answer shows that some are missing."""
    return {f"{node.name or ''}{node.matchers}" for node in selectors(expr)}  # a matcher of __name__ may be the name


def numbers(answer: Answer) -> list[float]:
    """All values that are numbers; a gap is none."""
    if answer["resultType"] == "matrix":
        points = [point for series in answer["result"] for point in series["values"]]
    else:
        points = [series["value"] for series in answer["result"]]
    return [value for _, text in points if not math.isnan(value := float(text))]


def implausible(target: Target, answer: Answer) -> list[float]:
    """The values that are infinite, or outside of what the panel can mean."""
    return [value for value in numbers(answer) if not math.isfinite(value) or not target.least <= value <= target.most]
