"""What can be seen of a run, in one value. Pure; a child seen late or in part is normal."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from bertfinetune_operator import contract, naming
from bertfinetune_operator.status import Failure, Progress, Result, printable, progress_summary

Object = Mapping[str, Any]

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

LONG_AGO = datetime.min.replace(tzinfo=UTC)

LOST_AFTER = timedelta(seconds=60)
"""A pod that outlives its grace period by this long has no kubelet any more."""


class Question(NamedTuple):
    """Something no watch tells: it is asked for when a decision needs it."""

    kind: Literal["log", "warning", "podgroup"]
    """The end of a pod's log, the newest warning about an object, or why a PodGroup waits."""
    name: str
    """Name of the pod, of the object or of the PodGroup."""
    part: str = ""
    """The container whose log it is, or the object's uid."""


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
    gone: bool = False
    """Whether only the memory of it is left."""

    @property
    def is_alive(self) -> bool:
        """Whether its containers may run, now or later."""
        return self.state in ("Waiting", "Running")

    def is_lost(self, now: datetime) -> bool:
        """Whether the node no longer answers: the pod should have ended and has not."""
        return self.is_alive and self.stops_at is not None and now >= self.stops_at + LOST_AFTER


@dataclass(frozen=True, slots=True)
class ProgressView:
    """The trainer's own report."""

    phase: str
    progress: Progress


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
        return _ended(common | {"container": fetcher}, status, fetching["terminated"])
    if ended := state.get("terminated"):
        return _ended(common, status, ended)
    if status.get("phase") == "Failed":
        return _ended(common, status, {})
    if running := state.get("running"):
        return PodView(**common, state="Running", started_at=_time(running.get("startedAt")))
    if "running" in fetching:
        return PodView(**common, state="Waiting", reason="Fetching", message="model and data are being downloaded")
    reason, message = _why_waiting(status, fetching.get("waiting") or state.get("waiting", {}))
    return PodView(**common, state="Waiting", reason=reason, message=message)


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


def _ended(common: dict[str, Any], status: Object, ended: Object) -> PodView:
    exit_code, text = ended.get("exitCode"), ended.get("message") or ""
    common |= {"started_at": _time(ended.get("startedAt")), "ended_at": _time(ended.get("finishedAt"))}
    if exit_code == contract.EXIT_OK:
        return PodView(**common, state="Succeeded", result=parse_result(text))
    message = _json(text).get("message") or text or status.get("message") or ended.get("reason") or status.get("reason")
    failure = Failure(
        pod=common["name"],
        node=common["node"],
        exit_code=exit_code,
        class_=classify(status, ended, deleting=common["stops_at"] is not None),
        message=_tail(str(message or "the pod failed without a word: see its node")),
    )
    return PodView(**common, state="Failed", failure=failure)


def classify(status: Object, ended: Object, *, deleting: bool = False) -> str:
    """The failure class of a pod: Kubernetes' word where it killed the pod, else the exit code's after the contract."""
    exit_code = ended.get("exitCode")
    if status.get("reason") in ("Evicted", "NodeLost"):
        return str(status["reason"])
    if status.get("reason") == "UnexpectedAdmissionError":
        return "DeviceFault"  # the kubelet's device manager could not give the pod its card
    if ended.get("reason") == "OOMKilled":
        return "OOMKilled"
    if exit_code in contract.EXIT_CLASSES:
        return contract.EXIT_CLASSES[exit_code]
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
        return ProgressView(str(report["phase"]), progress)
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
