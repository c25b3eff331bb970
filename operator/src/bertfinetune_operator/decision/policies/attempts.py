"""When an attempt begins: never beside another one."""

from typing import Any

from bertfinetune_operator.decision.policies import node_loss
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict, describe


def verdict(situation: Situation) -> Verdict | None:
    """A new attempt when one is due or resumed; the present one's Job when it is missing."""
    status, due, update = situation.status, situation.next_attempt_time, dict[str, Any]()
    stage = _stage(situation)
    if due:
        stale = tuple(job for job in situation.observed.jobs if job.state == "Active" and not job.deleting)
        if stale or situation.now < due:
            return Verdict(stage, delete=stale, wake_at=due if situation.now < due else None)
    resumes = status.phase == "Suspended" and status.job_name is not None
    if situation.job and not due:
        return None
    if pod := situation.alive:
        message = f"waiting until pod {pod.name} of an earlier attempt has ended"
        return Verdict(
            Stage("Suspended" if resumes else stage.phase, "Stopping", message), wake_at=node_loss.known_at(situation)
        )
    if situation.observed.refusal:
        return Verdict(Stage(stage.phase, "JobRefused", situation.observed.refusal), create=True)
    if due or resumes:
        update = {"attempt": situation.attempt + 1, "next_attempt_time": None}
    return Verdict(stage, update, create=True)


def _stage(situation: Situation) -> Stage:
    status = situation.status
    if status.phase == "Retrying":
        return Stage("Retrying", status.reason or "", status.message or "")
    if situation.next_attempt_time and status.last_failure:
        return Stage("Retrying", status.last_failure.class_, describe(status.last_failure))
    return Stage("Pending", "PodPending", "waiting for the Job's first pod")
