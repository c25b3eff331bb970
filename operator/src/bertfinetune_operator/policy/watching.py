"""Where an attempt is while nothing has to be done: in a queue, waiting for its pod, preparing, training."""

from datetime import datetime, timedelta

from bertfinetune_operator import kueue
from bertfinetune_operator.observe import PodView, Question
from bertfinetune_operator.policy import deadlines, node_loss, stalled, waiting
from bertfinetune_operator.run import Run, Stage, Verdict, describe, log_of
from bertfinetune_operator.status import Phase

SILENCE = timedelta(minutes=2)
"""A trainer answers within this time, or something keeps the operator from it: mutual TLS, a network policy."""


def verdict(run: Run) -> Verdict:
    """The stage; a question where the reason is in none of the children."""
    times = (
        *(deadlines.next_deadline(run), stalled.look_at(run)),
        *(node_loss.known_at(run), waiting.patience_ends(run), _silence_ends(run)),
    )
    coming = [time for time in times if time and time > run.now]
    return Verdict(stage_of(run), ask=run.unanswered(*_questions(run)), wake_at=min(coming, default=None))


def _questions(run: Run) -> tuple[Question, ...]:
    log = (log_of(run.pod),) if run.pod and run.pod.failure else ()
    is_held = run.job is not None and run.job.suspended
    return (*log, *waiting.questions(run)) if is_held or not log else log


def stage_of(run: Run) -> Stage:
    """Phase, reason and message of an attempt whose Job is at work."""
    job, pod = run.job, run.pod
    if job and job.suspended:
        return _queued(run.observed.answers.get(waiting.workload_of(job), ""))
    if pod is None or pod.state == "Waiting":
        return _waiting(run, pod)
    if pod.state == "Running":
        return _running(run)
    if pod.failure:
        return Stage("Retrying", pod.failure.class_, describe(pod.failure))
    return Stage("Running", "Finished", "the trainer has finished, waiting for the Job to complete")


def _queued(why: str) -> Stage:
    reason = "Inadmissible" if kueue.needs_help(why) else "Queued"
    return Stage("Queued", reason, why or kueue.WAITING)


def _waiting(run: Run, pod: PodView | None) -> Stage:
    failure = run.failure or run.status.last_failure
    phase: Phase = "Retrying" if failure or run.status.trials else "Pending"
    if told := waiting.why(run):
        return Stage(phase, *told)
    if failure:
        return Stage(phase, failure.class_, describe(failure))
    return Stage(phase, "PodPending", "waiting for the pod to start" if pod else "waiting for the Job's first pod")


def _silence_ends(run: Run) -> datetime | None:
    """When a trainer that has reported nothing counts as running: it may be that its reports cannot be read."""
    return run.active_since + SILENCE if run.active_since and not run.progress else None


def _running(run: Run) -> Stage:
    phase, status, ends = run.progress.phase if run.progress else "", run.status, _silence_ends(run)
    if run.pod and ends and status.phase == "Running" and status.pod_name == run.pod.name:
        return Stage("Running", status.reason or "", status.message or "")
    if ends and run.now >= ends:
        return Stage("Running", "ProgressUnknown", "the trainer's container runs, and its port 8080 gives no answer")
    match phase:
        case "Training":
            return Stage("Running", phase, "the trainer is training")
        case "Evaluating":
            return Stage("Running", phase, "the trainer is evaluating")
        case "Finished":
            return Stage("Running", phase, "the trainer is writing its result")
    return Stage("Preparing", "Preparing", "the trainer is loading model and data")
