"""The endpoints as a kubelet and a Prometheus ask them."""

import asyncio
import errno
import socket
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from bertfinetune_operator.telemetry.endpoints import Endpoints
from lab.operator.process import free_port


async def test_endpoints() -> None:
    dead, unready = "", "starting"
    endpoints = Endpoints(CollectorRegistry(), lambda: dead, lambda: unready)
    health, metrics = free_port(), free_port()
    await endpoints.open(health, metrics)
    async with aiohttp.ClientSession() as session:

        async def get(port: int, path: str) -> tuple[int, str]:
            async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                return answer.status, await answer.text()

        assert await get(health, "/healthz") == (200, "ok\n")
        assert await get(metrics, "/readyz") == (503, "starting\n")
        dead, unready = "silent", ""
        assert await get(health, "/healthz") == (503, "silent\n")
        assert await get(metrics, "/readyz") == (200, "ok\n")
        plain = await session.get(f"http://127.0.0.1:{metrics}/metrics")
        assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        accept = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5"}
        modern = await session.get(f"http://127.0.0.1:{metrics}/metrics", headers=accept)
        assert modern.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        assert await modern.text() == await plain.text() + "# EOF\n"
        assert (await get(health, "/metrics"))[0] == 404
        await asyncio.wait_for(endpoints.close(), 1)  # although the client would keep its connections
    await endpoints.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
async def test_both_families_are_served(host: str) -> None:
    endpoints = Endpoints(CollectorRegistry(), lambda: "", lambda: "")
    health, metrics = free_port(), free_port()
    await endpoints.open(health, metrics)
    async with aiohttp.ClientSession() as session:
        for url in (f"http://{host}:{health}/healthz", f"http://{host}:{metrics}/metrics"):
            async with session.get(url) as answer:
                assert answer.status == 200
    await endpoints.close()


async def test_a_machine_without_ipv6_serves_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutIPv6(socket.socket):
        def __init__(self, family: int = -1, *more: Any, **options: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *more, **options)

    monkeypatch.setattr(socket, "socket", WithoutIPv6)
    endpoints = Endpoints(CollectorRegistry(), lambda: "", lambda: "")
    health, metrics = free_port(), free_port()
    await endpoints.open(health, metrics)
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{health}/healthz") as answer:
        assert answer.status == 200
    await endpoints.close()
