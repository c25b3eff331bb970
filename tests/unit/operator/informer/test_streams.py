"""What lists and watches bring is in the index at once, what a list lacks is forgotten, and kopf gets the bookmarks."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bertfinetune_operator.informer import streams
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.streams import Streams
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.kinds import BERTFINETUNES, JOBS, PODS, Resource
from support import builders as make

Raw = dict[str, Any]
HERE = make.KEY.namespace


class Api:
    """Answers each list with the next of `pages`, and a watch with `pieces`."""

    def __init__(self, index: Index, namespaces: tuple[str, ...] = ()) -> None:
        self.queue = WorkQueue[Key]()
        self.heard: list[str] = []
        self.streams = Streams(index, self.queue, namespaces, self.heard.append)
        self._pages: list[Raw] = []
        self._pieces: list[bytes] = []
        self._asked = asyncio.Queue[None]()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "refused" in request.path:
            return web.Response(status=403)
        if "watch" not in request.query:
            return web.json_response(self._pages.pop(0))
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in self._pieces:
            await response.write(piece)
            await self._asked.get()  # each piece arrives by itself
        return response

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[tuple[TestServer, aiohttp.ClientSession]]:
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        async with TestServer(app) as server, aiohttp.ClientSession(middlewares=(self.streams.listen,)) as session:
            yield server, session

    async def lists(self, url: str, *pages: tuple[list[Raw], int]) -> None:
        """kopf's requests for a list in pages, which it finds empty."""
        self._pages = [
            {"items": items, "metadata": {"resourceVersion": str(version), "continue": "more"}}
            for items, version in pages
        ]
        self._pages[-1]["metadata"]["continue"] = ""
        queries = [{"limit": "500"}, *({"limit": "500", "continue": "more"} for _ in pages[1:])]
        expected = [page | {"items": []} for page in self._pages]
        async with self._session() as (server, session):
            for query, page in zip(queries, expected, strict=True):
                async with session.get(server.make_url(url), params=query) as response:
                    assert await response.json() == page

    async def watch(self, url: str, *pieces: bytes) -> list[bytes]:
        """What kopf gets of a watch whose body arrives in these pieces."""
        self._pieces = list(pieces)
        got = []
        async with self._session() as (server, session):
            response = await session.get(server.make_url(url), params={"watch": "true"})
            self.heard.append("begun")
            async for piece in response.content.iter_chunked(1024):
                got.append(piece)
                self._asked.put_nowait(None)
        return got


def line(change: str, raw: Raw) -> bytes:
    return json.dumps({"type": change, "object": raw}).encode() + b"\n"


def bookmark(version: str) -> bytes:
    return line("BOOKMARK", {"metadata": {"resourceVersion": version}})


def at(version: int, raw: Raw) -> Raw:
    return raw | {"metadata": raw["metadata"] | {"resourceVersion": str(version)}}


@pytest.fixture
def index() -> Index:
    """One object with its Job and a pod, all at version 1."""
    index = Index()
    index.put(make.bertfinetune({"phase": "Running"}))
    index.put(make.job())
    index.put(make.pod())
    return index


def counts(index: Index) -> tuple[int, int, int]:
    entry = index.get(make.KEY)
    return (0, 0, 0) if entry is None else (int(entry.obj is not None), len(entry.jobs), len(entry.pods))


async def test_the_first_lists_fill_the_index_before_any_pass() -> None:
    index = Index()
    api = Api(index)
    bare = [{key: raw[key] for key in raw if key != "kind"} for raw in (make.pod(), make.job(), make.bertfinetune())]
    for resource, raw in zip((PODS, JOBS, BERTFINETUNES), bare, strict=True):
        assert not api.streams.complete.is_set()
        await api.lists(resource.path(), ([], 5), ([raw], 5))
    assert api.streams.complete.is_set()
    assert counts(index) == (1, 1, 1)
    assert await api.queue.get() == make.KEY


@pytest.mark.parametrize(("resource", "left"), [(BERTFINETUNES, (0, 1, 1)), (JOBS, (1, 0, 1)), (PODS, (1, 1, 0))])
async def test_what_a_list_lacks_is_gone(index: Index, resource: Resource, left: tuple[int, int, int]) -> None:
    api = Api(index)
    await api.lists(resource.path(), ([], 5))
    assert counts(index) == left
    assert await api.queue.get() == make.KEY


async def test_what_is_on_any_page_stays(index: Index) -> None:
    api = Api(index)
    for pages in ([([make.pod()], 5), ([], 5)], [([], 5), ([make.pod()], 5)]):
        await api.lists(PODS.path(), *pages)
        assert (counts(index), len(api.queue)) == ((1, 1, 1), 0)


async def test_what_is_newer_than_the_list_stays(index: Index) -> None:
    """The operator's own writes are in the index before any list has them."""
    api = Api(index)
    await api.lists(BERTFINETUNES.path(), ([], 0))
    assert counts(index) == (1, 1, 1)


@pytest.mark.parametrize(("namespace", "left"), [(HERE, (0, 1, 1)), ("elsewhere", (1, 1, 1))])
async def test_a_list_of_one_namespace_tells_nothing_of_others(
    index: Index, namespace: str, left: tuple[int, int, int]
) -> None:
    api = Api(index, (HERE, "elsewhere"))
    await api.lists(BERTFINETUNES.path(namespace), ([], 5))
    assert counts(index) == left


async def test_a_watch_feeds_the_index_and_leaves_bookmarks() -> None:
    index = Index()
    api = Api(index)
    seen = [line("ADDED", at(1, make.pod())), line("MODIFIED", at(7, make.pod()))]
    end = line("ERROR", {"code": 410})
    got = await api.watch(PODS.path(), seen[0], b"".join(seen), bookmark("9"), seen[1] + end)
    assert got == [bookmark("1"), bookmark("7"), bookmark("9"), end + bookmark("7")]
    assert counts(index) == (0, 0, 1)
    assert (await api.queue.get(), len(api.queue)) == (make.KEY, 0)
    assert api.heard == [PODS.path(), "begun", *[PODS.path()] * 4]


async def test_what_arrives_in_a_pause_is_one_piece() -> None:
    api = Api(Index())

    async def hurry() -> None:
        for _ in range(9):
            await asyncio.sleep(0.005)
            api._asked.put_nowait(None)

    hurrying = asyncio.create_task(hurry())
    got = await api.watch(PODS.path(), *(line("MODIFIED", at(version, make.pod())) for version in range(1, 10)))
    await hurrying
    assert got[-1] == bookmark("9")
    assert len(got) <= 4


async def test_after_a_large_piece_there_is_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PAUSE_SECONDS", 3600.0)
    monkeypatch.setattr(streams, "LARGE_PIECE", 100)
    async with asyncio.timeout(10):
        assert await Api(Index()).watch(PODS.path(), bookmark("1" * 99), bookmark("2" * 99))


async def test_what_is_no_news_wakes_nobody(index: Index) -> None:
    api = Api(index)
    await api.watch(PODS.path(), line("MODIFIED", at(7, make.pod())))
    assert len(api.queue) == 0


async def test_what_is_deleted_is_forgotten_and_its_object_looked_at(index: Index) -> None:
    api = Api(index)
    assert await api.watch(JOBS.path(), line("DELETED", at(7, make.job()))) == [bookmark("7")]
    assert counts(index) == (1, 0, 1)
    assert await api.queue.get() == make.KEY


async def test_an_event_may_arrive_in_any_pieces(index: Index) -> None:
    text = line("DELETED", at(7, make.job())) + line("DELETED", at(8, make.pod()))
    api = Api(index)
    cuts = (0, 1, 50, len(text) // 2, len(text) - 1, len(text))
    got = await api.watch(PODS.path(), *(text[a:b] for a, b in pairwise(cuts)))
    assert b"".join(got) == bookmark("7") + bookmark("8")
    assert counts(index) == (1, 0, 0)


async def test_an_object_that_nobody_foresaw_does_not_end_the_watch(
    index: Index, caplog: pytest.LogCaptureFixture
) -> None:
    strange = at(7, make.pod()) | {"status": {"containerStatuses": 3}}
    got = await Api(index).watch(PODS.path(), line("MODIFIED", strange) + line("DELETED", at(8, make.job())))
    assert got == [bookmark("8")]
    assert counts(index) == (1, 0, 1)
    assert f"a bug in the operator: {strange['metadata']['name']} is left out" in caplog.text


async def test_an_answer_that_is_none_is_left_to_kopf(index: Index) -> None:
    api = Api(index)
    async with api._session() as (server, session):
        response = await session.get(server.make_url("/refused" + PODS.path()))
        assert response.status == 403
    assert api.heard == []
