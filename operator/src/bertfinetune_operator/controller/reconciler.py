"""One pass over one object: gather, decide, perform. Idempotent, so that it may run too often, too late or again."""

import logging
from collections.abc import Callable
from datetime import datetime

from bertfinetune_operator.cluster.client import Cluster
from bertfinetune_operator.cluster.network_policies import NetworkPolicies
from bertfinetune_operator.controller.answers import answer
from bertfinetune_operator.decision.decide import Decision, decide
from bertfinetune_operator.errors import ClusterError, ConflictError, NotFoundError, OverloadedError
from bertfinetune_operator.informer.index import Entry, Index, Key
from bertfinetune_operator.kinds import Manifest, Object
from bertfinetune_operator.manifests.event import event_manifest
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

AT_ONCE = 0.0
"""Seconds until a pass that nothing need be waited for."""

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
            self._forget(key)
            return None
        obj, is_fresh, entry.is_fresh = entry.obj, entry.is_fresh, False

        decision = await self._decide(key, entry, obj)

        if decision.create:
            if not is_fresh:  # the object may be gone without a word: a write at its version tells
                written = await self._write(key, obj, decision)
                if written is None:
                    self._forget(key)
                    return None
                obj = written
            await self._create(key, entry, obj, decision.create)
            return self._settles_in(key)  # the status will name the Job, and perhaps its pod by then
        unsettled = await self._report(key, entry, obj, decision)
        for job in decision.delete:
            await self._cluster.delete_job(key.namespace, job.name, job.uid)
            self._index.deleting(key, job)
        if not entry.is_finished:  # a release before this one may have left policies that admit its own operator only
            await self._network_policies.ensure(key.namespace)
        return self._look_again(key, entry, decision.wake_at) if unsettled is None else unsettled

    def _forget(self, key: Key) -> None:
        """The object is gone, and perhaps its namespace."""
        self._changed.pop(key, None)
        self._network_policies.forget(key.namespace)

    async def _decide(self, key: Key, entry: Entry, obj: Object) -> Decision:
        """The decision, once all it asks for is known."""
        while (decision := decide(obj, entry.observed(), self._settings, self._clock())).ask:
            for question in decision.ask:
                entry.answers[question] = await answer(self._cluster, key.namespace, question)
        return decision

    async def _create(self, key: Key, entry: Entry, obj: Object, job: Manifest) -> None:
        """Create a Job, or find the one an earlier pass created: its name holds the object's uid and the attempt.

        A refusal is an answer, too: what it means for the status is decided and written before it is raised.
        """
        try:
            await self._network_policies.ensure(key.namespace)  # before there is a pod that they are for
            created = await self._cluster.create_job(job)
        except ConflictError:
            created = await self._cluster.get_job(job["metadata"]["namespace"], job["metadata"]["name"])
        except OverloadedError:  # nothing is wrong with the Job, and another write makes it worse
            raise
        except ClusterError as refusal:
            entry.refusal = str(refusal)
            await self._report(key, entry, obj, await self._decide(key, entry, obj))
            raise
        entry.refusal = None
        self._index.put(created)

    async def _report(self, key: Key, entry: Entry, obj: Object, decision: Decision) -> float | None:
        """Write the status if it has changed, unless it may still change within a moment.

        Returns the seconds after which another pass is due for that, or None if the status is as it should be.
        """
        if decision.status_patch is None:
            self._changed.pop(key, None)
            return None
        settles_in = self._settles_in(key)
        if settles_in > AT_ONCE and not decision.is_urgent:
            return settles_in
        entry.is_fresh = await self._write(key, obj, decision) is not None
        return AT_ONCE  # what follows from the new status: no watch tells of what is known already

    async def _write(self, key: Key, obj: Object, decision: Decision) -> Object | None:
        """Patch the status and post the events; returns the object as it is then, or None: it is gone and forgotten."""
        try:
            written = await self._cluster.patch_status(obj, decision.status_patch or {})
        except NotFoundError:
            self._index.discard(obj)
            return None
        self._changed.pop(key, None)
        self._index.put(written)
        self._metrics.changed(obj, written)
        for event in decision.events:
            try:
                await self._cluster.create_event(event_manifest(obj, event, self._clock()))
            except ClusterError as error:
                logger.warning("no event %s for %s: %s", event.reason, obj["metadata"]["name"], error)
        return written

    def _settles_in(self, key: Key) -> float:
        """Seconds until the changed status under `key` is written, counted from its first change."""
        now = self._clock().timestamp()
        since = self._changed.setdefault(key, now)
        return max(AT_ONCE, since + settle_seconds(len(self._changed)) - now)

    def _look_again(self, key: Key, entry: Entry, wake_at: datetime | None) -> float | None:
        """Seconds until a pass that no event calls for: when time alone changes something, or to ask again."""
        delays = [max(AT_ONCE, (wake_at - self._clock()).total_seconds())] if wake_at else []
        logs = {question: text for question, text in entry.answers.items() if question.kind == "log"}
        if logs != entry.answers:  # a log stays as it is, why something waits may change
            entry.answers = logs
            self._asking.add(key)
            delays.append(ask_again_seconds(len(self._asking)))
        return min(delays, default=None)


def settle_seconds(changed: int) -> float:
    """How long a change of the status waits when so many do."""
    return min(SETTLE_SECONDS + (changed - 1) / SETTLED_PER_SECOND, LONGEST_SETTLE_SECONDS)


def ask_again_seconds(waiting: int) -> float:
    """After what time it is asked again why one of so many waits."""
    return max(ASK_AGAIN_SECONDS, waiting / ASKED_PER_SECOND)
