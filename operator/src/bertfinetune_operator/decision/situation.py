"""One run as the policies look at it, and what a policy answers. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import BertFinetuneStatus, Failure, Phase, Result
from bertfinetune_operator.decision.views import JobView, Observed, PodView, ProgressView, Question


class Stage(NamedTuple):
    """Phase, one word why, one line why."""

    phase: Phase
    reason: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """What a policy wants: where the run is, and what is to be done about it."""

    stage: Stage
    update: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the status that only this policy changes."""
    create: bool = False
    """Whether to create the Job of the attempt that the updated status names."""
    delete: tuple[JobView, ...] = ()
    """Jobs to delete, with their pods, once the status is written."""
    ask: tuple[Question, ...] = ()
    """What must be known first; while it is not, nothing else is done."""
    wake_at: datetime | None = None
    """When to look again, although nothing happened."""


@dataclass(frozen=True)
class Situation:
    """An object, its record and what is seen of its children at time `now`."""

    obj: BertFinetune
    status: BertFinetuneStatus
    observed: Observed
    now: datetime

    @cached_property
    def attempt(self) -> int:
        """The present attempt: the recorded one, unless a Job shows that the next one has begun already."""
        return max([self.status.attempt, *(job.attempt for job in self.observed.jobs)])

    @property
    def next_attempt_time(self) -> datetime | None:
        """When the next attempt is due, once the present one has ended."""
        return self.status.next_attempt_time if self.attempt == self.status.attempt else None

    @cached_property
    def job(self) -> JobView | None:
        """The present attempt's Job."""
        return next((job for job in self.observed.jobs if job.attempt == self.attempt), None)

    @cached_property
    def pods(self) -> tuple[PodView, ...]:
        """The present attempt's pods, oldest first; a Job replaces pods that were disrupted."""
        return tuple(pod for pod in self.observed.pods if pod.attempt == self.attempt)

    @property
    def pod(self) -> PodView | None:
        """The newest of them."""
        return self.pods[-1] if self.pods else None

    @property
    def pod_name(self) -> str | None:
        """The name recorded of the present attempt's newest pod, which may be gone."""
        return self.status.pod_name if self.attempt == self.status.attempt else None

    @property
    def progress(self) -> ProgressView | None:
        """What the present attempt's newest pod reports."""
        is_present = self.next_attempt_time is None and self.pods and self.pods[-1] == self.observed.pods[-1]
        return self.observed.progress if is_present else None

    @property
    def active_since(self) -> datetime | None:
        """Since when the present pod trains."""
        pod, status = self.pod, self.status
        if pod is None or pod.state != "Running":
            return None
        return (status.active_since if status.pod_name == pod.name else None) or self.started_at(pod)

    def started_at(self, pod: PodView) -> datetime | None:
        """When a pod's container started, between the pod's creation and now: its node's clock may be off."""
        return min(max(pod.started_at, pod.created_at or pod.started_at), self.now) if pod.started_at else None

    @property
    def alive(self) -> PodView | None:
        """A pod of any attempt that may still write to the output, unless its node is lost."""
        return next((pod for pod in self.observed.pods if pod.is_alive and not pod.is_lost(self.now)), None)

    @cached_property
    def failed(self) -> PodView | None:
        """The present attempt's newest pod that failed."""
        return next((pod for pod in reversed(self.pods) if pod.failure), None)

    @property
    def failure(self) -> Failure | None:
        """Its failure, with the end of its log where that is known, and with the last that it told of its memory."""
        if self.failed is None or self.failed.failure is None:
            return None
        failure, message = self.failed.failure, self.failed.failure.message
        if failure.class_ == "OOMKilled" and self.failed == self.pod and self.progress and self.progress.peak_memory:
            message += f"; last seen at {self.progress.peak_memory / 2**30:.2f}Gi"
        log_tail = self.observed.answers.get(log_of(self.failed)) or None
        return failure.model_copy(update={"log_tail": log_tail, "message": message})

    @property
    def result(self) -> Result | None:
        """The present trial's result, once there is one."""
        seen = next((pod.result for pod in self.pods if pod.result), None)
        return seen or (self.status.result if self.next_attempt_time is None else None)

    def unanswered(self, *questions: Question) -> tuple[Question, ...]:
        """Those of the questions that nobody has answered."""
        return tuple(question for question in questions if question not in self.observed.answers)


def log_of(pod: PodView) -> Question:
    """The question for the end of a pod's log."""
    return Question("log", pod.name, pod.container)


def describe(failure: Failure) -> str:
    """A failure in one line."""
    where = f" on {failure.node}" if failure.node else ""
    how = f"exited {failure.exit_code}" if failure.exit_code is not None else "failed"
    return f"pod {failure.pod}{where} {how}: {failure.message}"
