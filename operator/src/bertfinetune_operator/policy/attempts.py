"""When an attempt begins: never beside another one."""

from typing import Any

from bertfinetune_operator.policy import node_loss
from bertfinetune_operator.run import Run, Stage, Verdict, describe


def verdict(run: Run) -> Verdict | None:
    """A new attempt when one is due or resumed; the present one's Job when it is missing."""
    status, due, update = run.status, run.next_attempt_time, dict[str, Any]()
    stage = _stage(run)
    if due:
        stale = tuple(job for job in run.observed.jobs if job.state == "Active" and not job.deleting)
        if stale or run.now < due:
            return Verdict(stage, delete=stale, wake_at=due if run.now < due else None)
    resumes = status.phase == "Suspended" and status.job_name is not None
    if run.job and not due:
        return None
    if pod := run.alive:
        message = f"waiting until pod {pod.name} of an earlier attempt has ended"
        return Verdict(
            Stage("Suspended" if resumes else stage.phase, "Stopping", message), wake_at=node_loss.known_at(run)
        )
    if run.observed.refusal:
        return Verdict(Stage(stage.phase, "JobRefused", run.observed.refusal), create=True)
    if due or resumes:
        update = {"attempt": run.attempt + 1, "next_attempt_time": None}
    return Verdict(stage, update, create=True)


def _stage(run: Run) -> Stage:
    status = run.status
    if status.phase == "Retrying":
        return Stage("Retrying", status.reason or "", status.message or "")
    if run.next_attempt_time and status.last_failure:
        return Stage("Retrying", status.last_failure.class_, describe(status.last_failure))
    return Stage("Pending", "PodPending", "waiting for the Job's first pod")
