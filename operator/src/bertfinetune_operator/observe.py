"""What can be seen of a run: Job, pods and progress in one value. Pure; a child seen late or in part is normal."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from bertfinetune_operator import contract
from bertfinetune_operator.status import Failure, Progress, Result, progress_summary

Object = Mapping[str, Any]

MAX_MESSAGE = 2048
"""Longest message kept from a pod, in characters."""

WAITING_BY_ITSELF = frozenset({"ContainerCreating", "PodInitializing"})
"""Reasons of a container that waits for nobody: every pod passes through them."""


@dataclass(frozen=True)
class JobView:
    """The Job as far as it matters here."""

    name: str
    state: Literal["Active", "Complete", "Failed"] = "Active"
    reason: str = ""
    message: str = ""
    finished_at: datetime | None = None
    pods: int = 0
    """Pods the Job counts: active, succeeded and failed; disruptions it ignores are not among them."""


@dataclass(frozen=True)
class PodView:
    """One attempt."""

    name: str
    state: Literal["Waiting", "Running", "Succeeded", "Failed"]
    node: str | None = None
    reason: str = ""
    """Why it waits, when that is worth telling: Unschedulable, ImagePullBackOff, ..."""
    message: str = ""
    started_at: datetime | None = None
    result: Result | None = None
    failure: Failure | None = None


@dataclass(frozen=True)
class ProgressView:
    """The trainer's own report."""

    phase: str
    progress: Progress


@dataclass(frozen=True)
class Observed:
    """Everything seen of one object's children at one moment."""

    job: JobView | None = None
    pods: tuple[PodView, ...] = ()
    """Oldest first."""
    progress: ProgressView | None = None
    refusal: str | None = None
    """The API server's answer to the newest attempt to create the Job, if it said no."""

    @property
    def pod(self) -> PodView | None:
        """The newest attempt."""
        return self.pods[-1] if self.pods else None

    @property
    def failure(self) -> Failure | None:
        """The newest failed attempt."""
        return next((pod.failure for pod in reversed(self.pods) if pod.failure), None)

    @property
    def result(self) -> Result | None:
        """The result, once an attempt has reported one."""
        return next((pod.result for pod in self.pods if pod.result), None)


def observe(
    job: Object | None, pods: Iterable[Object], reports: Mapping[str, Object] = {}, refusal: str | None = None
) -> Observed:
    """Fold the raw Job, its pods in any order and the trainers' progress reports, by pod name, into one view.

    Only the newest pod's report counts: an earlier attempt's says nothing about the one that runs now.
    """
    ordered = sorted(pods, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]))
    views = tuple(view_pod(pod) for pod in ordered)
    report = reports.get(views[-1].name) if views else None
    return Observed(view_job(job) if job else None, views, view_progress(report) if report else None, refusal)


def view_job(job: Object) -> JobView:
    """A batch/v1 Job as a JobView."""
    status = job.get("status", {})
    view = JobView(
        name=job["metadata"]["name"], pods=sum(status.get(key, 0) for key in ("active", "succeeded", "failed"))
    )
    for condition in status.get("conditions", ()):
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            return JobView(
                name=view.name,
                state=condition["type"],
                reason=condition.get("reason", ""),
                message=condition.get("message", ""),
                finished_at=_time(status.get("completionTime") or condition.get("lastTransitionTime")),
                pods=view.pods,
            )
    return view


def view_pod(pod: Object) -> PodView:
    """A pod of the trainer as a PodView."""
    name, node = pod["metadata"]["name"], pod.get("spec", {}).get("nodeName")
    status = pod.get("status", {})
    state: Object = next(
        (c["state"] for c in status.get("containerStatuses", ()) if c["name"] == contract.CONTAINER_NAME), {}
    )
    if ended := state.get("terminated"):
        return _ended(name, node, status, ended)
    if status.get("phase") == "Failed":
        return _ended(name, node, status, {})
    if running := state.get("running"):
        return PodView(name, "Running", node, started_at=_time(running.get("startedAt")))
    reason, message = _why_waiting(status, state.get("waiting", {}))
    return PodView(name, "Waiting", node, reason, message)


def _why_waiting(status: Object, waiting: Object) -> tuple[str, str]:
    reason = waiting.get("reason", "")
    if reason and reason not in WAITING_BY_ITSELF:
        return reason, _tail(waiting.get("message", ""))
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", "Unschedulable"), _tail(condition.get("message", ""))
    return "", ""


def _ended(name: str, node: str | None, status: Object, ended: Object) -> PodView:
    started_at, exit_code = _time(ended.get("startedAt")), ended.get("exitCode")
    text = ended.get("message") or ""
    if exit_code == contract.EXIT_OK:
        return PodView(name, "Succeeded", node, started_at=started_at, result=parse_result(text))
    message = _json(text).get("message") or text or status.get("message") or ended.get("reason") or status.get("reason")
    failure = Failure(
        pod=name,
        node=node,
        exit_code=exit_code,
        class_=classify(status, ended),
        message=_tail(str(message or "the pod failed without a word: see its node")),
    )
    return PodView(name, "Failed", node, started_at=started_at, failure=failure)


def classify(status: Object, ended: Object) -> str:
    """The failure class of a pod: Kubernetes' word where it killed the pod, else the exit code's after the contract."""
    exit_code = ended.get("exitCode")
    if status.get("reason") == "Evicted":
        return "Evicted"
    if ended.get("reason") == "OOMKilled":
        return "OutOfMemory"
    if exit_code in contract.EXIT_CLASSES:
        return contract.EXIT_CLASSES[exit_code]
    disrupted = any(c["type"] == "DisruptionTarget" and c["status"] == "True" for c in status.get("conditions", ()))
    return "Disrupted" if disrupted else "Unknown"


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
    return text.strip()[-MAX_MESSAGE:]


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
