"""The two deadlines: how long an attempt may hold cards without starting, and how long a run may train."""

from datetime import datetime, timedelta

from bertfinetune_operator.api.status import Failure
from bertfinetune_operator.decision.next_status import movement
from bertfinetune_operator.decision.policies import waiting
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict, log_of
from bertfinetune_operator.decision.views import IMAGE_REASONS, JobView, PodView


def verdict(situation: Situation) -> Verdict | None:
    """Failure, once a deadline has passed; cleanup.py then deletes the Job, so that its cards are free."""
    job, pod = situation.job, situation.pod
    if job is None or job.state != "Active":
        return None
    if (due := _to_start(situation)) and situation.now >= due:
        return _never_started(situation, job, pod)
    if pod and (due := _to_end(situation)) and situation.now >= due:
        return _too_slow(situation, pod)
    return None


def next_deadline(situation: Situation) -> datetime | None:
    """When the first of the deadlines that apply now passes, if there is one."""
    return min((due for due in (_to_start(situation), _to_end(situation)) if due), default=None)


def _to_start(situation: Situation) -> datetime | None:
    """When the attempt must have started: its container, and with a stalledDeadlineSeconds its first step, too.

    That a step is not done yet is known by the trainer's report only; where none arrives, it counts as done.
    """
    limit, job, pod = situation.obj.spec.pending_deadline_seconds, situation.job, situation.pod
    if limit is None or job is None or job.suspended or (pod and not pod.is_alive):
        return None
    if pod and pod.started_at:
        prepares = (
            situation.progress is not None
            and situation.obj.spec.stalled_deadline_seconds
            and movement(situation) is None
        )
        if not prepares:
            return None
    since = pod.created_at if pod else job.started_at
    return (since or situation.now) + timedelta(seconds=limit)


def _to_end(situation: Situation) -> datetime | None:
    """When the time of training is used up."""
    limit, since = situation.obj.spec.active_deadline_seconds, situation.active_since
    return (
        since + timedelta(seconds=limit - situation.status.active_seconds)
        if limit and since and situation.job
        else None
    )


def _never_started(situation: Situation, job: JobView, pod: PodView | None) -> Verdict:
    seconds = situation.obj.spec.pending_deadline_seconds
    if pod and pod.started_at:
        ask, why = situation.unanswered(log_of(pod)), "the trainer has not done its first step"
    else:
        ask, told = situation.unanswered(*waiting.questions(situation)), waiting.why(situation)
        why = ": ".join(told) if told else "no container has started"
    failure = Failure(
        pod=pod.name if pod else job.name,
        node=pod.node if pod else None,
        class_="ImagePull" if pod and pod.reason in IMAGE_REASONS else "Deadline",
        message=why,
        log_tail=situation.observed.answers.get(log_of(pod)) or None if pod else None,
    )
    message = f"not started within pendingDeadlineSeconds={seconds}: {why}"
    return Verdict(Stage("Failed", "PendingDeadlineExceeded", message), {"last_failure": failure}, ask=ask)


def _too_slow(situation: Situation, pod: PodView) -> Verdict:
    question = log_of(pod)
    message = f"not finished after activeDeadlineSeconds={situation.obj.spec.active_deadline_seconds} of training"
    stage = Stage("Failed", "DeadlineExceeded", f"{message}; the newest checkpoint is kept")
    if ask := situation.unanswered(question):
        return Verdict(stage, ask=ask)
    failure = Failure(
        pod=pod.name,
        node=pod.node,
        class_="Deadline",
        message=message,
        log_tail=situation.observed.answers[question] or None,
    )
    return Verdict(stage, {"last_failure": failure})
