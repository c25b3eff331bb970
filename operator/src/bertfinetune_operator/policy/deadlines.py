"""The two deadlines: how long an attempt may hold cards without starting, and how long a run may train."""

from datetime import datetime, timedelta

from bertfinetune_operator.observe import IMAGE_REASONS, JobView, PodView
from bertfinetune_operator.run import Run, Stage, Verdict, log_of
from bertfinetune_operator.status import Failure


def verdict(run: Run) -> Verdict | None:
    """Failure, once a deadline has passed; cleanup.py then deletes the Job, so that its cards are free."""
    job, pod, due = run.job, run.pod, next_deadline(run)
    if job is None or job.state != "Active" or due is None or run.now < due:
        return None
    return _too_slow(run, pod) if pod and pod.started_at else _never_started(run, job, pod)


def next_deadline(run: Run) -> datetime | None:
    """When the deadline of what the attempt does now passes, if there is one."""
    spec, job, pod = run.obj.spec, run.job, run.pod
    if job is None or job.suspended or (pod and not pod.is_alive):
        return None
    if pod and pod.started_at:
        limit, since = spec.active_deadline_seconds, pod.started_at
        spent = run.status.active_seconds
    else:
        limit, since = spec.pending_deadline_seconds, (pod.created_at if pod else job.started_at) or run.now
        spent = 0
    return since + timedelta(seconds=limit - spent) if limit else None


def _never_started(run: Run, job: JobView, pod: PodView | None) -> Verdict:
    seconds = run.obj.spec.pending_deadline_seconds
    why = f"{pod.reason}: {pod.message}" if pod and pod.reason else "no container has started"
    failure = Failure(
        pod=pod.name if pod else job.name,
        node=pod.node if pod else None,
        class_="ImagePull" if pod and pod.reason in IMAGE_REASONS else "Deadline",
        message=why,
    )
    message = f"not started within pendingDeadlineSeconds={seconds}: {why}"
    return Verdict(Stage("Failed", "PendingDeadlineExceeded", message), {"last_failure": failure})


def _too_slow(run: Run, pod: PodView) -> Verdict:
    question = log_of(pod)
    message = f"not finished after activeDeadlineSeconds={run.obj.spec.active_deadline_seconds} of training"
    stage = Stage("Failed", "DeadlineExceeded", f"{message}; the newest checkpoint is kept")
    if ask := run.unanswered(question):
        return Verdict(stage, ask=ask)
    failure = Failure(
        pod=pod.name,
        node=pod.node,
        class_="Deadline",
        message=message,
        log_tail=run.observed.answers[question] or None,
    )
    return Verdict(stage, {"last_failure": failure})
