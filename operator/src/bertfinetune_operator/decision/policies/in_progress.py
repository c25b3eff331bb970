"""Where an attempt is while nothing has to be done: in a queue, waiting for its pod, preparing, training."""

from datetime import datetime, timedelta

from bertfinetune_operator.api.status import Phase
from bertfinetune_operator.decision import kueue
from bertfinetune_operator.decision.policies import deadlines, node_loss, stalled, waiting
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict, describe, log_of
from bertfinetune_operator.decision.views import PodView, Question

SILENCE = timedelta(minutes=2)
"""A trainer answers within this time, or something keeps the operator from it: mutual TLS, a network policy."""


def verdict(situation: Situation) -> Verdict:
    """The stage; a question where the reason is in none of the children."""
    times = (
        *(deadlines.next_deadline(situation), stalled.look_at(situation)),
        *(node_loss.known_at(situation), waiting.patience_ends(situation), _silence_ends(situation)),
    )
    coming = [time for time in times if time and time > situation.now]
    return Verdict(
        stage_of(situation), ask=situation.unanswered(*_questions(situation)), wake_at=min(coming, default=None)
    )


def _questions(situation: Situation) -> tuple[Question, ...]:
    log = (log_of(situation.pod),) if situation.pod and situation.pod.failure else ()
    is_held = situation.job is not None and situation.job.suspended
    return (*log, *waiting.questions(situation)) if is_held or not log else log


def stage_of(situation: Situation) -> Stage:
    """Phase, reason and message of an attempt whose Job is at work."""
    job, pod = situation.job, situation.pod
    if job and job.suspended:
        return _queued(situation.observed.answers.get(waiting.workload_of(job), ""))
    if pod is None or pod.state == "Waiting":
        return _waiting(situation, pod)
    if pod.state == "Running":
        return _running(situation)
    if pod.failure:
        return Stage("Retrying", pod.failure.class_, describe(pod.failure))
    return Stage("Running", "Finished", "the trainer has finished, waiting for the Job to complete")


def _queued(why: str) -> Stage:
    reason = "Inadmissible" if kueue.needs_help(why) else "Queued"
    return Stage("Queued", reason, why or kueue.WAITING)


def _waiting(situation: Situation, pod: PodView | None) -> Stage:
    failure = situation.failure or situation.status.last_failure
    phase: Phase = "Retrying" if failure or situation.status.trials else "Pending"
    if told := waiting.why(situation):
        return Stage(phase, *told)
    if failure:
        return Stage(phase, failure.class_, describe(failure))
    return Stage(phase, "PodPending", "waiting for the pod to start" if pod else "waiting for the Job's first pod")


def _silence_ends(situation: Situation) -> datetime | None:
    """When a trainer that has reported nothing counts as running: it may be that its reports cannot be read."""
    return situation.active_since + SILENCE if situation.active_since and not situation.progress else None


def _running(situation: Situation) -> Stage:
    phase, status, ends = (
        situation.progress.phase if situation.progress else "",
        situation.status,
        _silence_ends(situation),
    )
    if situation.pod and ends and status.phase == "Running" and status.pod_name == situation.pod.name:
        return Stage("Running", status.reason or "", status.message or "")
    if ends and situation.now >= ends:
        return Stage("Running", "ProgressUnknown", "the trainer's container runs, and its port 8080 gives no answer")
    match phase:
        case "Training":
            return Stage("Running", phase, "the trainer is training")
        case "Evaluating":
            return Stage("Running", phase, "the trainer is evaluating")
        case "Finished":
            return Stage("Running", phase, "the trainer is writing its result")
    return Stage("Preparing", "Preparing", "the trainer is loading model and data")
