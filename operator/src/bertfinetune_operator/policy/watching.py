"""Where an attempt is while nothing has to be done: in a queue, waiting for its pod, preparing, training."""

from datetime import datetime, timedelta

from bertfinetune_operator.observe import PodView, Question
from bertfinetune_operator.policy import deadlines, node_loss
from bertfinetune_operator.run import Run, Stage, Verdict, describe, log_of
from bertfinetune_operator.status import Phase

PATIENCE = timedelta(seconds=10)
"""A Job without a pod for this long has been refused one."""


def verdict(run: Run) -> Verdict:
    """The stage; a question where the reason is in none of the children."""
    ask = questions(run)
    times = (deadlines.next_deadline(run), node_loss.known_at(run), _patience_ends(run))
    coming = [time for time in times if time and time > run.now]
    return Verdict(stage_of(run), ask=run.unanswered(*ask), wake_at=min(coming, default=None))


def questions(run: Run) -> tuple[Question, ...]:
    """What has to be asked to say why the attempt is where it is."""
    job, pod = run.job, run.pod
    if pod and pod.failure:
        return (log_of(pod),)
    if pod and pod.state == "Waiting" and pod.group:
        return (Question("podgroup", pod.group),)
    if job and pod is None and (ends := _patience_ends(run)) and run.now >= ends:
        return (Question("warning", job.name, job.uid),)
    return ()


def _patience_ends(run: Run) -> datetime | None:
    job = run.job
    return job.started_at + PATIENCE if job and job.started_at and not (run.pod or job.suspended) else None


def stage_of(run: Run) -> Stage:
    """Phase, reason and message of an attempt whose Job is at work."""
    job, pod = run.job, run.pod
    if job and job.suspended:
        return Stage("Queued", "Queued", "waiting for Kueue to admit the Job")
    if pod is None or pod.state == "Waiting":
        return _waiting(run, pod)
    if pod.state == "Running":
        return _running(run)
    if pod.failure:
        return Stage("Retrying", pod.failure.class_, describe(pod.failure))
    return Stage("Running", "Finished", "the trainer has finished, waiting for the Job to complete")


def _waiting(run: Run, pod: PodView | None) -> Stage:
    failure = run.failure or run.status.last_failure
    phase: Phase = "Retrying" if failure or run.status.trials else "Pending"
    for question in questions(run):
        if why := run.observed.answers.get(question):
            return Stage(phase, "PodRefused" if question.kind == "warning" else "PodGroupPending", why)
    if pod and pod.reason:
        return Stage(phase, pod.reason, pod.message)
    if failure:
        return Stage(phase, failure.class_, describe(failure))
    return Stage(phase, "PodPending", "waiting for the pod to start" if pod else "waiting for the Job's first pod")


def _running(run: Run) -> Stage:
    phase = run.progress.phase if run.progress else "Preparing"
    match phase:
        case "Training":
            return Stage("Running", phase, "the trainer is training")
        case "Evaluating":
            return Stage("Running", phase, "the trainer is evaluating")
        case "Finished":
            return Stage("Running", phase, "the trainer is writing its result")
    return Stage("Preparing", "Preparing", "the trainer is loading model and data")
