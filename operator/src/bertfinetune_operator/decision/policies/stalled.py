"""spec.stalledDeadlineSeconds: a trainer that no longer moves is stopped, and the next attempt goes on from there."""

from datetime import datetime, timedelta

from bertfinetune_operator.api.status import Failure, Movement
from bertfinetune_operator.decision.next_status import movement
from bertfinetune_operator.decision.policies import retry
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict, log_of
from bertfinetune_operator.decision.views import PodView, Question

LOOK_AGAIN = timedelta(seconds=30)
"""Between two looks at a trainer that is due and does not answer."""


def verdict(situation: Situation) -> Verdict | None:
    """The next attempt, once the trainer has stood still for so long, or has given no sign of life at all."""
    pod, report, limit = situation.pod, situation.progress, situation.obj.spec.stalled_deadline_seconds
    last = movement(situation)
    due = _due(last, limit)
    if last is None or pod is None or due is None or situation.now < due:
        return None
    if report is not None and report.heard_at is not None and report.heard_at >= due:
        message = (
            f"no step and no evaluation batch within stalledDeadlineSeconds={limit}, at step {report.progress.step}"
        )
        return _stopped(situation, pod, message)
    if situation.now < due + LOOK_AGAIN:
        return None
    # Silence alone is no standstill: something may keep the operator from the trainer. Its log comes by the kubelet.
    quiet = Question("quiet", pod.name, pod.container, limit or 0)
    message = f"no answer and no line in its log within stalledDeadlineSeconds={limit}, after step {last.step}"
    if ask := situation.unanswered(quiet):
        return Verdict(Stage("Retrying", "Stalled", message), ask=ask)
    return _stopped(situation, pod, message) if situation.observed.answers[quiet] else None


def _stopped(situation: Situation, pod: PodView, message: str) -> Verdict:
    question = log_of(pod)
    if ask := situation.unanswered(question):
        return Verdict(Stage("Retrying", "Stalled", message), ask=ask)
    log_tail = situation.observed.answers[question] or None
    return retry.interrupted(
        situation, Failure(pod=pod.name, node=pod.node, class_="Stalled", message=message, log_tail=log_tail)
    )


def look_at(situation: Situation) -> datetime | None:
    """When to look at the trainer again."""
    due = _due(movement(situation), situation.obj.spec.stalled_deadline_seconds)
    return due if due is None or situation.now < due else situation.now + LOOK_AGAIN


def _due(last: Movement | None, limit: int | None) -> datetime | None:
    if last and last.phase == "Evaluating" and last.evaluation_batches is None:
        return None  # a trainer of 0.2.0 does not count them, so nothing of it moves until it is done
    return last.time + timedelta(seconds=limit) if limit and last else None
