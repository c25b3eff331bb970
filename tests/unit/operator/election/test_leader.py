"""Replicas on one simulated Lease, in simulated time: slow, failing and lost requests, crashes, different clocks."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bertfinetune_operator.election.leader import ATTEMPT_SECONDS, Leader, LeaseLostError
from bertfinetune_operator.election.lease import LEASE_SECONDS, RENEW_DEADLINE, RETRY_PERIOD
from unit.operator.election.simulation import OK, Fault, Network, Server, now


class Replica:
    """A process: leads or stands by, and starts again some seconds after it lost the lease, under a new identity."""

    def __init__(self, name: str, server: Server, offset: float = 0.0, faults: Iterable[Fault] = ()) -> None:
        self._name, self._offset = name, offset
        self.network = Network(server, faults)
        self.led_at: float | None = None
        self.start()

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        identity = f"{self._name}_{now()}"
        self.leader = Leader(self.network, "ns", "lease", identity, lambda: loop.time() + self._offset)
        self.task = loop.create_task(self._run())

    async def _run(self) -> None:
        await self.leader.acquire()
        self.led_at = now()
        await self.leader.hold()

    async def ended(self) -> None:
        """Wait until it lost the lease."""
        with contextlib.suppress(LeaseLostError):
            await self.task

    def kill(self) -> None:
        self.task.cancel()
        self.led_at = None


async def leading(*replicas: Replica) -> Replica:
    while not (leaders := [replica for replica in replicas if replica.leader.leads()]):  # noqa: ASYNC110  # simulated time
        await asyncio.sleep(0.01)
    assert len(leaders) == 1
    return leaders[0]


async def one_leads() -> tuple[Server, Replica]:
    server = Server()
    return server, await leading(Replica("first", server))


SECONDS = st.sampled_from([0.0, 0.01, 1.0, 4.0, 9.0])
SPELLS = st.tuples(st.tuples(SECONDS, SECONDS, st.sampled_from(["", "before", "after"])), st.integers(1, 12))
"""A fault, and how many requests in a row it befalls."""
OFFSETS = st.sampled_from([0.0, 3.7, -1e6, 1e9])
REPLICAS = st.tuples(OFFSETS, st.lists(SPELLS, max_size=5))


CUT_OFF = (0.0, [(OK, 3), ((0.0, 0.0, "before"), 12)])
WELL = (0.0, [(OK, 1)])


@settings(max_examples=150)
@example((CUT_OFF, WELL), [])
@given(st.tuples(REPLICAS, REPLICAS), st.lists(st.floats(0.5, 30.0), max_size=3))
async def test_never_two_leaders_and_always_one_again(
    weather: tuple[tuple[float, list[tuple[Fault, int]]], ...], kills: list[float]
) -> None:
    server = Server()
    replicas = [
        Replica(f"replica{number}", server, offset, [fault for fault, times in spells for _ in range(times)])
        for number, (offset, spells) in enumerate(weather)
    ]
    dying = asyncio.get_running_loop().create_task(_kill(replicas, kills))
    quiet = 0.0
    while quiet < LEASE_SECONDS + 2 * RETRY_PERIOD + ATTEMPT_SECONDS:
        await asyncio.sleep(0.1)
        assert sum(replica.leader.leads() for replica in replicas) < 2, f"two leaders at {now()}"
        for replica in replicas:
            if replica.task.done():
                assert isinstance(replica.task.exception(), LeaseLostError)
                replica.start()
        calm = dying.done() and not any(replica.network.faults for replica in replicas)
        quiet = quiet + 0.1 if calm else 0.0
    assert sum(replica.leader.leads() for replica in replicas) == 1
    for replica in replicas:
        replica.kill()


async def _kill(replicas: list[Replica], pauses: list[float]) -> None:
    """Kill the leader again and again, or whoever there is."""
    for pause in pauses:
        await asyncio.sleep(pause)
        victim = max(replicas, key=lambda replica: replica.leader.leads())
        victim.kill()
        victim.start()


@settings(max_examples=50)
@given(st.floats(0.0, 4.0), st.floats(0.0, 2.0))
async def test_a_leader_that_dies_is_succeeded_within_lease_and_retry_period(after: float, apart: float) -> None:
    server, first = await one_leads()
    await asyncio.sleep(apart)
    second = Replica("second", server)
    await asyncio.sleep(RETRY_PERIOD + after)
    first.kill()
    died = now()
    assert await leading(second)
    assert now() - died <= LEASE_SECONDS + RETRY_PERIOD + 0.1  # the requests themselves take 0.02 s each
    assert now() - server.writes[-2] >= LEASE_SECONDS
    second.kill()


async def test_a_lease_given_back_is_taken_at_the_next_look() -> None:
    server, first = await one_leads()
    second = Replica("second", server)
    await asyncio.sleep(20)
    first.kill()
    await first.leader.release()
    assert not first.leader.leads()
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == ""
    gone = now()
    await leading(second)
    assert now() - gone <= RETRY_PERIOD + 0.1
    second.kill()


async def test_a_standby_gives_nothing_back() -> None:
    server, first = await one_leads()
    second = Replica("second", server)
    await asyncio.sleep(5)
    second.kill()
    await second.leader.release()
    assert first.leader.leads()
    await asyncio.sleep(60)
    assert first.leader.leads()
    assert server.read()["spec"]["leaseTransitions"] == 0
    first.kill()


@pytest.mark.parametrize("fault", [(0.0, 0.0, "before"), (3600.0, 0.0, ""), (0.0, 3600.0, "")])
async def test_a_leader_that_cannot_renew_stops_in_time(fault: Fault) -> None:
    server, replica = await one_leads()
    await asyncio.sleep(5)
    last = server.writes[-1]
    replica.network.faults.extend([fault] * 100)
    await replica.ended()
    assert isinstance(replica.task.exception(), LeaseLostError)
    assert RENEW_DEADLINE - 0.1 <= now() - last <= RENEW_DEADLINE + 0.1
    assert not replica.leader.leads()


async def test_an_api_server_that_restarts_in_time_costs_nothing() -> None:
    _, replica = await one_leads()
    replica.network.faults.extend([(0.0, 0.0, "before")] * 2 + [(0.0, 0.0, "after")])
    await asyncio.sleep(60)
    assert replica.leader.leads()
    replica.kill()


async def test_a_leader_that_somebody_replaced_stops_at_its_next_renewal() -> None:
    server, replica = await one_leads()
    assert server.lease is not None
    usurped = server.lease["spec"] | {"holderIdentity": "usurper"}
    server.replace(server.lease, usurped)
    began = now()
    with pytest.raises(LeaseLostError, match="lost the lease ns/lease, and so stop: usurper holds it"):
        await replica.task
    assert now() - began <= 2 * RETRY_PERIOD + 0.1


async def test_what_stays_the_same_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bertfinetune_operator")
    server, first = await one_leads()
    second = Replica("second", server)
    await asyncio.sleep(120)
    first.kill()
    second.kill()

    assert [r.getMessage().split("_")[0] for r in caplog.records] == ["leading as first", "standing by: first"]
