"""One pass over one object: gather, decide, perform. Idempotent, so that it may run too often, too late or again."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from bertfinetune_operator.api.status import printable
from bertfinetune_operator.cluster.client import Cluster
from bertfinetune_operator.cluster.network_policies import NetworkPolicies
from bertfinetune_operator.decision import kueue
from bertfinetune_operator.decision.decide import Decision, decide
from bertfinetune_operator.decision.views import MAX_MESSAGE, Question
from bertfinetune_operator.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError, OverloadedError
from bertfinetune_operator.informer.index import Entry, Index, Key
from bertfinetune_operator.kinds import Manifest, Object
from bertfinetune_operator.manifests.event import Event, event_manifest
from bertfinetune_operator.settings import Settings
from bertfinetune_operator.telemetry.counters import Metrics

SETTLE_SECONDS = 1.0
LONGEST_SETTLE_SECONDS = 60.0
SETTLED_PER_SECOND = 20.0
"""A change of the status waits for the next one before it is written: a second and, when many change at once, as long
as it takes to write all of them at this rate, up to a minute. So states that pass at once are not written, and a burst
of new objects gets its Jobs first. An end is written at once."""

ASK_AGAIN_SECONDS = 30.0
ASKED_PER_SECOND = 20.0
"""Why something waits may change: what was answered is asked again after this time and, when many wait, not before all
of them can be asked at this rate."""

MAX_LOG_TAIL = 2048
"""Bytes kept of a failed pod's log."""

logger = logging.getLogger(__name__)


class Reconciler:
    """Brings the cluster and an object's status in line with what the object asks for and what has happened."""

    def __init__(
        self,
        index: Index,
        cluster: Cluster,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._index = index
        self._cluster = cluster
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._network_policies = NetworkPolicies(cluster, settings.trainer_network_policies, clock)
        self._changed: dict[Key, float] = {}
        """Since when a changed status waits to be written, in seconds of the clock."""
        self._asking: set[Key] = set()
        """Those that are to be asked about again."""

    async def reconcile(self, key: Key) -> float | None:
        """Do what the object under `key` needs now; raise ClusterError to be called again.

        Returns the seconds after which to call again although nothing happened, or None.
        """
        self._asking.discard(key)
        entry = self._index.get(key)
        if entry is None or entry.obj is None:
            self._changed.pop(key, None)
            self._network_policies.forget(key.namespace)
            return None
        is_fresh, entry.is_fresh = entry.is_fresh, False
        decision = await self._decide(key, entry, entry.obj)
        if decision.create:
            if not is_fresh:  # the object may be gone without a word: a write at its version tells
                await self._write(key, entry.obj, decision.status_patch or {}, decision.events)
                if entry.obj is None:
                    return None
            await self._create(key, entry, entry.obj, decision.create)
            decision = await self._decide(key, entry, entry.obj)
        delay = await self._report(key, entry.obj, decision)
        for job in decision.delete:
            await self._cluster.delete_job(key.namespace, job.name, job.uid)
            self._index.deleting(key, job)
        if not entry.is_finished:  # a release before this one may have left policies that admit its own operator only
            await self._network_policies.ensure(key.namespace)
        logs = {question: text for question, text in entry.answers.items() if question.kind == "log"}
        if logs != entry.answers and key not in self._changed and delay != 0.0:
            entry.answers = logs
            self._asking.add(key)
            again = ask_again_seconds(len(self._asking))
            delay = min(delay, again) if delay is not None else again
        return delay

    async def _decide(self, key: Key, entry: Entry, obj: Object) -> Decision:
        """The decision, once all it asks for is known."""
        while (decision := decide(obj, entry.observed(), self._settings, self._clock())).ask:
            for question in decision.ask:
                entry.answers[question] = await self._answer(key.namespace, question)
        return decision

    async def _answer(self, namespace: str, question: Question) -> str:
        match question.kind:
            case "log":
                log = await self._cluster.log_tail(namespace, question.name, question.part, MAX_LOG_TAIL)
                return printable(log)
            case "quiet":
                is_quiet = await self._cluster.is_quiet(namespace, question.name, question.part, question.seconds)
                return "quiet" if is_quiet else ""
            case "warning":
                return await self._cluster.newest_warning(namespace, question.part)
            case "podgroup":
                return unschedulable(await self._cluster.pod_group(namespace, question.name))
            case "workload":
                return await self._why_held(namespace, question.part)

    async def _why_held(self, namespace: str, job_uid: str) -> str:
        try:
            return printable(kueue.why_held(await self._cluster.workloads(namespace, job_uid))[:MAX_MESSAGE])
        except NotFoundError:
            return kueue.NOT_INSTALLED
        except ForbiddenError:
            return kueue.UNREADABLE

    async def _create(self, key: Key, entry: Entry, obj: Object, job: Manifest) -> None:
        """Create a Job, or find the one an earlier pass created: its name holds the object's uid and the attempt."""
        try:
            await self._network_policies.ensure(key.namespace)  # before there is a pod that they are for
            created = await self._cluster.create_job(job)
        except ConflictError:
            created = await self._cluster.get_job(job["metadata"]["namespace"], job["metadata"]["name"])
        except OverloadedError:  # nobody can help, and another write makes it worse
            raise
        except ClusterError as refusal:
            entry.refusal = str(refusal)
            await self._report(key, obj, await self._decide(key, entry, obj))
            raise
        entry.refusal = None
        self._index.put(created)

    async def _report(self, key: Key, obj: Object, decision: Decision) -> float | None:
        """Write the status, unless it may still change within a moment; returns when to look again, in seconds."""
        now = self._clock()
        if decision.status_patch is not None:
            since = self._changed.setdefault(key, now.timestamp())
            waits = since + settle_seconds(len(self._changed)) - now.timestamp()
            if waits > 0 and not decision.is_urgent:
                return waits
            await self._write(key, obj, decision.status_patch, decision.events)
            if entry := self._index.get(key):
                entry.is_fresh = True  # the write was to an object that exists
            return 0.0  # what follows from the new status: no watch tells of what is known already
        self._changed.pop(key, None)
        return max(0.0, (decision.wake_at - now).total_seconds()) if decision.wake_at else None

    async def _write(self, key: Key, obj: Object, patch: Manifest, events: Iterable[Event]) -> None:
        """Patch the status and post the events; an object that is gone is forgotten."""
        try:
            written = await self._cluster.patch_status(obj, patch)
        except NotFoundError:
            self._index.discard(obj)
            return
        self._changed.pop(key, None)
        self._index.put(written)
        self._metrics.changed(obj, written)
        for event in events:
            try:
                await self._cluster.create_event(event_manifest(obj, event, self._clock()))
            except ClusterError as error:
                logger.warning("no event %s for %s: %s", event.reason, obj["metadata"]["name"], error)


def settle_seconds(changed: int) -> float:
    """How long a change of the status waits when so many do."""
    return min(SETTLE_SECONDS + (changed - 1) / SETTLED_PER_SECOND, LONGEST_SETTLE_SECONDS)


def ask_again_seconds(waiting: int) -> float:
    """After what time it is asked again why one of so many waits."""
    return max(ASK_AGAIN_SECONDS, waiting / ASKED_PER_SECOND)


def unschedulable(pod_group: Object | None) -> str:
    """Why Volcano does not place a PodGroup (scheduling.volcano.sh/v1beta1), in its own words, or ""."""
    conditions = (pod_group or {}).get("status", {}).get("conditions", ())
    waiting = [c for c in conditions if c.get("type") == "Unschedulable" and c.get("status") == "True"]
    return ": ".join(filter(None, (waiting[-1].get("reason"), waiting[-1].get("message")))) if waiting else ""
