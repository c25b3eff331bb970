"""The numbers of the BertFinetunes, read from the in-memory index when somebody scrapes. No request is made in here."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from bertfinetune_operator.api.status import FINISHED
from bertfinetune_operator.informer.index import Index
from bertfinetune_operator.kinds import Object

MAX_OBJECTS = 1000
"""Objects with series of their own, some fifteen each: the unfinished ones first, then the newest. The others are
counted only. It bounds what Prometheus stores and the time of a scrape, a tenth of a second on one core."""

OF_OBJECT = ("namespace", "name")

WAITING = ("Pending", "Queued", "Retrying")
"""Phases in which a run waits for its pod to start."""
BEFORE_WAITING = ("Running", "Suspended")
"""Conditions that end when a run begins to wait again."""

Samples = Iterable[tuple[tuple[str, ...], float]]
"""For each series the values of the metric's own labels, and the number."""


class ObjectMetric(NamedTuple):
    """A gauge that has series for each object."""

    name: str
    help: str
    read: Callable[[Object], Samples]
    """An object's series; none where the number is not known."""
    labels: tuple[str, ...] = ()
    """Labels after those of the object."""


def _at(*path: str) -> Callable[[Object], Any]:
    """Reads what is at the end of a path of keys, or None: an object of another version must not break the scrape."""

    def read(obj: Object) -> Any:
        value: Any = obj
        for key in path:
            value = value.get(key)
            if value is None:
                return None
        return value

    return read


TASK = _at("spec", "task")
MODEL = _at("spec", "model", "name")
ACCELERATOR = _at("spec", "accelerator", "type")
DEVICES = _at("spec", "accelerator", "devicesPerWorker")


def _number(*path: str) -> Callable[[Object], Samples]:
    read = _at(*path)
    return lambda obj: () if (value := read(obj)) is None else [((), value)]


def _time(*path: str) -> Callable[[Object], Samples]:
    read = _at(*path)
    return lambda obj: [((), datetime.fromisoformat(time).timestamp())] if (time := read(obj)) else ()


LOTS_RAISED = _at("status", "gradientAccumulationSteps")
LOTS_GIVEN = _at("spec", "training", "gradientAccumulationSteps")

KIND = {
    "task": TASK,
    "model": MODEL,
    "accelerator": ACCELERATOR,
    "virtual_device": _at("spec", "accelerator", "virtualDevice"),
    "devices": DEVICES,
    "train_batch_size": _at("spec", "training", "trainBatchSize"),
    "gradient_accumulation_steps": lambda obj: LOTS_RAISED(obj) or LOTS_GIVEN(obj),
    "max_seq_length": _at("spec", "training", "maxSeqLength"),
    "cpu": _at("spec", "trainer", "resources", "limits", "cpu"),
}
"""What decides how long a training step takes, by label."""


def _info(obj: Object) -> Samples:
    return [(tuple(str(read(obj) or "") for read in KIND.values()), 1)]


def _devices(obj: Object) -> Samples:
    return [((), (DEVICES(obj) or 1) if ACCELERATOR(obj) == "Ascend910" else 0)]


def _pod(obj: Object) -> Samples:
    status = obj.get("status", {})
    return [((status["podName"], status.get("nodeName", "")), 1)] if "podName" in status else ()


def _phase(obj: Object) -> Samples:
    phase = phase_of(obj)
    return [((phase, obj.get("status", {}).get("reason", phase)), 1)]


def _progress(obj: Object) -> Samples:
    progress = obj.get("status", {}).get("progress", {})
    return [((), progress["step"] / progress["totalSteps"])] if progress.get("totalSteps") else ()


def _retries(obj: Object) -> Samples:
    return [((), obj.get("status", {}).get("retries", 0))]


def _waiting_since(obj: Object) -> Samples:
    """Its creation, or the end of the attempt or of the suspension before."""
    if phase_of(obj) not in WAITING:
        return ()
    ended = [
        c["lastTransitionTime"] for c in obj.get("status", {}).get("conditions", ()) if c["type"] in BEFORE_WAITING
    ]
    times = map(datetime.fromisoformat, [obj["metadata"]["creationTimestamp"], *ended])
    return [((), max(times).timestamp())]


BACKOFF_LIMIT = _number("spec", "backoffLimit")


def _backoff_limit(obj: Object) -> Samples:
    return BACKOFF_LIMIT(obj) if phase_of(obj) not in FINISHED else ()


def _collapsed(obj: Object) -> Samples:
    trials = trials_of(obj)
    return [((), trials[-1]["collapsed"])] if trials else ()


def _trial_accuracy(obj: Object) -> Samples:
    trials = trials_of(obj) if "trials" in obj.get("status", {}) else []
    return [
        ((str(number), str(trial.get("seed", ""))), trial["accuracy"])
        for number, trial in enumerate(trials)
        if "accuracy" in trial
    ]


METRICS = (
    ObjectMetric(
        "bertfinetune_info",
        "What is trained on what, always 1; cpu is the container's limit.",
        _info,
        tuple(KIND),
    ),
    ObjectMetric("bertfinetune_devices", "Cards that the run's pod requests, 0 on the CPU.", _devices),
    ObjectMetric("bertfinetune_pod_info", "The run's newest pod, always 1.", _pod, ("pod", "node")),
    ObjectMetric(
        "bertfinetune_status_phase", "The phase the run is in and one word why, always 1.", _phase, ("phase", "reason")
    ),
    ObjectMetric(
        "bertfinetune_accuracy", "Accuracy on the evaluation set, 0 to 1.", _number("status", "result", "accuracy")
    ),
    ObjectMetric("bertfinetune_f1", "F1 score on the evaluation set, 0 to 1.", _number("status", "result", "f1")),
    ObjectMetric(
        "bertfinetune_matthews",
        "Matthews correlation on the evaluation set, -1 to 1.",
        _number("status", "result", "matthews"),
    ),
    ObjectMetric(
        "bertfinetune_min_accuracy",
        "What spec.quality.minAccuracy asks for, 0 to 1.",
        _number("spec", "quality", "minAccuracy"),
    ),
    ObjectMetric("bertfinetune_collapsed", "1 when the newest trial learned nothing, 0 when it learned.", _collapsed),
    ObjectMetric(
        "bertfinetune_trial_accuracy",
        "Accuracy of each trial of a run that has collapsed at least once, 0 to 1.",
        _trial_accuracy,
        ("trial", "seed"),
    ),
    ObjectMetric(
        "bertfinetune_ms_per_step",
        "Mean duration of a training step in milliseconds.",
        _number("status", "progress", "msPerStep"),
    ),
    ObjectMetric(
        "bertfinetune_training_duration_seconds",
        "Duration of the training that succeeded.",
        _number("status", "result", "durationSeconds"),
    ),
    ObjectMetric("bertfinetune_progress_ratio", "Share of the training steps done, 0 to 1.", _progress),
    ObjectMetric(
        "bertfinetune_eta_seconds",
        "Time until the training steps end at the present speed.",
        _number("status", "progress", "etaSeconds"),
    ),
    ObjectMetric(
        "bertfinetune_created_timestamp_seconds",
        "When it was created, Unix time.",
        _time("metadata", "creationTimestamp"),
    ),
    ObjectMetric(
        "bertfinetune_waiting_since_timestamp_seconds",
        "Since when it waits for its pod to start, Unix time, while it does.",
        _waiting_since,
    ),
    ObjectMetric(
        "bertfinetune_start_timestamp_seconds",
        "When its first container started, Unix time.",
        _time("status", "startTime"),
    ),
    ObjectMetric(
        "bertfinetune_completion_timestamp_seconds",
        "When it succeeded or failed for good, Unix time.",
        _time("status", "completionTime"),
    ),
    ObjectMetric("bertfinetune_retries", "Failures that were tried again.", _retries),
    ObjectMetric("bertfinetune_backoff_limit", "Limit of the retries, until it has finished.", _backoff_limit),
)


class ObjectsCollector(Collector):
    """The BertFinetunes' series: a scrape reads the index only, and is bounded however many objects there are."""

    def __init__(self, index: Index, max_objects: int = MAX_OBJECTS) -> None:
        self._index = index
        self._max_objects = max_objects

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All families, for the registry; may run on another thread than the one that writes the index."""
        objects = list(self._index.objects())
        shown = sorted(objects, key=_unfinished_then_newest, reverse=True)[: self._max_objects]
        for name, text, read, labels in METRICS:
            family = GaugeMetricFamily(name, text, labels=OF_OBJECT + labels)
            for obj in shown:
                for values, number in read(obj):
                    family.add_metric((obj["metadata"]["namespace"], obj["metadata"]["name"], *values), number)
            yield family
        phases = GaugeMetricFamily("bertfinetunes", "BertFinetunes by phase.", labels=("namespace", "phase"))
        for values, count in Tally((obj["metadata"]["namespace"], phase_of(obj)) for obj in objects).items():
            phases.add_metric(values, count)
        yield phases
        dropped = "BertFinetunes without series of their own, because there are too many."
        yield GaugeMetricFamily("bertfinetune_series_dropped", dropped, value=len(objects) - len(shown))


def phase_of(obj: Object) -> str:
    """The phase; an object that nobody has looked at yet is pending."""
    return str(obj.get("status", {}).get("phase", "Pending"))


def trials_of(obj: Object) -> list[Object]:
    """The results of all trials, the newest last."""
    status = obj.get("status", {})
    return [*status.get("trials", ()), *([status["result"]] if "result" in status else ())]


def _unfinished_then_newest(obj: Object) -> tuple[bool, str]:
    return phase_of(obj) not in FINISHED, obj["metadata"]["creationTimestamp"]
