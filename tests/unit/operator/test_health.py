"""Watches' ages, the endpoints, and the gate before the passes."""

import asyncio
import errno
import socket
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from bertfinetune_operator.cluster import BERTFINETUNES, PODS
from bertfinetune_operator.gate import GatedReconciler
from bertfinetune_operator.health import PATIENCE, Endpoints, Watches
from bertfinetune_operator.index import Key
from bertfinetune_operator.perform import Reconciler
from lab.operator.process import free_port

KEY = Key("ns", "uid")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_heard_makes_a_watch_young() -> None:
    clock = Clock()
    watches = Watches([PODS, BERTFINETUNES], ["a"], 10, clock)
    assert watches.age("pods") == 0
    watches.start()
    clock.now = 120
    assert watches.age("pods") == watches.age("bertfinetunes") == 20
    watches.hear(PODS.path("a"))
    clock.now = 131
    assert (watches.age("pods"), watches.failure()) == (11, "the watch of bertfinetunes has been silent for 31 s")


def test_of_several_namespaces_the_most_silent_one_counts() -> None:
    clock = Clock()
    watches = Watches([PODS], ["a", "b"], 10, clock)
    watches.start()
    clock.now += 10 * PATIENCE
    watches.hear(PODS.path("b"))
    assert watches.age("pods") == 10 * PATIENCE
    assert watches.failure() == ""
    clock.now += 0.1
    assert watches.failure() == "the watch of pods has been silent for 30 s"


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


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Event]:
    """Each pass adds an event here, and lasts until it is set."""
    begun: list[asyncio.Event] = []

    async def reconcile(*_: object) -> None:
        begun.append(asyncio.Event())
        await begun[-1].wait()

    monkeypatch.setattr(Reconciler, "__init__", lambda *_: None)
    monkeypatch.setattr(Reconciler, "reconcile", reconcile)
    return begun


async def test_a_closed_gate_waits_for_passes_under_way_and_begins_none(passes: list[asyncio.Event]) -> None:
    gate = GatedReconciler(may_write=lambda: True)
    async with asyncio.TaskGroup() as group:
        under_way = group.create_task(gate.reconcile(KEY))
        await asyncio.sleep(0)
        closing = group.create_task(gate.close(5))
        await asyncio.sleep(0)
        late = group.create_task(gate.reconcile(KEY))
        await asyncio.sleep(0.01)
        assert (len(passes), closing.done(), late.done()) == (1, False, False)
        passes[0].set()
        assert await closing
        assert under_way.done()
        late.cancel()
    assert len(passes) == 1


async def test_a_pass_that_hangs_is_not_waited_for_without_end(passes: list[asyncio.Event]) -> None:
    gate = GatedReconciler(may_write=lambda: True)
    assert await gate.close(0.01)  # nothing is under way
    gate = GatedReconciler(may_write=lambda: True)
    hanging = asyncio.create_task(gate.reconcile(KEY))
    await asyncio.sleep(0)
    assert not await gate.close(0.01)
    passes[0].set()
    await hanging


async def test_no_pass_begins_after_the_lease_has_run_out(passes: list[asyncio.Event]) -> None:
    late = asyncio.create_task(GatedReconciler(may_write=lambda: False).reconcile(KEY))
    await asyncio.sleep(0.01)
    assert passes == []
    late.cancel()
