"""The API server's clock, and that nothing which is decided depends on this machine's."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertfinetune_operator.cluster.clock import ServerClock
from bertfinetune_operator.controller.reconciler import Reconciler
from bertfinetune_operator.informer.index import Index
from bertfinetune_operator.telemetry.counters import Metrics
from support import builders as make
from support.builders import RESULT
from support.fake_cluster import FakeCluster
from support.scenes import SCENES, Scene
from support.world import World

hours = st.integers(-72 * 3600, 72 * 3600)


class Seconds:
    """A monotonic clock, which the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(hours, st.integers(0, 10**6))
def test_it_tells_the_servers_time_however_wrong_this_machines_clock_is(offset: int, passed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: make.NOW.timestamp() + offset)
        monotonic = Seconds()
        clock = ServerClock(monotonic)
        assert clock() == make.NOW + timedelta(seconds=offset)  # nobody has answered yet
        clock.hear(format_datetime(make.NOW, usegmt=True))
        monotonic.now += passed
        assert clock() == make.NOW + timedelta(seconds=passed)


def test_the_newest_answer_counts() -> None:
    clock = ServerClock(Seconds())
    clock.hear("Fri, 02 Jan 2026 03:10:00 GMT")
    clock.hear("Fri, 02 Jan 2026 03:09:59 GMT")  # of another replica of the API server
    assert clock() == datetime(2026, 1, 2, 3, 9, 59, tzinfo=UTC)


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Jan 2026 03:10:00 GMT"])
def test_what_is_no_date_changes_nothing(date: str) -> None:
    clock = ServerClock(Seconds())
    clock.hear("Fri, 02 Jan 2026 03:10:00 GMT")
    clock.hear(date)
    assert clock() == make.NOW


def calls_of(scene: Scene, offset: int) -> tuple[list[str], list[Any], list[float | None]]:
    """What a pass over this scene asks of the API server, and when it wants to look again."""
    index = Index()
    world = scene.world()
    for raw in (world.obj, *world.jobs.values(), *world.pods.values()):
        index.put(raw)
    cluster = FakeCluster(index, make.job())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: make.NOW.timestamp() + offset)
        clock = ServerClock(Seconds())
        clock.hear(format_datetime(world.now, usegmt=True))
        reconciler = Reconciler(index, cluster, make.SETTINGS, Metrics(index), clock)  # ty: ignore[invalid-argument-type]
        delays = asyncio.run(passes(reconciler))
    return cluster.calls, cluster.patches, delays


async def passes(reconciler: Reconciler) -> list[float | None]:
    return [await reconciler.reconcile(make.KEY) for _ in range(3)]


@settings(max_examples=20)
@given(st.sampled_from(sorted(SCENES)), hours)
def test_no_verdict_comes_from_this_machines_clock(name: str, offset: int) -> None:
    """Node loss, deadlines, back-off, time to live: all compare times of the API server."""
    assert calls_of(SCENES[name], offset) == calls_of(SCENES[name], 0)


@given(hours, st.integers(1, 900))
def test_a_deadline_of_training_does_not_hang_on_the_nodes_clock(offset: int, limit: int) -> None:
    spec = {"activeDeadlineSeconds": limit, "quality": {"onCollapse": "Accept"}}
    world = World(make.bertfinetune(spec=spec), node_clock=timedelta(seconds=offset))
    world.operate()
    world.control_jobs()
    world.start()
    world.operate()
    world.now += timedelta(seconds=limit - 1)
    world.operate()
    assert world.status["phase"] in ("Preparing", "Running")
    world.now += timedelta(seconds=1)
    world.operate()
    assert (world.status["phase"], world.status["reason"]) == ("Failed", "DeadlineExceeded")


@given(hours, st.integers(1, 900))
def test_the_time_of_training_is_told_by_one_clock(offset: int, trained: int) -> None:
    world = World(node_clock=timedelta(seconds=offset))
    world.operate()
    world.control_jobs()
    world.start()
    world.operate()
    world.now += timedelta(seconds=trained)
    world.end(0, RESULT)
    world.control_jobs()
    world.operate()
    assert world.status["phase"] == "Succeeded"
    assert world.status["activeSeconds"] == trained
    assert make.NOW.isoformat() <= world.status["startTime"].replace("Z", "+00:00") <= world.now.isoformat()
