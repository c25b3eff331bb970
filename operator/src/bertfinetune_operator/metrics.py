"""The operator's own metrics, and the objects' numbers read from the in-memory index when somebody asks."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bertfinetune_operator.index import Index
from bertfinetune_operator.observe import Object
from bertfinetune_operator.status import FINISHED

MAX_OBJECTS = 2000
"""Objects with series of their own: the unfinished ones first, then the newest. The others are counted only."""

LABELS = ("namespace", "name")
GAUGES: tuple[tuple[str, str, tuple[str, str], float], ...] = (
    ("bertfinetune_accuracy", "Accuracy on the evaluation set, 0 to 1.", ("result", "accuracy"), 1),
    ("bertfinetune_f1", "F1 score on the evaluation set, 0 to 1.", ("result", "f1"), 1),
    ("bertfinetune_ms_per_step", "Mean duration of a training step in milliseconds.", ("progress", "msPerStep"), 1),
    ("bertfinetune_progress_ratio", "Share of the training steps done, 0 to 1.", ("progress", "percent"), 100),
)


class Metrics:
    """Everything the operator counts about itself."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.reconcile_duration = Histogram(
            "bertfinetune_operator_reconcile_duration_seconds",
            "Duration of one pass over one object.",
            registry=self.registry,
        )
        self.queue_depth = Gauge(
            "bertfinetune_operator_queue_depth", "Objects waiting for a pass.", registry=self.registry
        )
        self.api_requests = Counter(
            "bertfinetune_operator_api_requests",
            "Requests to the API server.",
            ["verb", "code"],
            registry=self.registry,
        )
        self.leader = Gauge(
            "bertfinetune_operator_leader",
            "1 on the replica that leads, 0 on one that stands by.",
            registry=self.registry,
        )
        self.watch_age = Gauge(
            "bertfinetune_operator_watch_age_seconds",
            "Time since the watch of a resource brought an event, a bookmark or its first answer.",
            ["resource"],
            registry=self.registry,
        )


class ObjectsCollector(Collector):
    """The BertFinetunes' series: a scrape reads the index only, and is bounded however many objects there are."""

    def __init__(self, index: Index, max_objects: int = MAX_OBJECTS) -> None:
        self._index = index
        self._max_objects = max_objects

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families, for the registry."""
        objects = list(self._index.objects())
        shown = sorted(objects, key=_unfinished_then_newest, reverse=True)[: self._max_objects]
        for name, text, (part, key), divisor in GAUGES:
            family = GaugeMetricFamily(name, text, labels=LABELS)
            for labels, value in _values(shown, part, key):
                family.add_metric(labels, value / divisor)
            yield family
        phases = GaugeMetricFamily("bertfinetunes", "BertFinetunes by phase.", labels=("namespace", "phase"))
        for labels, count in Tally((obj["metadata"]["namespace"], _phase(obj)) for obj in objects).items():
            phases.add_metric(labels, count)
        yield phases
        dropped = "BertFinetunes without series of their own, because there are too many."
        yield GaugeMetricFamily("bertfinetune_series_dropped", dropped, value=len(objects) - len(shown))


def _values(objects: Iterable[Object], part: str, key: str) -> Iterator[tuple[tuple[str, str], float]]:
    for obj in objects:
        value: Any = obj.get("status", {}).get(part, {}).get(key)
        if value is not None:
            yield itemgetter("namespace", "name")(obj["metadata"]), value


def _phase(obj: Object) -> str:
    return str(obj.get("status", {}).get("phase", "Pending"))


def _unfinished_then_newest(obj: Object) -> tuple[bool, str]:
    return _phase(obj) not in FINISHED, obj["metadata"].get("creationTimestamp", "")
