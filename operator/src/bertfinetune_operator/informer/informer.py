"""Takes what kopf, lists and watches tell into the index, and asks for the passes that this calls for."""

import asyncio
import logging
from collections.abc import Iterable

from bertfinetune_operator import contract
from bertfinetune_operator.informer.index import Index, Key, key_of
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.kinds import JOBS, KINDS, PODS, Object, Resource

CHILDREN = (JOBS, PODS)

logger = logging.getLogger(__name__)


class Informer:
    """The index and the queue, as those see them that bring news.

    No pass is asked for in a namespace before its Jobs and its pods have been listed: it might miss children that
    exist. A namespace that cannot be read does not hold up the others.
    """

    def __init__(self, index: Index, queue: WorkQueue[Key], namespaces: Iterable[str]) -> None:
        """`namespaces` are those that are watched; none means all."""
        self._index = index
        self._queue = queue
        self._unlisted = {where: set(CHILDREN) for where in namespaces or (None,)}
        self._unanswered = {(resource, where) for where in self._unlisted for resource in CHILDREN}
        self.ready = asyncio.Event()
        """Whether some namespace is complete, and each of the others has at least been refused."""

    def take(self, change: str, raw: Object) -> None:
        """Keep an object, or forget one that was DELETED, and ask for a pass if that is news."""
        try:
            if change == "DELETED":
                self._index.discard(raw)
            elif not self._index.put(raw):
                return  # what the operator wrote itself, or what nothing reads
            if (key := key_of(raw)) and (entry := self._index.get(key)):
                entry.is_fresh |= raw["kind"] == contract.KIND
            if key:
                self.wake(key)
        except Exception:  # one object that nothing foresaw must not end the watch of all the others
            logger.exception("a bug in the operator: %s is left out", raw.get("metadata", {}).get("name"))

    def retain(self, resource: Resource, namespace: str | None, listed: set[str], version: int) -> None:
        """Forget what a complete list at this version lacks, given by uid; from then on the namespace may be served."""
        for key in self._index.retain(KINDS[resource], namespace, listed, version):
            self.wake(key)
        unlisted = self._unlisted[namespace]
        if resource in unlisted:
            unlisted.remove(resource)
            if not unlisted:
                for key in self._index.keys(namespace):
                    self._queue.add(key)
            self._answered(resource, namespace)

    def refused(self, resource: Resource, namespace: str | None) -> None:
        """Note that a namespace may not be read."""
        self._answered(resource, namespace)

    def wake(self, key: Key) -> None:
        """Ask for a pass over `key`, unless it is asked for anyway once its namespace is complete."""
        unlisted = self._unlisted.get(key.namespace, self._unlisted.get(None))
        if not unlisted:
            self._queue.add(key)

    def _answered(self, resource: Resource, namespace: str | None) -> None:
        self._unanswered.discard((resource, namespace))
        if not self._unanswered and not all(self._unlisted.values()):
            self.ready.set()
