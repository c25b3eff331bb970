"""Whether a failed attempt is followed by another one, when, and on which nodes."""

from dataclasses import replace
from datetime import datetime, timedelta

from bertfinetune_operator import contract
from bertfinetune_operator.jobs import TERMINATION_GRACE_SECONDS
from bertfinetune_operator.observe import JobView
from bertfinetune_operator.run import Run, Stage, Verdict, describe, log_of
from bertfinetune_operator.status import Failure

PERMANENT = frozenset({"BadConfig", "BadData", "BadModel"})
"""The same input would fail again."""

DISRUPTIONS = frozenset({"Interrupted", "Evicted", "NodeLost"})
"""Nobody's fault: tried again without counting."""

FIRST_BACKOFF = timedelta(seconds=10)
LONGEST_BACKOFF = timedelta(minutes=10)
"""The pause doubles with each failure that counts, as a Job's does."""

STORAGE_BACKOFF = (timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30))
"""A person has to make room on a full disk, or a server to come back; the last one is that of all further failures."""

MAX_UNCOUNTED = 3
"""Stalls, and as many deletions by force: a hang that comes back must not go on for ever."""

GRACE = timedelta(seconds=TERMINATION_GRACE_SECONDS)
"""The kubelet may take so long to stop the trainer of a pod that is there no more."""

MAX_AVOIDED = 16
"""Nodes avoided at most, the newest ones: a manifest has to end somewhere."""


def verdict(run: Run, job: JobView) -> Verdict:
    """What follows a failed Job."""
    failure = run.failure or _recorded(run)
    if failure is None and _has_vanished(run, job):
        message = "its pod was deleted by force: nobody has seen the trainer's end"
        return interrupted(run, Failure(pod=str(run.pod_name), class_="Interrupted", message=message), GRACE)
    failure = failure or _failure_without_pod(run, job)
    if run.failed and (ask := run.unanswered(log_of(run.failed))):
        return Verdict(Stage("Retrying", failure.class_, describe(failure)), ask=ask)
    counted = failure.class_ not in DISRUPTIONS
    if _is_no_fault_of_a_card(run, failure):
        where = run.status.last_failure and run.status.last_failure.node
        message = f"{describe(failure)}; a card on {where} ended the run before its first step, too: it is not the card"
        return Verdict(Stage("Failed", failure.class_, message), {"last_failure": failure})
    if failure.class_ in PERMANENT or (counted and run.status.retries >= run.obj.spec.backoff_limit):
        return Verdict(Stage("Failed", failure.class_, describe(failure)), {"last_failure": failure})
    ended_at = job.finished_at or run.now
    if failure.class_ == "OOMKilled":
        return _out_of_memory(run, failure, ended_at)
    return next_attempt(run, failure, ended_at, counted=counted)


def _out_of_memory(run: Run, failure: Failure, ended_at: datetime) -> Verdict:
    """What follows after spec.onOOM. The attempts that accumulate count, too: backoffLimit is the limit of all."""
    choice, steps = run.obj.spec.on_oom, accumulation(run)
    trains = run.failed is None or run.failed.container == contract.CONTAINER_NAME  # a download has no steps
    if choice == "Retry" or (choice == "Accumulate" and not trains):
        return next_attempt(run, failure, ended_at, counted=True)
    size = run.obj.spec.training.train_batch_size
    if choice == "Accumulate" and size % (2 * steps) == 0:
        verdict = next_attempt(run, failure, ended_at, counted=True)
        stage = verdict.stage._replace(message=f"{verdict.stage.message} with gradientAccumulationSteps={2 * steps}")
        return replace(verdict, stage=stage, update={**verdict.update, "gradient_accumulation_steps": 2 * steps})
    further = f", and gradientAccumulationSteps={2 * steps} does not divide trainBatchSize={size}"
    why = f"onOOM={choice}{further if choice == 'Accumulate' else ''}"
    message = f"{describe(failure)}; {why}: raise spec.trainer.resources.limits.memory"
    return Verdict(Stage("Failed", "OOMKilled", message), {"last_failure": failure})


def accumulation(run: Run) -> int:
    """Lots of a training step in the attempt that has ended."""
    return run.status.gradient_accumulation_steps or run.obj.spec.training.gradient_accumulation_steps


def _recorded(run: Run) -> Failure | None:
    """What was recorded of the failure of a pod that is gone."""
    recorded = run.status.last_failure
    return recorded if recorded and recorded.pod == run.pod_name else None


def _has_vanished(run: Run, job: JobView) -> bool:
    """Whether the pod was there and is gone without an end; that a FailJob rule applied means that it had one."""
    return run.pod_name is not None and not run.pods and job.reason != "PodFailurePolicy"


def _is_no_fault_of_a_card(run: Run, failure: Failure) -> bool:
    """Whether cards on two different nodes have ended the run, one after the other, before its first step.

    The adapter reports what it cannot compile, or what the driver does not know, as it reports a broken card.
    """
    before, progress = run.status.last_failure, run.status.progress
    if before is None or (progress and progress.step):
        return False
    faults = [each for each in (before, failure) if each.class_ == "DeviceFault" and each.exit_code and each.node]
    return len({each.node for each in faults}) == 2


def _failure_without_pod(run: Run, job: JobView) -> Failure:
    """What a Job says whose pod nobody has seen."""
    why = ": ".join(filter(None, (job.reason, job.message))) or "see kubectl describe job"
    return Failure(pod=run.pod_name or job.name, class_="Unknown", message=f"the Job failed: {why}")


def interrupted(run: Run, failure: Failure, pause: timedelta = timedelta()) -> Verdict:
    """Another attempt after what only looks like an interruption; from its class's fourth on it counts as a failure."""
    kind = "stalls" if failure.class_ == "Stalled" else "interruptions"
    number = (getattr(run.status, kind) or 0) + 1
    counted = number > MAX_UNCOUNTED
    update = {kind: number}
    if counted and run.status.retries >= run.obj.spec.backoff_limit:
        return Verdict(Stage("Failed", failure.class_, describe(failure)), update | {"last_failure": failure})
    verdict = next_attempt(run, failure, run.now + pause, counted=counted)
    return replace(verdict, update={**update, **verdict.update})


def next_attempt(run: Run, failure: Failure, ended_at: datetime, *, counted: bool) -> Verdict:
    """Another attempt after the back-off."""
    retries = run.status.retries + counted
    due = ended_at + backoff(failure.class_, retries if counted else 1)
    avoided = run.status.avoided_nodes or []
    if failure.class_ == "DeviceFault" and failure.node:
        avoided = [*(node for node in avoided if node != failure.node), failure.node][-MAX_AVOIDED:]
    update = {
        "last_failure": failure,
        "retries": retries,
        "next_attempt_time": due,
        "avoided_nodes": avoided or None,
    }
    message = f"{describe(failure)}; next attempt at {due:%H:%M:%S}Z"
    return Verdict(Stage("Retrying", failure.class_, message), update, wake_at=due)


def backoff(failure_class: str, retries: int) -> timedelta:
    """The pause after the failure of this class and number, from 1."""
    if failure_class == "Storage":
        return STORAGE_BACKOFF[min(retries, len(STORAGE_BACKOFF)) - 1]
    doublings = min(retries - 1, 10)
    return min(FIRST_BACKOFF * (1 << doublings), LONGEST_BACKOFF)
