"""Reads the lists and watches that kopf asks for, at the HTTP client it asks with, and leaves kopf the bookmarks.

kopf logs in, lists, watches, resumes, and lists anew after a gap. With each object it would make a queue, a task and a
memory, several times the work of a handler that only updates an index. And it would hand out a list object by object,
and not tell what is gone, since it keeps none. Read here, a list is in the index as a whole, and what it lacks is
forgotten. No pass begins before the first lists of all resources are there: it might miss children that exist.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, cast

import aiohttp
from pydantic_core import from_json

from bertfinetune_operator import naming
from bertfinetune_operator.informer.index import Index, Key, key_of
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.kinds import BERTFINETUNES, JOBS, KINDS, Object, Resource

PAUSE_SECONDS = 0.1
"""Between two looks at a watch: what happens to an object meanwhile is one pass and not several."""

LARGE_PIECE = 2**16
"""Bytes after which there is no pause: so much is waiting that the connection would be held up."""

logger = logging.getLogger(__name__)


class Streams:
    """Feeds the index and the queue with what the API server answers to kopf."""

    def __init__(
        self, index: Index, queue: WorkQueue[Key], namespaces: Iterable[str], hear: Callable[[str], None]
    ) -> None:
        """`hear` is told the path of a list or a watch whenever something arrives on it, a bookmark included."""
        self._index = index
        self._queue = queue
        self._hear = hear
        self._paths = {resource.path(where): (resource, where) for resource in KINDS for where in namespaces or (None,)}
        self._unread = set(self._paths)
        self._listed: dict[str, set[str]] = {}
        self.complete = asyncio.Event()
        """Whether all resources have been listed once."""

    async def listen(
        self, request: aiohttp.ClientRequest, send: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
    ) -> aiohttp.ClientResponse:
        """A middleware of kopf's HTTP client."""
        response = await send(request)
        path = next((known for known in self._paths if request.url.path.endswith(known)), None)
        if path and response.status == 200:
            self._hear(path)
            is_first = "continue" not in request.url.query
            read = self._watch if "watch" in request.url.query else partial(self._list, is_first=is_first)
            body = _Replaced(response.content, read(path, response.content))
            response.content = cast("aiohttp.StreamReader", body)
        return response

    async def _list(self, path: str, body: aiohttp.StreamReader, *, is_first: bool) -> AsyncIterator[bytes]:
        """What kopf gets in place of a page of a list: the page without its objects."""
        resource, namespace = self._paths[path]
        page = from_json(await body.read())
        if is_first:
            self._listed[path] = set()
        for item in page["items"]:
            self._take("ADDED", {"kind": KINDS[resource]} | item)
            self._listed[path].add(item["metadata"]["uid"])
        if not page["metadata"].get("continue"):
            listed, version = self._listed.pop(path), int(page["metadata"]["resourceVersion"])
            for key, gone in list(missing(self._index, resource, namespace, listed, version)):
                self._index.discard(gone)
                self._queue.add(key)
            self._unread.discard(path)
            if not self._unread:
                self.complete.set()
        yield json.dumps(page | {"items": []}).encode()

    async def _watch(self, path: str, body: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        """What kopf gets in place of a watch's body: errors, and a bookmark for the objects of each piece."""
        rest = b""
        async for piece in body.iter_any():
            self._hear(path)
            *lines, rest = (rest + piece).split(b"\n")
            left, version = [], None
            for line in filter(None, lines):
                event = from_json(line)
                if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                    self._take(event["type"], event["object"])
                    version = event["object"]["metadata"]["resourceVersion"]
                else:
                    left.append(line)
            if version:
                bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
                left.append(json.dumps(bookmark).encode())
            yield b"".join(line + b"\n" for line in left)
            if len(piece) < LARGE_PIECE:
                await asyncio.sleep(PAUSE_SECONDS)

    def _take(self, change: str, raw: Object) -> None:
        """Keep an object, or forget it, and ask for a pass if that is news."""
        try:
            if change == "DELETED":
                self._index.discard(raw)
            elif not self._index.put(raw):
                return  # what the operator wrote itself, or what nobody reads
            if key := key_of(raw):
                self._queue.add(key)
        except Exception:  # one object that nobody foresaw must not end the watch of all the others
            logger.exception("a bug in the operator: %s is left out", raw.get("metadata", {}).get("name"))


class _Replaced:
    """The body of a response, of which others are given to read than what arrives."""

    def __init__(self, body: aiohttp.StreamReader, pieces: AsyncIterator[bytes]) -> None:
        self._body = body
        self._pieces = pieces

    def iter_chunked(self, _: int) -> AsyncIterator[bytes]:
        return self._pieces

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self._pieces])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


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
