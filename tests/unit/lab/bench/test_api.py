import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from lab.bench.operator import api
from lab.bench.operator.api import Api
from lab.cluster.errors import ClusterError


def thing(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


class Server:
    """Lists what there is, ends each watch after one event, and takes no more than ten objects."""

    def __init__(self) -> None:
        self.things: list[dict[str, Any]] = []
        self.watched_from: list[str] = []
        self.pages = 0

    async def get(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return self.page(int(request.query["limit"]), int(request.query["continue"] or 0))
        self.watched_from.append(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        self.things.append(thing(f"new-{len(self.things)}"))
        event = {"type": "ADDED", "object": self.things[-1]}
        await response.write(json.dumps(event).encode() + b"\n")
        return response

    def page(self, limit: int, start: int) -> web.Response:
        self.pages += 1
        end = start + limit
        metadata = {"resourceVersion": str(len(self.things))}
        if end < len(self.things):
            metadata["continue"] = str(end)
        return web.json_response({"metadata": metadata, "items": self.things[start:end]})

    async def post(self, request: web.Request) -> web.Response:
        if len(self.things) >= 10:
            return web.json_response({"message": "no more"}, status=403)
        self.things.append(await request.json())
        return web.json_response({})


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Api]:
    app = web.Application()
    app.add_routes([web.get("/things", server.get), web.post("/things", server.post)])
    async with TestServer(app) as listening, Api(str(listening.make_url("/"))) as session:
        yield session


async def test_all_pages_are_read(server: Server, client: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 2)
    server.things = [thing(str(number)) for number in range(5)]
    assert await client.items("/things") == server.things
    assert server.pages == 3


async def test_many_are_created_once_each(server: Server, client: Api) -> None:
    await client.create_all("/things", (thing(str(number)) for number in range(10)))
    assert sorted(raw["metadata"]["name"] for raw in server.things) == [str(number) for number in range(10)]
    with pytest.raises(ClusterError, match="POST /things: no more"):
        await client.create("/things", thing("one more"))


async def test_a_watch_that_ends_goes_on_with_all_objects(server: Server, client: Api) -> None:
    async with aclosing(client.watch("/things")) as events:
        assert await anext(events) == {}
        names = [(await anext(events))["metadata"]["name"] for _ in range(4)]
    assert names == ["new-0", "new-0", "new-1", "new-0"]
    assert server.watched_from == ["0", "1"]
