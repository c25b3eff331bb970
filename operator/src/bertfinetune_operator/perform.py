"""One pass over one object: gather, decide, perform. Idempotent, so that it may run too often, too late or again."""

import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from bertfinetune_operator import contract, naming
from bertfinetune_operator.cluster import Cluster
from bertfinetune_operator.decide import Decision, Event, decide
from bertfinetune_operator.errors import ClusterError, ConflictError, NotFoundError, RefusedError
from bertfinetune_operator.index import Entry, Index, Key
from bertfinetune_operator.jobs import Manifest
from bertfinetune_operator.metrics import Metrics
from bertfinetune_operator.observe import Object
from bertfinetune_operator.queue import WorkQueue
from bertfinetune_operator.settings import Settings

MAX_NOTE = 1024
"""Longest note of an event the API server takes, in characters."""

logger = logging.getLogger(__name__)


def now() -> datetime:
    """The clock of the shell; the core gets it as an argument."""
    return datetime.now(UTC)


class Reconciler:
    """Brings the cluster and an object's status in line with what the object asks for and what has happened."""

    def __init__(self, index: Index, cluster: Cluster, settings: Settings, clock: Callable[[], datetime] = now) -> None:
        self._index = index
        self._cluster = cluster
        self._settings = settings
        self._clock = clock

    async def reconcile(self, key: Key) -> None:
        """Do what the object under `key` needs now; raise ClusterError to be called again."""
        entry = self._index.get(key)
        if entry is None or entry.obj is None:
            return
        decision = self._decide(entry.obj, entry)
        if decision.job is None:
            await self._report(entry.obj, decision)
            return
        try:
            await self._create(decision.job)
        except RefusedError as refusal:
            entry.refusal = str(refusal)
            await self._report(entry.obj, self._decide(entry.obj, entry))
            raise
        entry.refusal = None
        await self._report(entry.obj, self._decide(entry.obj, entry))

    def _decide(self, obj: Object, entry: Entry) -> Decision:
        return decide(obj, entry.observed(), self._settings, self._clock())

    async def _create(self, job: Manifest) -> None:
        """Create the Job, or find the one an earlier pass created: its name holds the object's uid."""
        try:
            created = await self._cluster.create_job(job)
        except ConflictError:
            created = await self._cluster.get_job(job["metadata"]["namespace"], job["metadata"]["name"])
        self._index.put(created)

    async def _report(self, obj: Object, decision: Decision) -> None:
        if decision.status_patch is None:
            return
        try:
            self._index.put(await self._cluster.patch_status(obj, decision.status_patch))
        except NotFoundError:
            self._index.discard(obj)
            return
        for event in decision.events:
            try:
                await self._cluster.create_event(event_manifest(obj, event, self._clock()))
            except ClusterError as error:
                logger.warning("no event %s for %s: %s", event.reason, obj["metadata"]["name"], error)


def event_manifest(obj: Object, event: Event, at: datetime) -> Manifest:
    """An events.k8s.io/v1 Event. Its name follows from its content, so that the same one is never posted twice."""
    meta = obj["metadata"]
    digest = hashlib.sha256("/".join((meta["uid"], *event)).encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{digest}", "namespace": meta["namespace"]},
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{contract.GROUP}/operator",
        "reportingInstance": naming.MANAGER,
        "action": event.reason,
        "reason": event.reason,
        "type": event.type,
        "note": event.message[:MAX_NOTE],
        "regarding": {
            "apiVersion": naming.API_VERSION,
            "kind": contract.KIND,
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
    }


async def work(queue: WorkQueue[Key], reconciler: Reconciler, metrics: Metrics) -> None:
    """Take keys from the queue for ever; a failed pass is logged and tried again later."""
    while True:
        key = await queue.get()
        try:
            with metrics.reconcile_duration.time():
                await reconciler.reconcile(key)
        except ClusterError as error:
            logger.warning("%s/%s: %s; next attempt in %.1f s", *key, error, queue.retry(key))
        except Exception:
            logger.exception("%s/%s: a bug in the operator; next attempt in %.1f s", *key, queue.retry(key))
        else:
            queue.done(key)
