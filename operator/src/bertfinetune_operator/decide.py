"""What to do for an object, given what is seen of it. Pure and total; deciding again on the outcome yields nothing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from bertfinetune_operator.api import BertFinetune, ObjectMeta
from bertfinetune_operator.jobs import Manifest, build_job
from bertfinetune_operator.observe import Object, Observed, PodView
from bertfinetune_operator.record import Stage, advance, merge_patch, with_duration
from bertfinetune_operator.settings import Settings
from bertfinetune_operator.status import FINISHED, BertFinetuneStatus, Failure, Phase, Result


class Event(NamedTuple):
    """A line for `kubectl describe`."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Decision:
    """What to do for one object, in this order: create the Job, patch the status, post the events."""

    job: Manifest | None = None
    status_patch: dict[str, Any] | None = None
    """JSON merge patch (RFC 7396) of .status; None if nothing changed."""
    events: tuple[Event, ...] = ()


def decide(raw: Object, observed: Observed, settings: Settings, now: datetime) -> Decision:
    """Decide what `raw`, a BertFinetune as the API server stores it, needs at time `now`.

    A finished or a vanishing object needs nothing, whatever became of its children.
    """
    recorded = raw.get("status") or {}
    if recorded.get("phase") in FINISHED or raw["metadata"].get("deletionTimestamp"):
        return Decision()
    current = BertFinetuneStatus.model_validate(recorded)
    job = None
    try:
        obj = BertFinetune.model_validate(raw)
    except ValidationError as error:
        stage = Stage("Failed", "InvalidSpec", f"{_sentence(error)}: delete the object and create it again")
    else:
        job = None if observed.job else build_job(obj, settings)
        stage = stage_of(observed, current)
    new = advance(current, stage, ObjectMeta.model_validate(raw["metadata"]), observed, now)
    if new == current:
        return Decision(job)
    desired = with_duration(new, now).model_dump(mode="json", by_alias=True, exclude_none=True)
    return Decision(job, merge_patch(recorded, desired), events_of(current, new))


def stage_of(observed: Observed, current: BertFinetuneStatus) -> Stage:
    """The stage of a run. A Job's end counts only once its last pod's end is seen too: the pod carries the reason."""
    job, pod = observed.job, observed.pod
    failure = observed.failure or current.last_failure
    if observed.refusal:
        return Stage("Pending", "JobRefused", observed.refusal)
    if job and job.state != "Active" and not (pod and pod.state in ("Waiting", "Running")):
        return (
            _succeeded(observed.result or current.result)
            if job.state == "Complete"
            else _failed(job.reason, job.message, failure)
        )
    if pod is None or pod.state == "Waiting":
        return _waiting(pod, failure)
    if pod.state == "Running":
        return _running(observed)
    if pod.failure:
        return Stage("Retrying", pod.failure.class_, _describe(pod.failure))
    return Stage("Running", "Finished", "the trainer has finished, waiting for the Job to complete")


def _waiting(pod: PodView | None, failure: Failure | None) -> Stage:
    phase: Phase = "Retrying" if failure else "Pending"
    if pod and pod.reason:
        return Stage(phase, pod.reason, pod.message)
    if failure:
        return Stage(phase, failure.class_, _describe(failure))
    return Stage(phase, "PodPending", "waiting for the pod to start" if pod else "waiting for the Job's first pod")


def _running(observed: Observed) -> Stage:
    phase = observed.progress.phase if observed.progress else "Preparing"
    match phase:
        case "Training":
            return Stage("Running", phase, "the trainer is training")
        case "Evaluating":
            return Stage("Running", phase, "the trainer is evaluating")
        case "Finished":
            return Stage("Running", phase, "the trainer is writing its result")
    return Stage("Preparing", "Preparing", "the trainer is loading model and data")


def _succeeded(result: Result | None) -> Stage:
    if result is None:
        return Stage(
            "Succeeded", "ResultMissing", "no readable result was left behind: see result.json in the output folder"
        )
    scores = {
        "accuracy": result.accuracy,
        "mismatched": result.accuracy_mismatched,
        "F1": result.f1,
        "Matthews": result.matthews,
        "Pearson": result.pearson,
        "Spearman": result.spearman,
    }
    parts = [f"{name} {score:.4f}" for name, score in scores.items() if score is not None]
    collapsed = [f"collapsed: {result.collapse_reason}"] if result.collapsed else []
    return Stage("Succeeded", "Succeeded", ", ".join(parts + collapsed))


def _failed(reason: str, message: str, failure: Failure | None) -> Stage:
    if failure is None:
        return Stage("Failed", reason or "JobFailed", message or "the Job failed: see kubectl describe job")
    return Stage("Failed", failure.class_, _describe(failure))


def _describe(failure: Failure) -> str:
    where = f" on {failure.node}" if failure.node else ""
    how = f"exited {failure.exit_code}" if failure.exit_code is not None else "failed"
    return f"pod {failure.pod}{where} {how}: {failure.message}"


def _sentence(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())


def events_of(current: BertFinetuneStatus, new: BertFinetuneStatus) -> tuple[Event, ...]:
    """One event for each change of phase."""
    if new.phase == current.phase:
        return ()
    kind: Literal["Normal", "Warning"] = "Warning" if new.phase in ("Failed", "Retrying") else "Normal"
    return (Event(kind, str(new.phase), f"{new.reason}: {new.message}"),)
