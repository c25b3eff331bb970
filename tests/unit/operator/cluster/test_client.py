"""What an answer of the API server becomes: an object, an error, the time."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from bertfinetune_operator.cluster import client as module
from bertfinetune_operator.cluster.client import Cluster
from bertfinetune_operator.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    GoneError,
    NotFoundError,
    OverloadedError,
    RefusedError,
)
from bertfinetune_operator.informer.index import Index
from bertfinetune_operator.kinds import BERTFINETUNES, JOBS, PODS
from bertfinetune_operator.telemetry.counters import Metrics
from support import builders as make

WORDS = 'Internal error occurred: failed calling webhook "jobs.example.com": connection refused'


class Server:
    """An API server that says to all requests what the test wants."""

    def __init__(self) -> None:
        self.status: int = 200
        self.body: dict[str, Any] | bytes = {}
        self.headers = {"Date": "Fri, 02 Jan 2026 03:10:00 GMT"}
        self.asked: list[str] = []
        self.pieces: list[bytes] = []
        """What a watch brings, piece by piece."""
        self.pages: list[dict[str, Any]] = []
        self.is_silent = False
        self.statuses: list[int] = []
        """Those of the next answers; after them, and without any, it is `status`."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if self.statuses:
            self.status = self.statuses.pop(0)
        if "watch" in request.query and self.status == 200:
            return await self._watch(request)
        if self.pages:
            return web.json_response(self.pages.pop(0))
        if isinstance(self.body, bytes):
            return web.Response(body=self.body, status=self.status, headers=self.headers)
        return web.json_response(self.body, status=self.status, headers=self.headers)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
            await asyncio.sleep(0.01)  # each piece arrives alone
        if self.is_silent:
            await asyncio.sleep(1.2)
        return response


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Cluster]]:
    says = Server()
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", says.answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = client.Configuration()
    configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    cluster = Cluster(client.ApiClient(configuration), Metrics(Index()))
    yield says, cluster
    await cluster.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "log", "quiet"),
    [(200, b"", True), (200, b"step 7\n", False), (404, b"", False), (403, b"", False), (500, b"", False)],
)
async def test_a_log_is_quiet_only_where_it_could_be_read(
    server: tuple[Server, Cluster], status: int, log: bytes, quiet: bool
) -> None:
    says, cluster = server
    says.status, says.body = status, log
    assert await cluster.is_quiet("research", "pod-1", "trainer", 300) == quiet
    assert says.asked == ["/api/v1/namespaces/research/pods/pod-1/log?container=trainer&sinceSeconds=300&tailLines=1"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, RefusedError) for status in (400, 401, 405, 413, 415, 422, 500, 502, 503, 504)),
        (403, ForbiddenError),
        (404, NotFoundError),
        (409, ConflictError),
        (410, GoneError),
        (429, OverloadedError),
    ],
)
async def test_an_answer_that_is_no_is_an_error_with_the_servers_words(
    server: tuple[Server, Cluster], status: int, error: type[ClusterError]
) -> None:
    says, cluster = server
    says.status, says.body = status, {"kind": "Status", "message": WORDS}
    with pytest.raises(error) as raised:
        await cluster.create_job(make.manifest(make.bertfinetune()))
    assert type(raised.value) is error
    assert str(raised.value) == WORDS


async def test_no_answer_in_time_is_an_error_that_says_so(
    server: tuple[Server, Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REQUEST_TIMEOUT", 1e-6)
    with pytest.raises(ClusterError, match="the API server has not answered within 0 s"):
        await server[1].create_job(make.manifest(make.bertfinetune()))


@pytest.mark.parametrize("status", [200, 500])
async def test_the_time_is_that_of_the_newest_answer(server: tuple[Server, Cluster], status: int) -> None:
    says, cluster = server
    says.status = status
    with contextlib.suppress(ClusterError):
        await cluster.get_job("research", "minimal")
    assert make.NOW <= cluster.clock() < make.NOW + timedelta(seconds=30)


def event(version: int, kind: str, reason: str, note: str, time: str = "2026-01-02T03:09:00Z") -> dict[str, Any]:
    meta = {"resourceVersion": str(version)}
    return {"metadata": meta, "type": kind, "reason": reason, "note": note, "deprecatedLastTimestamp": time}


@pytest.mark.parametrize(
    ("events", "warning"),
    [
        ([], ""),
        (
            [event(9, "Normal", "Scheduled", "to node-a"), event(10, "Warning", "FailedMount", "not a directory")],
            "FailedMount: not a directory",
        ),
        (
            [event(9, "Warning", "FailedScheduling", "0/1 nodes"), event(10, "Normal", "Scheduled", "to node-a")],
            "",  # it is over
        ),
        (
            [
                event(9, "Normal", "Scheduled", "to node-a", "2026-01-02T08:00:00Z"),
                event(10, "Warning", "FailedMount", "by a node whose clock is hours behind", "2026-01-02T01:00:00Z"),
            ],
            "FailedMount: by a node whose clock is hours behind",
        ),
    ],
)
async def test_the_newest_warning(server: tuple[Server, Cluster], events: list[dict[str, Any]], warning: str) -> None:
    says, cluster = server
    says.body = {"items": events}
    assert await cluster.newest_warning("research", "the-uid") == warning
    assert "regarding.uid%3Dthe-uid" in says.asked[0]


CHILDREN = "labelSelector=app.kubernetes.io/managed-by%3Dbertfinetune-operator"


async def test_a_list_is_read_page_by_page(server: tuple[Server, Cluster]) -> None:
    says, cluster = server
    first = {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [make.job()]}
    last = {"metadata": {"resourceVersion": "7"}, "items": None}
    says.pages = [first, last]
    assert [page async for page in cluster.list_pages(JOBS, "research")] == [first, last | {"items": []}]
    path = f"/apis/batch/v1/namespaces/research/jobs?limit=100&{CHILDREN}"
    assert says.asked == [path, f"{path}&continue=more"]


def line(change: str, **raw: Any) -> bytes:
    return json.dumps({"type": change, "object": raw}).encode() + b"\n"


async def test_a_watch_brings_what_has_arrived_whatever_the_pieces(server: tuple[Server, Cluster]) -> None:
    says, cluster = server
    text = line("ADDED", n=1) + line("BOOKMARK", n=2) + line("DELETED", n=3)
    cuts = (0, 5, 60, 61, len(text) - 1, len(text))
    says.pieces = [text[a:b] for a, b in pairwise(cuts)]
    got = [changes async for changes in cluster.watch(PODS, None, "9", 5)]
    assert got[0] == []
    flat = [(change["type"], change["object"]["n"]) for changes in got for change in changes]
    assert flat == [("ADDED", 1), ("BOOKMARK", 2), ("DELETED", 3)]
    query = f"watch=true&allowWatchBookmarks=true&resourceVersion=9&timeoutSeconds=300&{CHILDREN}"
    assert says.asked == [f"/api/v1/pods?{query}"]


@pytest.mark.parametrize("code", [410, 500])
async def test_an_error_in_a_watch_means_that_changes_are_lost(server: tuple[Server, Cluster], code: int) -> None:
    says, cluster = server
    says.pieces = [line("ADDED", n=1) + line("ERROR", code=code, message="too old resource version")]
    with pytest.raises(GoneError, match="too old resource version"):
        [changes async for changes in cluster.watch(BERTFINETUNES, None, "9", 5)]


async def test_a_silent_watch_is_an_error_that_says_so(server: tuple[Server, Cluster]) -> None:
    says, cluster = server
    says.is_silent = True
    watch = cluster.watch(PODS, None, "9", 0.6)
    assert await anext(watch) == []
    with pytest.raises(ClusterError, match="the API server has not answered within 1 s"):
        await anext(watch)


async def test_a_watch_is_counted_when_it_begins(server: tuple[Server, Cluster]) -> None:
    says, cluster = server
    says.is_silent = True
    watch = cluster.watch(PODS, None, "9", 5)
    await anext(watch)
    assert counted(cluster, "watch", "200") == 1
    await watch.aclose()
    assert counted(cluster, "watch", "200") == 1
    says.status = 403
    with pytest.raises(ForbiddenError):
        await anext(cluster.watch(PODS, None, "9", 5))
    assert counted(cluster, "watch", "403") == 1


def counted(cluster: Cluster, verb: str, code: str) -> float | None:
    name = "bertfinetune_operator_api_requests_total"
    return cluster._metrics.registry.get_sample_value(name, {"verb": verb, "code": code})


@pytest.mark.parametrize(
    ("statuses", "error"),
    [
        ((200,), None),
        ((403, 200), None),  # one of several namespaces is gone
        ((403, 403), ForbiddenError),
        ((404,), NotFoundError),
    ],
)
async def test_the_api_must_be_readable_in_some_namespace(
    server: tuple[Server, Cluster], statuses: tuple[int, ...], error: type[ClusterError] | None
) -> None:
    says, cluster = server
    says.statuses = list(statuses)
    namespaces = ["a", "b"][: len(statuses)]
    with pytest.raises(error) if error else contextlib.nullcontext():
        await cluster.require_crd(namespaces)
    assert says.statuses == []
