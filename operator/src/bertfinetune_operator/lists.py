"""Keeps the index level with every list: what is in a list goes into the index, and what it lacks is forgotten.

kopf lists each resource at the start, and again after a gap that the API server has no history of, as after its own
restart. It hands out the objects of a list one by one, and cannot tell what is gone, since it keeps none. Read here, a
list is in the index as a whole before the first of its objects is looked at; and no pass begins before the first lists
of all resources are there: it might miss children that exist.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import aiohttp

from bertfinetune_operator import contract, naming
from bertfinetune_operator.cluster import BERTFINETUNES, JOBS, PODS, Resource
from bertfinetune_operator.index import Index, Key, key_of
from bertfinetune_operator.observe import Object
from bertfinetune_operator.queue import WorkQueue

KINDS = {BERTFINETUNES: contract.KIND, JOBS: "Job", PODS: "Pod"}


class Lists:
    """Reads the lists that kopf asks for."""

    def __init__(self, index: Index, queue: WorkQueue[Key], namespaces: Iterable[str]) -> None:
        self._index = index
        self._queue = queue
        self._paths = {resource.path(where): (resource, where) for resource in KINDS for where in namespaces or (None,)}
        self._unread = set(self._paths)
        self._listed: dict[str, set[str]] = {}
        self.complete = asyncio.Event()
        """Whether all resources have been listed once."""

    async def listen(
        self, request: aiohttp.ClientRequest, send: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
    ) -> aiohttp.ClientResponse:
        """A middleware of the HTTP client that kopf lists with."""
        response = await send(request)
        path = next((known for known in self._paths if request.url.path.endswith(known)), None)
        if path and response.status == 200 and "watch" not in request.url.query:
            self._read(path, await response.json(), is_first="continue" not in request.url.query)
        return response

    def _read(self, path: str, page: Any, *, is_first: bool) -> None:
        resource, namespace = self._paths[path]
        if is_first:
            self._listed[path] = set()
        for item in page["items"]:
            self._index.put({"kind": KINDS[resource]} | item)
            self._listed[path].add(item["metadata"]["uid"])
        if not page["metadata"].get("continue"):
            listed, version = self._listed.pop(path), int(page["metadata"]["resourceVersion"])
            for key, gone in list(missing(self._index, resource, namespace, listed, version)):
                self._index.discard(gone)
                self._queue.add(key)
            self._unread.discard(path)
            if not self._unread:
                self.complete.set()


def missing(
    index: Index, resource: Resource, namespace: str | None, listed: set[str], version: int
) -> Iterator[tuple[Key, Object]]:
    """What the index has and a list at this version has not, unless it is newer than the list."""
    for obj in index.objects():
        key = key_of(obj)
        if key is None or namespace not in (None, key.namespace):
            continue
        if resource == BERTFINETUNES:
            if key.uid not in listed and int(obj["metadata"]["resourceVersion"]) <= version:
                yield key, obj
        elif entry := index.get(key):
            for child in (entry.jobs if resource == JOBS else entry.pods).values():
                if child.uid not in listed and child.version <= version:
                    labels = {naming.LABEL_UID: key.uid}
                    meta = {"namespace": key.namespace, "name": child.name, "uid": child.uid, "labels": labels}
                    yield key, {"kind": KINDS[resource], "metadata": meta}
