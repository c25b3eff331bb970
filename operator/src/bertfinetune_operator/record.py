"""The next status: what the newest stage and observation add to the record. Pure."""

from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from bertfinetune_operator import naming
from bertfinetune_operator.api import ObjectMeta
from bertfinetune_operator.observe import Object, Observed
from bertfinetune_operator.status import (
    FINISHED,
    BertFinetuneStatus,
    Condition,
    Phase,
    Progress,
    Result,
    progress_summary,
)


class Stage(NamedTuple):
    """Phase, one word why, one line why."""

    phase: Phase
    reason: str
    message: str


def advance(
    current: BertFinetuneStatus, stage: Stage, meta: ObjectMeta, observed: Observed, now: datetime
) -> BertFinetuneStatus:
    """The status after `current`, apart from its duration. What was seen once stays, although its pod may vanish."""
    job, pod = observed.job, observed.pod
    result = _rooted(observed.result, meta) if observed.result else current.result
    starts = [seen.started_at for seen in observed.pods if seen.started_at]
    finished_at = job.finished_at if job else None
    return BertFinetuneStatus(
        observed_generation=meta.generation,
        phase=stage.phase,
        reason=stage.reason,
        message=stage.message,
        conditions=_conditions(current, stage, meta.generation, now),
        job_name=job.name if job else current.job_name,
        pod_name=pod.name if pod else current.pod_name,
        node_name=pod.node if pod else current.node_name,
        start_time=current.start_time or min(starts, default=None),
        completion_time=(finished_at or _utc(now)) if stage.phase in FINISHED else None,
        duration=current.duration,
        progress=_progress(current, stage, observed, result),
        result=result,
        last_failure=observed.failure or current.last_failure,
        retries=max(current.retries, job.pods - 1 if job else 0),
    )


def _rooted(result: Result, meta: ObjectMeta) -> Result:
    """The result with its checkpoint relative to the output volume's root, where a user looks for it."""
    folder = naming.output_folder(meta.namespace, meta.name, meta.uid)
    return result.model_copy(update={"checkpoint": f"{folder}/{result.checkpoint}"}) if result.checkpoint else result


def _progress(current: BertFinetuneStatus, stage: Stage, observed: Observed, result: Result | None) -> Progress | None:
    """The newest report; after success the final values, which nobody can ask the ended trainer for."""
    progress = observed.progress.progress if observed.progress else current.progress
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


def _conditions(current: BertFinetuneStatus, stage: Stage, generation: int, now: datetime) -> list[Condition]:
    before = {condition.type: condition for condition in current.conditions or ()}

    def condition(kind: str, holds: bool) -> Condition:
        status: Literal["True", "False"] = "True" if holds else "False"
        old = before.get(kind)
        return Condition(
            type=kind,
            status=status,
            reason=stage.reason if holds else stage.phase,
            message=stage.message if holds else "",
            last_transition_time=old.last_transition_time if old and old.status == status else _utc(now),
            observed_generation=generation,
        )

    return [
        condition("Running", stage.phase in ("Preparing", "Running")),
        condition("Succeeded", stage.phase == "Succeeded"),
        condition("Failed", stage.phase == "Failed"),
    ]


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


def _utc(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(microsecond=0)
