"""What to do for an object, given what is seen of it. Pure and total; deciding again on the outcome yields nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ValidationError

from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import FINISHED, BertFinetuneStatus
from bertfinetune_operator.decision.next_status import advance, merge_patch, rejected, with_duration
from bertfinetune_operator.decision.policies import (
    attempts,
    cleanup,
    deadlines,
    ending,
    in_progress,
    node_loss,
    stalled,
    suspend,
)
from bertfinetune_operator.decision.situation import Situation, Verdict
from bertfinetune_operator.decision.views import JobView, Observed, Question
from bertfinetune_operator.kinds import Manifest, Object
from bertfinetune_operator.manifests.event import Event
from bertfinetune_operator.manifests.job import build_job, refusal
from bertfinetune_operator.settings import Settings

POLICIES: tuple[Callable[[Situation], Verdict | None], ...] = (
    ending.verdict,
    suspend.verdict,
    node_loss.verdict,
    deadlines.verdict,
    stalled.verdict,
    attempts.verdict,
    in_progress.verdict,
)
"""In order: the first that has something to say decides; the last always has."""


@dataclass(frozen=True)
class Decision:
    """What to do for one object, in this order: ask and decide again; create, patch the status, post events, delete."""

    ask: tuple[Question, ...] = ()
    create: Manifest | None = None
    status_patch: dict[str, Any] | None = None
    """JSON merge patch (RFC 7396) of .status; None if nothing changed."""
    is_urgent: bool = False
    """Whether the patch must not wait to be merged with the next one."""
    events: tuple[Event, ...] = ()
    delete: tuple[JobView, ...] = ()
    wake_at: datetime | None = None
    """When to decide again, although nothing happened."""


def decide(raw: Object, observed: Observed, settings: Settings, now: datetime) -> Decision:
    """Decide what `raw`, a BertFinetune as the API server stores it, needs at time `now`.

    A vanishing object needs nothing, a finished one at most that its Jobs are deleted, whatever became of them, and
    that a change of its spec is acknowledged: until then kstatus takes it for unfinished.
    """
    now = now.astimezone(UTC).replace(microsecond=0)  # the resolution of Kubernetes' times
    recorded = raw.get("status") or {}
    if raw["metadata"].get("deletionTimestamp"):
        return Decision()
    if recorded.get("phase") in FINISHED:
        ended_at = datetime.fromisoformat(recorded["completionTime"])
        ttl = raw["spec"].get("ttlSecondsAfterFinished", settings.trainer_ttl_seconds_after_finished)
        delete, wake_at = cleanup.due(ttl, ended_at, observed, now)
        return Decision(status_patch=_acknowledged(raw, recorded), delete=delete, wake_at=wake_at)
    current = BertFinetuneStatus.model_validate(recorded)
    try:
        obj = BertFinetune.model_validate(raw)
    except ValidationError as error:
        return _rejection(raw, current, _sentence(error), now)
    situation = Situation(obj, current, observed, now)
    verdict = next(verdict for policy in POLICIES if (verdict := policy(situation)))
    if verdict.ask:
        return Decision(ask=verdict.ask)
    if verdict.create and (sentence := refusal(obj, settings)):
        return _rejection(raw, current, sentence, now)
    new = advance(situation, verdict)
    create = build_job(obj, new, settings) if verdict.create else None
    patch = None if new == current else _patch(recorded, new, now)
    failed = new.last_failure != current.last_failure  # its pod may be gone in a moment
    refused = new.reason == "JobRefused" != current.reason
    urgent = new.phase in FINISHED or failed or refused or bool(verdict.delete)
    return Decision((), create, patch, urgent, events_of(current, new), verdict.delete, verdict.wake_at)


def _rejection(raw: Object, current: BertFinetuneStatus, sentence: str, now: datetime) -> Decision:
    new = rejected(current, raw["metadata"].get("generation", 1), sentence, now)
    patch = _patch(raw.get("status") or {}, new, now)
    return Decision(status_patch=patch, is_urgent=True, events=events_of(current, new))


def _acknowledged(raw: Object, recorded: Object) -> dict[str, Any] | None:
    generation = raw["metadata"].get("generation")
    observed = recorded.get("observedGeneration", generation)
    return None if observed == generation else {"observedGeneration": generation}


def _patch(recorded: Object, new: BertFinetuneStatus, now: datetime) -> dict[str, Any]:
    desired = with_duration(new, now).model_dump(mode="json", by_alias=True, exclude_none=True)
    return merge_patch(recorded, desired)


def _ended_by(status: BertFinetuneStatus) -> tuple[str, ...]:
    """Reasons of Retrying that say how the last attempt ended, and not why the next one waits."""
    return ("Collapsed", status.last_failure.class_) if status.last_failure else ("Collapsed",)


def _sentence(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors())


WARNINGS = frozenset({"Failed", "Retrying", "Pending"})
"""Phases worth a warning."""

PASSING = frozenset({"PodPending", "Stopping", "Fetching", "Queued"})
"""Reasons of Pending and Queued that need nobody's help, and so no warning."""

VERDICTS = frozenset({("Collapsed", "True"), ("AccuracyReached", "False")})
"""Conditions, with their status, that make an event of their own."""


def events_of(current: BertFinetuneStatus, new: BertFinetuneStatus) -> tuple[Event, ...]:
    """An event for each change of phase, for each reason to wait that somebody may remove, and for bad results."""
    events = []
    waits = new.phase in ("Pending", "Queued") or (new.phase == "Retrying" and new.reason not in _ended_by(new))
    is_stuck = waits and new.reason != current.reason and new.reason not in PASSING
    if is_stuck or new.phase not in (current.phase, "Pending"):
        kind: Literal["Normal", "Warning"] = "Warning" if is_stuck or new.phase in WARNINGS else "Normal"
        events.append(Event(kind, str(new.phase), f"{new.reason}: {new.message}", new.attempt))
    before = {(condition.type, condition.status) for condition in current.conditions or ()}
    events += [
        Event("Warning", condition.reason, condition.message, new.attempt)
        for condition in new.conditions or ()
        if (condition.type, condition.status) in VERDICTS - before
    ]
    return tuple(events)
