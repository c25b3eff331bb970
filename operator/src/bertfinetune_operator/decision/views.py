"""What can be seen of a run, in one value. Pure; a child seen late or in part is normal."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from bertfinetune_operator import contract, naming
from bertfinetune_operator.api.status import Failure, Progress, Result, int64, printable, progress_summary
from bertfinetune_operator.kinds import Object

MAX_MESSAGE = 2048
"""Longest message kept from a pod, in characters."""

WAITING_BY_ITSELF = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons of a container that waits for nobody: every pod passes through them."""

IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
"""Reasons of a container whose image cannot be had."""

DISRUPTIONS = {
    "PreemptionByScheduler": "Evicted",
    "EvictionByEvictionAPI": "Evicted",
    "TerminationByKubelet": "Evicted",
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
}
"""Failure classes of condition DisruptionTarget's reasons
(https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions)."""

ABORTS = frozenset({128 + 6, 128 + 11})
"""Exit codes of SIGABRT and SIGSEGV, by which the adapter of CANN 20.2 answers a fault of its card."""

NO_LONGER_HEALTHY = "no longer healthy"
"""What the kubelet says of a pod whose card broke while the node restarted."""

ONLY_VOLCANO = "not get valid pod"
"""What Ascend's device plugin says in Volcano mode of a pod that Ascend's plugin for Volcano has not placed."""

LONG_AGO = datetime.min.replace(tzinfo=UTC)

LOST_AFTER = timedelta(seconds=60)
"""A pod that outlives its grace period by this long has no kubelet any more."""


class Question(NamedTuple):
    """Something no watch tells: it is asked for when a decision needs it."""

    kind: Literal["log", "quiet", "warning", "podgroup", "workload"]
    """The end of a pod's log, "quiet" if nothing was written to it lately, the newest warning about an object, why a
    PodGroup waits, or why Kueue holds a Job."""
    name: str
    """Name of the pod, of the object, of the PodGroup or of the Job."""
    part: str = ""
    """The container whose log it is, or the object's or the Job's uid."""
    seconds: int = 0
    """How long ago "lately" begins."""


@dataclass(frozen=True, slots=True)
class JobView:
    """The Job of one attempt as far as it matters here."""

    name: str
    uid: str = ""
    version: int = field(default=0, compare=False)
    attempt: int = 0
    state: Literal["Active", "Complete", "Failed"] = "Active"
    suspended: bool = False
    """Whether a queue holds it back."""
    deleting: bool = False
    reason: str = ""
    message: str = ""
    created_at: datetime | None = None
    started_at: datetime | None = None
    """When its pods could be created; after a time in a queue, the newest such moment."""
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod of an attempt."""

    name: str
    state: Literal["Waiting", "Running", "Succeeded", "Failed"]
    uid: str = ""
    version: int = field(default=0, compare=False)
    ip: str = ""
    container: str = contract.CONTAINER_NAME
    """The container it is about: the trainer, unless a download failed."""
    attempt: int = 0
    node: str | None = None
    reason: str = ""
    """Why it waits, when that is worth telling: Unschedulable, ImagePullBackOff, ..."""
    message: str = ""
    group: str = ""
    """Its PodGroup, where Volcano places it."""
    created_at: datetime | None = None
    stops_at: datetime | None = None
    """When the grace period of its deletion ends, once it is being deleted."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: Result | None = None
    failure: Failure | None = None
    held: bool = False
    """Whether another container keeps the pod from ending as the trainer has: it goes on, or has failed."""
    gone: bool = False
    """Whether only the memory of it is left."""

    @property
    def is_alive(self) -> bool:
        """Whether its containers may run, now or later."""
        return self.state in ("Waiting", "Running")

    def is_lost(self, now: datetime) -> bool:
        """Whether the node no longer answers: the pod should have ended and has not."""
        return self.is_alive and self.stops_at is not None and now >= self.stops_at + LOST_AFTER

    def decides(self, now: datetime) -> bool:
        """Whether the trainer's end counts although the Job does not come to the same: another container is in the way.

        A pod that failed while it is being deleted is replaced by its Job once all its containers have ended.
        """
        stops = self.stops_at is not None and now < self.stops_at + LOST_AFTER
        return self.held and (self.state == "Succeeded" or not stops)


@dataclass(frozen=True, slots=True)
class ProgressView:
    """The trainer's own report."""

    phase: str
    progress: Progress
    has_stepped: bool = False
    """Whether the process has done its first step or evaluation batch: until then a card compiles the graph."""
    evaluation_batches: int | None = None
    """Evaluation batches of the process; a trainer of 0.2.0 does not tell."""
    peak_memory: int | None = field(default=None, compare=False)
    """Most memory that its container has used, in bytes; a trainer of 0.2.0 does not tell."""
    heard_at: datetime | None = field(default=None, compare=False)
    """When the trainer last said so."""


@dataclass(frozen=True)
class Observed:
    """Everything seen of one object's children at one moment."""

    jobs: tuple[JobView, ...] = ()
    """By attempt."""
    pods: tuple[PodView, ...] = ()
    """Oldest first."""
    progress: ProgressView | None = None
    """The newest pod's report."""
    refusal: str | None = None
    """The API server's answer to the newest attempt to create a Job, if it said no."""
    answers: Mapping[Question, str] = field(default_factory=dict)
    """What was asked for; an empty answer says that there is nothing to know."""


def observe(
    jobs: Iterable[JobView],
    pods: Iterable[PodView],
    reports: Mapping[str, ProgressView] = {},
    refusal: str | None = None,
    answers: Mapping[Question, str] = {},
) -> Observed:
    """Put Jobs and pods, in any order, and the trainers' progress reports, by pod name, into one value.

    Only the newest pod's report counts: an earlier one's says nothing about the one that runs now.
    """
    by_attempt = tuple(sorted(jobs, key=lambda job: job.attempt))
    by_age = tuple(sorted(pods, key=lambda pod: (pod.created_at or LONG_AGO, pod.name)))
    progress = reports.get(by_age[-1].name) if by_age else None
    return Observed(by_attempt, by_age, progress, refusal, answers)


def _attempt(meta: Object) -> int:
    """The attempt a child belongs to; those made before there was a label belong to the first one."""
    text = meta.get("labels", {}).get(naming.LABEL_ATTEMPT, "0")
    return int(text) if text.isascii() and text.isdecimal() else 0


def view_job(job: Object) -> JobView:
    """A batch/v1 Job as a JobView."""
    meta, status = job["metadata"], job.get("status", {})
    ends = [c for c in status.get("conditions", ()) if c["status"] == "True" and c["type"] in ("Complete", "Failed")]
    end: Object = ends[0] if ends else {}
    return JobView(
        name=meta["name"],
        uid=meta["uid"],
        version=int(meta["resourceVersion"]),
        attempt=_attempt(meta),
        state=end.get("type", "Active"),
        suspended=job.get("spec", {}).get("suspend", False),
        deleting="deletionTimestamp" in meta,
        reason=end.get("reason", ""),
        message=end.get("message", ""),
        created_at=_time(meta.get("creationTimestamp")),
        started_at=_time(status.get("startTime")),
        finished_at=_time(status.get("completionTime") or end.get("lastTransitionTime")),
    )


def view_pod(pod: Object) -> PodView:
    """A pod of the trainer as a PodView."""
    meta, status = pod["metadata"], pod.get("status", {})
    common: dict[str, Any] = {
        "name": meta["name"],
        "uid": meta["uid"],
        "version": int(meta["resourceVersion"]),
        "ip": status.get("podIP", ""),
        "attempt": _attempt(meta),
        "node": pod.get("spec", {}).get("nodeName"),
        "group": meta.get("annotations", {}).get(naming.POD_GROUP, ""),
        "created_at": _time(meta.get("creationTimestamp")),
        "stops_at": _time(meta.get("deletionTimestamp")),
    }
    states = {c["name"]: c["state"] for c in status.get("containerStatuses", ())}
    state = states.get(contract.CONTAINER_NAME, {})
    fetcher, fetching = _unfinished_fetcher(status.get("initContainerStatuses", ()))
    if "terminated" in fetching:
        return _ended(common | {"container": fetcher}, pod, fetching["terminated"])
    if ended := state.get("terminated"):
        held = _is_held(status, ended)
        return _ended(common | {"held": held}, pod, ended, on_card=_is_on_card(pod))
    if status.get("phase") == "Failed":
        return _ended(common, pod, {}, on_card=_is_on_card(pod))
    if running := state.get("running"):
        return PodView(**common, state="Running", started_at=_time(running.get("startedAt")))
    if "running" in fetching:
        return PodView(**common, state="Waiting", reason="Fetching", message="model and data are being downloaded")
    reason, message = _why_waiting(status, fetching.get("waiting") or state.get("waiting", {}))
    return PodView(**common, state="Waiting", reason=reason, message=message)


def _is_held(status: Object, ended: Object) -> bool:
    """Whether a container beside the trainer keeps the pod from the end that the trainer's is.

    That is a sidecar among the ordinary containers; one that Kubernetes knows as such (restartPolicy Always) is an init
    container, and the kubelet stops it.
    """
    others = [c["state"] for c in status.get("containerStatuses", ()) if c["name"] != contract.CONTAINER_NAME]
    if status.get("phase") == ("Failed" if ended.get("exitCode") else "Succeeded"):
        return False
    return any(state.get("terminated", {}).get("exitCode") != contract.EXIT_OK for state in others)


def _unfinished_fetcher(containers: Iterable[Object]) -> tuple[str, Object]:
    """Name and state of the download that is under way or has failed; ("", {}) if there is none."""
    for container in containers:
        name, state = container["name"], container["state"]
        is_done = state.get("terminated", {}).get("exitCode") == contract.EXIT_OK
        if name in contract.FETCH_CONTAINER_NAMES and not is_done:
            return name, state
    return "", {}


def _why_waiting(status: Object, waiting: Object) -> tuple[str, str]:
    reason = waiting.get("reason", "")
    if reason and reason not in WAITING_BY_ITSELF:
        return reason, _tail(waiting.get("message", ""))
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", "Unschedulable"), _tail(condition.get("message", ""))
    return "", ""


def _is_on_card(pod: Object) -> bool:
    """Whether the pod's trainer trains on a card."""
    containers = pod.get("spec", {}).get("containers", ())
    return any("--device=npu" in container.get("args", ()) for container in containers)


def _ended(common: dict[str, Any], pod: Object, ended: Object, *, on_card: bool = False) -> PodView:
    status, exit_code, text = pod["status"], ended.get("exitCode"), ended.get("message") or ""
    common |= {"started_at": _time(ended.get("startedAt")), "ended_at": _time(ended.get("finishedAt"))}
    if exit_code == contract.EXIT_OK:
        return PodView(**common, state="Succeeded", result=parse_result(text))
    if ended.get("reason") == "OOMKilled":  # what else is known is the end of its log, which it did not know to be one
        text = _out_of_memory(pod["spec"], common.get("container", contract.CONTAINER_NAME))
    said = _json(text).get("message") or text or status.get("message") or ended.get("reason") or status.get("reason")
    message = str(said or "the pod failed without a word: see its node")
    class_ = classify(status, ended, deleting=common["stops_at"] is not None, on_card=on_card)
    if class_ == "DeviceNotAllotted":
        message = f"{message}; {_how_to_get_cards(message)}"
    failure = Failure(
        pod=common["name"], node=common["node"], exit_code=exit_code, class_=class_, message=_tail(message)
    )
    return PodView(**common, state="Failed", failure=failure)


def _out_of_memory(spec: Object, name: str) -> str:
    """The limit of the container's memory as its pod has it: a LimitRange may have set it."""
    containers = [*spec.get("containers", ()), *spec.get("initContainers", ())]
    limits = [c.get("resources", {}).get("limits", {}).get("memory") for c in containers if c["name"] == name]
    if limit := next(filter(None, limits), None):
        return f"out of memory: it needed more than its limit of {limit}"
    return "out of memory: it has no limit, and its node had none left"


def _how_to_get_cards(refusal: str) -> str:
    """The remedy for a refusal of the kubelet's, which holds the device plugin's own words."""
    if ONLY_VOLCANO in refusal:
        return (
            "the device plugin serves only pods that Ascend's plugin for Volcano has placed: set the chart's"
            " scheduling.defaultSchedulerName, or spec.scheduling.schedulerName in a new run, to volcano, or start the"
            " device plugin with volcanoType=false"
        )
    return "if this does not pass, see the log of the device plugin on that node"


def classify(status: Object, ended: Object, *, deleting: bool = False, on_card: bool = False) -> str:
    """The failure class of a pod: Kubernetes' word where it killed the pod, else the exit code's after the contract."""
    exit_code = ended.get("exitCode")
    if status.get("reason") in ("Evicted", "NodeLost"):
        return str(status["reason"])
    if status.get("reason") == "UnexpectedAdmissionError" and on_card:
        return "DeviceFault" if NO_LONGER_HEALTHY in status.get("message", "") else "DeviceNotAllotted"
    if ended.get("reason") == "OOMKilled":
        return "OOMKilled"
    classes = contract.EXIT_CLASSES | (dict.fromkeys(ABORTS, "DeviceFault") if on_card else {})
    if exit_code in classes:
        return classes[exit_code]
    for condition in status.get("conditions", ()):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return DISRUPTIONS.get(condition.get("reason", ""), "Evicted")
    return "Interrupted" if deleting else "Unknown"


def parse_result(text: str) -> Result | None:
    """The result in a termination message, or None if it holds none."""
    try:
        return Result.model_validate(_json(text))
    except ValidationError:
        return None


def view_progress(report: Object) -> ProgressView | None:
    """The trainer's progress report, or None if it is not one."""
    try:
        step, total, percent = int(report["step"]), int(report["totalSteps"]), int(report["percent"])
        progress = Progress.model_validate(dict(report) | {"summary": progress_summary(step, total, percent)})
        phase = report["phase"] if report["phase"] in contract.PROGRESS_PHASES else "Preparing"
        batches = int64(int(report["evalBatches"])) if "evalBatches" in report else None
        has_stepped = report.get("loss") is not None or bool(batches)  # a NaN is a loss, too
        peak = report.get("peakMemoryBytes")
        return ProgressView(phase, progress, has_stepped, batches, None if peak is None else int64(int(peak)))
    except (KeyError, OverflowError, TypeError, ValueError):  # Python's JSON has an Infinity
        return None


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _tail(text: str) -> str:
    """The end of a text: there a traceback has its cause."""
    return printable(text.strip()[-MAX_MESSAGE:])


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
