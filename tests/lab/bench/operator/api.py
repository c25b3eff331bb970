"""A fast client of the API server: dicts in, dicts out, many requests at a time over kept connections."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from types import TracebackType
from typing import Self

import aiohttp

from lab.bench.operator.objects import Raw
from lab.cluster.errors import ClusterError
from lab.cluster.layout import API_URL, PKI

CONCURRENCY = 32
"""Requests at a time: creating must never be what the contenders wait for."""

PAGE = 500
LONGEST_LINE = 1 << 20  # bytes of one watch event


class Api:
    """The administrator's session with the API server."""

    def __init__(self, url: str = API_URL) -> None:
        self._url = url

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self._url,
            connector=aiohttp.TCPConnector(ssl=self._context(), limit=CONCURRENCY + 1),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=LONGEST_LINE,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    def _context(self) -> ssl.SSLContext | bool:
        if not self._url.startswith("https:"):
            return True
        context = ssl.create_default_context(cafile=PKI / "ca.crt")
        context.load_cert_chain(PKI / "admin.crt", PKI / "admin.key")
        return context

    async def create(self, path: str, raw: Raw) -> None:
        await self._request("POST", path, body=raw)

    async def create_all(self, path: str, objects: Iterable[Raw]) -> None:
        """Create many, CONCURRENCY at a time and in no particular order."""
        rest = iter(objects)

        async def create_some() -> None:
            for raw in rest:
                await self.create(path, raw)

        await asyncio.gather(*(create_some() for _ in range(CONCURRENCY)))

    async def items(self, path: str) -> list[Raw]:
        """All objects of a collection."""
        return (await self._list(path))[0]

    async def watch(self, path: str) -> AsyncGenerator[Raw]:
        """Objects of a collection that is still empty, whenever they change.

        The first yield is an empty dict and says that the watch is in place. The server drops a watcher that does not
        keep up: then all objects follow once more, and the next watch.
        """
        placed = False
        while True:
            objects, version = await self._list(path)
            for raw in objects:
                yield raw
            parameters = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "7200"}
            async with self._session.get(path, params=parameters) as response:
                if not placed:
                    placed = True
                    yield {}
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    yield event["object"]

    async def _list(self, path: str) -> tuple[list[Raw], str]:
        """All objects, page by page, and the version of the collection."""
        items: list[Raw] = []
        token = ""
        while True:
            page = await self._request("GET", path, params={"limit": str(PAGE), "continue": token})
            items += page["items"]
            token = page["metadata"].get("continue", "")
            if not token:
                return items, page["metadata"]["resourceVersion"]

    async def _request(
        self, method: str, path: str, *, body: Raw | None = None, params: Mapping[str, str] | None = None
    ) -> Raw:
        async with self._session.request(method, path, json=body, params=params) as response:
            answer = json.loads(await response.read())
        if response.status >= 400:
            raise ClusterError(f"{method} {path}: {answer.get('message', response.status)}")
        return answer
