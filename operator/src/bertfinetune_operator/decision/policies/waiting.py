"""Why an attempt has not started yet, as its pod, its PodGroup, its Workload or the newest warning about it says."""

from datetime import datetime, timedelta

from bertfinetune_operator.api.accelerator import CARD_ADDRESSES
from bertfinetune_operator.decision.situation import Situation
from bertfinetune_operator.decision.views import JobView, Question

PATIENCE = timedelta(seconds=10)
"""A Job is admitted, gets its pod, and a pod its containers, within this time, unless something is in the way."""


def questions(situation: Situation) -> tuple[Question, ...]:
    """What has to be asked, since none of the children says why the attempt waits."""
    job, pod, ends = situation.job, situation.pod, patience_ends(situation)
    if job and job.suspended:
        return (workload_of(job),) if ends and situation.now >= ends else ()
    ask = [Question("podgroup", pod.group)] if pod and pod.state == "Waiting" and pod.group else []
    if ends and situation.now >= ends:
        if pod:
            ask.append(Question("warning", pod.name, pod.uid))
        elif job:
            ask.append(Question("warning", job.name, job.uid))
    return tuple(ask)


def workload_of(job: JobView) -> Question:
    """The question why Kueue holds a Job."""
    return Question("workload", job.name, job.uid)


def patience_ends(situation: Situation) -> datetime | None:
    """When to ask why a Job is held, why there is no pod, or why a pod that says nothing has no container."""
    job, pod = situation.job, situation.pod
    if job and job.suspended:
        return job.created_at + PATIENCE if job.created_at else None
    if pod:
        return pod.created_at + PATIENCE if pod.created_at and pod.state == "Waiting" and not pod.reason else None
    return job.started_at + PATIENCE if job and job.started_at else None


def why(situation: Situation) -> tuple[str, str] | None:
    """One word and one line, or None where nobody says anything."""
    for question in questions(situation):
        answer = situation.observed.answers.get(question)
        if answer and question.kind == "podgroup":
            return "PodGroupPending", answer
        if answer:  # the event's reason and note; the controller of Jobs has one reason for whatever is in its way
            reason, _, note = answer.partition(": ")
            return (reason if situation.pod else "PodRefused"), note + _remedy(note)
    return (situation.pod.reason, situation.pod.message) if situation.pod and situation.pod.reason else None


def _remedy(note: str) -> str:
    """What helps where Pod Security, or a node without that file, is in the way of a volume that no user asked for."""
    if f'"{CARD_ADDRESSES.name}"' not in note:
        return ""
    return f"; install the chart with ascend.cardAddresses=false, then {CARD_ADDRESSES.path} is not mounted"
