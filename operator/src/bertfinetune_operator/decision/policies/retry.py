"""Whether a failed attempt is followed by another one, when, and on which nodes."""

from dataclasses import replace
from datetime import datetime, timedelta

from bertfinetune_operator import contract
from bertfinetune_operator.api.status import Failure
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict, describe, log_of
from bertfinetune_operator.decision.views import JobView
from bertfinetune_operator.manifests.job import TERMINATION_GRACE_SECONDS

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


def verdict(situation: Situation, job: JobView) -> Verdict:
    """What follows a failed Job."""
    failure = situation.failure or _recorded(situation)
    if failure is None and _has_vanished(situation, job):
        message = "its pod was deleted by force: nobody has seen the trainer's end"
        return interrupted(
            situation, Failure(pod=str(situation.pod_name), class_="Interrupted", message=message), GRACE
        )
    failure = failure or _failure_without_pod(situation, job)
    if situation.failed and (ask := situation.unanswered(log_of(situation.failed))):
        return Verdict(Stage("Retrying", failure.class_, describe(failure)), ask=ask)
    counted = failure.class_ not in DISRUPTIONS
    if _is_no_fault_of_a_card(situation, failure):
        where = situation.status.last_failure and situation.status.last_failure.node
        message = f"{describe(failure)}; a card on {where} ended the run before its first step, too: it is not the card"
        return Verdict(Stage("Failed", failure.class_, message), {"last_failure": failure})
    if failure.class_ in PERMANENT or (counted and situation.status.retries >= situation.obj.spec.backoff_limit):
        return Verdict(Stage("Failed", failure.class_, describe(failure)), {"last_failure": failure})
    ended_at = job.finished_at or situation.now
    if failure.class_ == "OOMKilled":
        return _out_of_memory(situation, failure, ended_at)
    return next_attempt(situation, failure, ended_at, counted=counted)


def _out_of_memory(situation: Situation, failure: Failure, ended_at: datetime) -> Verdict:
    """What follows after spec.onOOM. The attempts that accumulate count, too: backoffLimit is the limit of all."""
    choice, steps = situation.obj.spec.on_oom, accumulation(situation)
    trains = (
        situation.failed is None or situation.failed.container == contract.CONTAINER_NAME
    )  # a download has no steps
    if choice == "Retry" or (choice == "Accumulate" and not trains):
        return next_attempt(situation, failure, ended_at, counted=True)
    size = situation.obj.spec.training.train_batch_size
    if choice == "Accumulate" and size % (2 * steps) == 0:
        verdict = next_attempt(situation, failure, ended_at, counted=True)
        stage = verdict.stage._replace(message=f"{verdict.stage.message} with gradientAccumulationSteps={2 * steps}")
        return replace(verdict, stage=stage, update={**verdict.update, "gradient_accumulation_steps": 2 * steps})
    further = f", and gradientAccumulationSteps={2 * steps} does not divide trainBatchSize={size}"
    why = f"onOOM={choice}{further if choice == 'Accumulate' else ''}"
    message = f"{describe(failure)}; {why}: raise spec.trainer.resources.limits.memory"
    return Verdict(Stage("Failed", "OOMKilled", message), {"last_failure": failure})


def accumulation(situation: Situation) -> int:
    """Lots of a training step in the attempt that has ended."""
    return situation.status.gradient_accumulation_steps or situation.obj.spec.training.gradient_accumulation_steps


def _recorded(situation: Situation) -> Failure | None:
    """What was recorded of the failure of a pod that is gone."""
    recorded = situation.status.last_failure
    return recorded if recorded and recorded.pod == situation.pod_name else None


def _has_vanished(situation: Situation, job: JobView) -> bool:
    """Whether the pod was there and is gone without an end; that a FailJob rule applied means that it had one."""
    return situation.pod_name is not None and not situation.pods and job.reason != "PodFailurePolicy"


def _is_no_fault_of_a_card(situation: Situation, failure: Failure) -> bool:
    """Whether cards on two different nodes have ended the run, one after the other, before its first step.

    The adapter reports what it cannot compile, or what the driver does not know, as it reports a broken card.
    """
    before, progress = situation.status.last_failure, situation.status.progress
    if before is None or (progress and progress.step):
        return False
    faults = [each for each in (before, failure) if each.class_ == "DeviceFault" and each.exit_code and each.node]
    return len({each.node for each in faults}) == 2


def _failure_without_pod(situation: Situation, job: JobView) -> Failure:
    """What a Job says whose pod nobody has seen."""
    why = ": ".join(filter(None, (job.reason, job.message))) or "see kubectl describe job"
    return Failure(pod=situation.pod_name or job.name, class_="Unknown", message=f"the Job failed: {why}")


def interrupted(situation: Situation, failure: Failure, pause: timedelta = timedelta()) -> Verdict:
    """Another attempt after what only looks like an interruption; from its class's fourth on it counts as a failure."""
    kind = "stalls" if failure.class_ == "Stalled" else "interruptions"
    number = (getattr(situation.status, kind) or 0) + 1
    counted = number > MAX_UNCOUNTED
    update = {kind: number}
    if counted and situation.status.retries >= situation.obj.spec.backoff_limit:
        return Verdict(Stage("Failed", failure.class_, describe(failure)), update | {"last_failure": failure})
    verdict = next_attempt(situation, failure, situation.now + pause, counted=counted)
    return replace(verdict, update={**update, **verdict.update})


def next_attempt(situation: Situation, failure: Failure, ended_at: datetime, *, counted: bool) -> Verdict:
    """Another attempt after the back-off."""
    retries = situation.status.retries + counted
    due = ended_at + backoff(failure.class_, retries if counted else 1)
    avoided = situation.status.avoided_nodes or []
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
