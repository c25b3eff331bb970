"""Whether a failed attempt is followed by another one, when, and on which nodes."""

from datetime import datetime, timedelta

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

MAX_AVOIDED = 16
"""Nodes avoided at most, the newest ones: a manifest has to end somewhere."""


def verdict(run: Run, job: JobView) -> Verdict:
    """What follows a failed Job."""
    failure = run.failure or _failure_without_pod(run, job)
    if run.failed and (ask := run.unanswered(log_of(run.failed))):
        return Verdict(Stage("Retrying", failure.class_, describe(failure)), ask=ask)
    counted = failure.class_ not in DISRUPTIONS
    if failure.class_ in PERMANENT or (counted and run.status.retries >= run.obj.spec.backoff_limit):
        return Verdict(Stage("Failed", failure.class_, describe(failure)), {"last_failure": failure})
    return next_attempt(run, failure, job.finished_at or run.now, counted=counted)


def _failure_without_pod(run: Run, job: JobView) -> Failure:
    """What is known of a failure whose pod is gone: what was recorded of it, else the Job's own words."""
    recorded, pod = run.status.last_failure, run.status.pod_name
    if recorded and recorded.pod == pod:
        return recorded
    why = ": ".join(filter(None, (job.reason, job.message))) or "see kubectl describe job"
    return Failure(pod=pod or job.name, class_="Unknown", message=f"the Job failed: {why}")


def next_attempt(run: Run, failure: Failure, ended_at: datetime, *, counted: bool) -> Verdict:
    """Another attempt after the back-off."""
    retries = run.status.retries + counted
    due = ended_at + backoff(retries if counted else 1)
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


def backoff(retries: int) -> timedelta:
    """The pause after the failure with this number, from 1."""
    doublings = min(retries - 1, 10)
    return min(FIRST_BACKOFF * (1 << doublings), LONGEST_BACKOFF)
