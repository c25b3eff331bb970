"""What the operator counts about itself, and about what becomes of the runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from bertfinetune_operator import __version__
from bertfinetune_operator.api.accelerator import ACCELERATORS
from bertfinetune_operator.api.status import FINISHED
from bertfinetune_operator.contract import EXIT_CLASSES, EXIT_OK
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.kinds import Object
from bertfinetune_operator.telemetry.runs import ACCELERATOR, ObjectsCollector, phase_of, trials_of

PREFIX = "bertfinetune_operator_"

TRIED_AGAIN = (
    *(failure for code, failure in EXIT_CLASSES.items() if code != EXIT_OK),
    *("DeviceNotAllotted", "OOMKilled", "Evicted", "NodeLost", "ImagePull", "Stalled", "Collapsed"),
)
"""Why an attempt may be followed by another one."""

SUCCEEDED = ("Succeeded", "ResultMissing")
FAILED = (*TRIED_AGAIN, "DeadlineExceeded", "PendingDeadlineExceeded", "InvalidSpec")
"""The reasons of the two ends."""

WAITS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Buckets of the time a run waits for its card, in seconds, up to a day."""


class Metrics:
    """The registry, and each metric under the name by which the code counts."""

    def __init__(self, index: Index) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        registry.register(ObjectsCollector(index))
        ProcessCollector(registry=registry)
        info = Gauge(PREFIX + "info", "The operator, always 1.", ["version"], registry=registry)
        info.labels(__version__).set(1)
        self.leader = Gauge(
            PREFIX + "leader", "1 on the replica that leads, 0 on one that stands by.", registry=registry
        )
        self.watch_age = Gauge(
            PREFIX + "watch_age_seconds",
            "Time since the watch of a resource brought an event, a bookmark or its first answer.",
            ["resource"],
            registry=registry,
        )
        self.queue_depth = Gauge(PREFIX + "queue_depth", "Objects waiting for a pass.", registry=registry)
        self.queue_wait = Histogram(
            PREFIX + "queue_wait_seconds", "Time an object waited for its pass.", registry=registry
        )
        self._passes = Counter(
            PREFIX + "reconciles", "Passes over one object by result, success or error.", ["result"], registry=registry
        )
        self._pass_duration = Histogram(
            PREFIX + "reconcile_duration_seconds", "Duration of one pass over one object.", registry=registry
        )
        self._requests = Counter(
            PREFIX + "api_requests",
            "Requests to the API server; code is error where no answer came.",
            ["verb", "code"],
            registry=registry,
        )
        self._request_duration = Histogram(
            PREFIX + "api_request_duration_seconds",
            "Duration of a request to the API server.",
            ["verb"],
            registry=registry,
        )
        self._finished = Counter(
            PREFIX + "finished", "Runs that ended, by phase and one word why.", ["phase", "reason"], registry=registry
        )
        self._retries = Counter(
            PREFIX + "retries",
            "Further attempts and trials, by what ended the one before.",
            ["reason"],
            registry=registry,
        )
        self._collapses = Counter(PREFIX + "collapses", "Trials that learned nothing.", registry=registry)
        self._run_wait = Histogram(
            PREFIX + "run_wait_seconds",
            "Time from a run's creation to the start of its first container: the wait for its card.",
            ["accelerator"],
            buckets=WAITS,
            registry=registry,
        )
        self._begin_at_zero()

    def _begin_at_zero(self) -> None:
        """Make the series that can be foreseen: a counter that is born with the value 1 shows no increase."""
        for result in ("success", "error"):
            self._passes.labels(result)
        for accelerator in ACCELERATORS:
            self._run_wait.labels(accelerator)
        for reason in TRIED_AGAIN:
            self._retries.labels(reason)
        for reason in SUCCEEDED:
            self._finished.labels("Succeeded", reason)
        for reason in FAILED:
            self._finished.labels("Failed", reason)

    @contextmanager
    def reconciling(self, key: Key) -> Iterator[None]:
        """Count the block as a pass over the object of this key; an exemplar names the object of a slow one."""
        began, result = perf_counter(), "error"
        try:
            yield
            result = "success"
        finally:
            self._passes.labels(result).inc()
            self._pass_duration.observe(perf_counter() - began, {"namespace": key.namespace, "uid": key.uid})

    def requested(self, verb: str, code: str, seconds: float) -> None:
        """Count a request to the API server."""
        self._requests.labels(verb, code).inc()
        self._request_duration.labels(verb).observe(seconds)

    def changed(self, before: Object, after: Object) -> None:
        """Count what a write of the status has recorded, from the object before and after it."""
        old, new = before.get("status", {}), after.get("status", {})
        if phase_of(after) in FINISHED and phase_of(before) not in FINISHED:
            self._finished.labels(new["phase"], new["reason"]).inc()
        if "nextAttemptTime" in new and new["nextAttemptTime"] != old.get("nextAttemptTime"):
            self._retries.labels(new["reason"]).inc()
        if collapsed := _collapses(after) - _collapses(before):
            self._collapses.inc(collapsed)
        if "startTime" in new and "startTime" not in old:
            created, started = after["metadata"]["creationTimestamp"], new["startTime"]
            waited = datetime.fromisoformat(started) - datetime.fromisoformat(created)
            self._run_wait.labels(str(ACCELERATOR(after))).observe(waited.total_seconds())


def _collapses(obj: Object) -> int:
    return sum(trial["collapsed"] for trial in trials_of(obj))
