"""The next status: what the newest verdict and observation add to the record. Pure."""

from datetime import datetime
from typing import Any, Literal

from bertfinetune_operator import naming
from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import (
    FINISHED,
    BertFinetuneStatus,
    Condition,
    Failure,
    Movement,
    Phase,
    Progress,
    Result,
    progress_summary,
    was_seen,
)
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict
from bertfinetune_operator.kinds import Object


def advance(situation: Situation, verdict: Verdict) -> BertFinetuneStatus:
    """The status after the present one, apart from its duration. What was seen once stays; its pod may vanish."""
    current, stage, job, pod = situation.status, verdict.stage, situation.job, situation.pod
    seen = next((pod.result for pod in situation.pods if pod.result), None)
    result = rooted(situation, seen) if seen and situation.next_attempt_time is None else current.result
    starts = [time for pod in situation.observed.pods if (time := situation.started_at(pod))]
    finished_at = job.finished_at if job else None
    status = BertFinetuneStatus(
        observed_generation=situation.obj.metadata.generation,
        phase=stage.phase,
        reason=stage.reason,
        message=stage.message,
        attempt=situation.attempt,
        job_name=job.name if job else current.job_name,
        pod_name=pod.name if pod else situation.pod_name,
        node_name=pod.node if pod else current.node_name if situation.pod_name else None,
        start_time=current.start_time or min(starts, default=None),
        completion_time=(finished_at or situation.now) if stage.phase in FINISHED else None,
        duration=current.duration,
        progress=_progress(situation, stage, result),
        result=result,
        last_failure=_last_failure(situation, stage),
        retries=current.retries,
        interruptions=current.interruptions,
        stalls=current.stalls,
        gradient_accumulation_steps=current.gradient_accumulation_steps,
        last_movement=movement(situation) if stage.phase in PHASES_OF["Running"] else None,
        next_attempt_time=situation.next_attempt_time,
        avoided_nodes=current.avoided_nodes,
        trials=current.trials,
        **_active_time(situation),
    )
    status = status.model_copy(update=dict(verdict.update))
    minimum = situation.obj.spec.quality.min_accuracy
    return status.model_copy(
        update={
            "output_folder": output_folder(situation.obj, status),
            "conditions": conditions(current, status, minimum, situation.now),
        }
    )


def output_folder(obj: BertFinetune, status: BertFinetuneStatus) -> str:
    """The folder of the trial that a status is about."""
    meta = obj.metadata
    return naming.output_folder(meta.namespace, meta.name, meta.uid, len(status.trials or ()))


def rejected(current: BertFinetuneStatus, generation: int, sentence: str, now: datetime) -> BertFinetuneStatus:
    """The status of an object that this version of the operator cannot read."""
    status = current.model_copy(
        update={
            "observed_generation": generation,
            "phase": "Failed",
            "reason": "InvalidSpec",
            "message": f"{sentence}: delete the object and create it again",
            "completion_time": now,
        }
    )
    return status.model_copy(update={"conditions": conditions(current, status, None, now)})


def rooted(situation: Situation, result: Result) -> Result:
    """The result with its checkpoint relative to the output volume's root, where a user looks for it."""
    folder = output_folder(situation.obj, situation.status)
    return result.model_copy(update={"checkpoint": f"{folder}/{result.checkpoint}"}) if result.checkpoint else result


def _last_failure(situation: Situation, stage: Stage) -> Failure | None:
    """The newest failure; a recorded one stays as it was seen first, with its log, and a stop on demand is none."""
    seen, recorded = situation.failure, situation.status.last_failure
    if seen is None or stage.phase == "Suspended" or (recorded and recorded.pod == seen.pod):
        return recorded
    return seen


def _active_time(situation: Situation) -> dict[str, Any]:
    """Training time of the pods that have ended, each by its node's clock, and since when the present one trains."""
    current, since, seconds = situation.status, situation.active_since, situation.status.active_seconds
    if current.active_since and (since is None or situation.pod is None or situation.pod.name != current.pod_name):
        last = next((pod for pod in situation.observed.pods if pod.name == current.pod_name), None)
        if last and last.started_at and last.ended_at:
            trained = last.ended_at - last.started_at
        else:
            trained = situation.now - current.active_since
        seconds += max(0, round(trained.total_seconds()))
    return {"active_seconds": seconds, "active_since": since}


def movement(situation: Situation) -> Movement | None:
    """The present trainer's newest sign of work; none before its first step, and only with stalledDeadlineSeconds.

    It changes with the step or the phase, which are written in any case; only evaluation batches cause further writes.
    """
    pod, report, last = situation.pod, situation.progress, situation.status.last_movement
    if situation.obj.spec.stalled_deadline_seconds is None or pod is None or pod.state != "Running":
        return None
    last = last if last and last.pod == pod.name else None
    if report is None or not (last or report.has_stepped):
        return last
    seen = Movement(
        pod=pod.name,
        phase=report.phase,
        step=report.progress.step,
        evaluation_batches=report.evaluation_batches,
        time=last.time if last else situation.now,
    )
    return seen if seen == last else seen.model_copy(update={"time": situation.now})


def _progress(situation: Situation, stage: Stage, result: Result | None) -> Progress | None:
    """The newest report; after success the final values, which nobody can ask the ended trainer for."""
    progress = situation.progress.progress if situation.progress else situation.status.progress
    if stage.phase == "Succeeded" and result and result.steps is not None:
        steps = result.steps
        return Progress(
            step=steps,
            total_steps=steps,
            percent=100,
            summary=progress_summary(steps, steps, 100),
            loss=progress.loss if progress else None,
            ms_per_step=result.ms_per_step,
        )
    return progress.model_copy(update={"eta_seconds": None}) if progress and stage.phase != "Running" else progress


PHASES_OF: dict[str, tuple[Phase, ...]] = {
    "Reconciling": ("Pending", "Queued", "Preparing", "Running", "Retrying"),
    "Stalled": ("Failed",),
    "Queued": ("Queued",),
    "Running": ("Preparing", "Running"),
    "Suspended": ("Suspended",),
    "Succeeded": ("Succeeded",),
    "Failed": ("Failed",),
}
"""The phases in which a condition holds. kstatus, and Flux with it, reads the first two: Reconciling is a run that goes
on, Stalled one that has failed, and neither one that is as its spec asks for
(https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md)."""


def conditions(
    current: BertFinetuneStatus, new: BertFinetuneStatus, min_accuracy: float | None, now: datetime
) -> list[Condition]:
    """The conditions of the status `new`; each keeps the time of its last transition.

    One that has never held is not there: what every object carries, every write and every watcher pays for.
    """
    before = {condition.type: condition for condition in current.conditions or ()}
    phase = new.phase or "Pending"

    def condition(kind: str, holds: bool, reason: str, message: str) -> Condition:
        state: Literal["True", "False"] = "True" if holds else "False"
        old = before.get(kind)
        return Condition(
            type=kind,
            status=state,
            reason=reason,
            message=message,
            last_transition_time=old.last_transition_time if old and old.status == state and was_seen(old) else now,
            observed_generation=new.observed_generation or 0,
        )

    told = [
        condition(kind, True, new.reason or phase, new.message or "")
        if phase in meant
        else condition(kind, False, phase, "")
        for kind, meant in PHASES_OF.items()
        if phase in meant or kind in before
    ]
    if judged := new.result or (new.trials[-1] if new.trials else None):
        reason, message = ("Collapsed", judged.collapse_reason or "") if judged.collapsed else ("Learned", "")
        told.append(condition("Collapsed", judged.collapsed, reason, message))
    if min_accuracy is not None and new.result and new.result.accuracy is not None:
        reached = new.result.accuracy >= min_accuracy
        reason = "AccuracyReached" if reached else "AccuracyBelowTarget"
        numbers = f"accuracy {new.result.accuracy:.4f}, quality.minAccuracy {min_accuracy:g}"
        told.append(condition("AccuracyReached", reached, reason, numbers))
    return told


def with_duration(status: BertFinetuneStatus, now: datetime) -> BertFinetuneStatus:
    """The status with its duration at time `now`: the clock alone is no reason for a patch, so this comes last."""
    if status.start_time is None:
        return status
    seconds = int(((status.completion_time or now) - status.start_time).total_seconds())
    return status.model_copy(update={"duration": format_duration(max(seconds, 0))})


def format_duration(seconds: int) -> str:
    """Seconds as people write them: "45s", "6m12s", "1h2m3s"."""
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return (f"{hour}h" if hour else "") + (f"{minute}m" if minutes else "") + f"{second}s"


def merge_patch(old: Object, new: Object) -> dict[str, Any]:
    """The JSON merge patch (RFC 7396) from `old` to `new`: lists are replaced as a whole, lost keys set to null."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(before, dict) and isinstance(value, dict):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
