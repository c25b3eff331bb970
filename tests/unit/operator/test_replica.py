"""The three phases of a replica: what it does while it stands by, and what ends in which order when it stops."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import kopf
import pytest

from bertfinetune_operator.election import leader
from bertfinetune_operator.election.leader import LeaseLostError
from bertfinetune_operator.informer.index import Index
from bertfinetune_operator.kinds import BERTFINETUNES, Object, Resource
from bertfinetune_operator.replica import Replica
from bertfinetune_operator.telemetry.counters import Metrics
from support import builders as make
from support.fake_cluster import FakeCluster
from unit.operator.election.simulation import Network, Server

Raw = dict[str, Any]
SETTINGS = replace(
    make.SETTINGS,
    leader_election=True,
    namespace="ns",
    lease_name="lease",
    pod_name="this-one",
    health_port=0,
    metrics_port=0,
)
ANOTHERS = {"holderIdentity": "another-one", "leaseDurationSeconds": 15}


class World(FakeCluster, Network):
    """An API server with one BertFinetune and a Lease, and kopf, which does nothing but take the signals.

    `ended` tells what came to its end, in order.
    """

    def __init__(self) -> None:
        self.server = Server()
        FakeCluster.__init__(self, Index(), make.job())
        Network.__init__(self, self.server)
        self.index.put(make.bertfinetune())
        self.ended: list[str] = []
        self.writes_begun = asyncio.Event()
        self.may_write = asyncio.Event()
        self.kopf_runs = asyncio.Event()
        self.kopf_ends = asyncio.Event()

    def clock(self) -> Any:
        return make.NOW

    async def require_crd(self, _namespaces: Any) -> None:
        pass

    async def list_pages(self, resource: Resource, _namespace: None, **_: bool) -> AsyncIterator[Raw]:
        items = [make.bertfinetune()] if resource == BERTFINETUNES else []
        yield {"metadata": {"resourceVersion": "1"}, "items": items}

    async def watch(self, *_: Any) -> AsyncIterator[list[Raw]]:
        yield []
        await asyncio.Event().wait()

    async def patch_status(self, obj: Raw, status: Raw) -> Raw:
        self.writes_begun.set()
        try:
            await self.may_write.wait()
        finally:
            self.ended.append("write")
        return await super().patch_status(obj, status)

    async def replace_lease(self, lease: Object, spec: Raw) -> Object:
        if not spec["holderIdentity"]:
            self.ended.append("lease")
        return await super().replace_lease(lease, spec)

    async def spawn_tasks(self, *, stop_flag: asyncio.Event, **_: Any) -> list[asyncio.Task[Any]]:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.ended.append, "by kopf")
        return [asyncio.create_task(flag.wait()) for flag in (stop_flag, self.kopf_ends)]

    async def run_tasks(self, tasks: list[asyncio.Task[Any]], **_: Any) -> None:
        self.kopf_runs.set()
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.ended.append("kopf")
            for task in tasks:
                task.cancel()

    def run(self) -> asyncio.Task[None]:
        replica = Replica(SETTINGS, self, self.index, Metrics(self.index))  # ty: ignore[invalid-argument-type]
        return asyncio.create_task(replica.run())

    @property
    def holder(self) -> str:
        assert self.server.lease
        return self.server.lease["spec"]["holderIdentity"].partition("_")[0]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(kopf, "spawn_tasks", world.spawn_tasks)
    monkeypatch.setattr(kopf, "run_tasks", world.run_tasks)
    return world


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_told_to_stop_it_ends_what_it_writes_then_gives_the_lease_back_and_ends_kopf_last(
    world: World, number: signal.Signals
) -> None:
    run = world.run()
    await world.writes_begun.wait()
    assert world.holder == "this-one"
    signal.raise_signal(number)
    await asyncio.sleep(0.05)
    assert world.ended == []
    world.may_write.set()
    await run
    assert world.ended == ["write", "lease", "kopf"]
    assert world.holder == ""


async def test_a_pass_that_does_not_end_is_broken_off_before_the_lease_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bertfinetune_operator.replica.STOP_SECONDS", 0.05)
    run = world.run()
    await world.writes_begun.wait()
    signal.raise_signal(signal.SIGTERM)
    await run
    assert world.ended == ["write", "lease", "kopf"]
    assert world.calls == []
    assert "is broken off" in caplog.text


async def test_told_to_stop_while_it_stands_by_it_never_leads(world: World) -> None:
    world.server.create(ANOTHERS)
    run = world.run()
    await asyncio.sleep(0.05)
    signal.raise_signal(signal.SIGTERM)
    await run
    assert world.ended == []
    assert not world.kopf_runs.is_set()
    assert world.holder == "another-one"


async def test_a_lost_lease_ends_all_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "RETRY_PERIOD", 0.01)
    run = world.run()
    await world.writes_begun.wait()
    assert world.server.lease
    world.server.replace(world.server.lease, ANOTHERS)
    with pytest.raises(ExceptionGroup) as caught:
        await run
    assert [type(error) for error in caught.value.exceptions] == [LeaseLostError]
    assert sorted(world.ended) == ["kopf", "write"]
    assert world.holder == "another-one"


async def test_where_kopf_ends_unasked_it_stops(world: World) -> None:
    world.may_write.set()
    run = world.run()
    await world.kopf_runs.wait()
    world.kopf_ends.set()
    await run
    assert world.holder == ""


async def test_where_kopf_fails_it_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run_tasks(*_: Any, **__: Any) -> None:
        raise RuntimeError("no credentials")

    monkeypatch.setattr(kopf, "run_tasks", run_tasks)
    with pytest.raises(ExceptionGroup, match="unhandled errors") as caught:
        await world.run()
    assert [str(error) for error in caught.value.exceptions] == ["no credentials"]
