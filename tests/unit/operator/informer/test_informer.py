"""What brings news wakes an object, and none is woken in a namespace whose children are not known."""

import pytest

from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.kinds import BERTFINETUNES, JOBS, PODS
from support import builders as make

HERE = make.KEY.namespace


class World:
    def __init__(self, *namespaces: str) -> None:
        self.index, self.queue = Index(), WorkQueue[Key]()
        self.informer = Informer(self.index, self.queue, namespaces)

    def list(self, namespace: str | None, version: int = 5) -> None:
        """Jobs and pods of a namespace are listed, and there are none."""
        for resource in (JOBS, PODS):
            self.informer.retain(resource, namespace, set(), version)


def test_no_object_is_woken_before_its_jobs_and_pods_are_listed() -> None:
    world = World()
    world.informer.take("ADDED", make.bertfinetune())
    assert len(world.queue) == 0
    world.informer.retain(JOBS, None, set(), 5)
    assert (len(world.queue), world.informer.ready.is_set()) == (0, False)
    world.informer.retain(PODS, None, set(), 5)
    assert (len(world.queue), world.informer.ready.is_set()) == (1, True)


def test_a_namespace_that_is_forbidden_holds_up_only_itself() -> None:
    world = World(HERE, "b")
    there = make.bertfinetune(namespace="b", uid="other")
    for raw in (make.bertfinetune(), there):
        world.informer.take("ADDED", raw)
    for resource in (JOBS, PODS):
        world.informer.refused(resource, "b")
    assert not world.informer.ready.is_set()  # nothing can be served
    world.list(HERE)
    assert (len(world.queue), world.informer.ready.is_set()) == (1, True)
    world.informer.wake(Key("b", "other"))
    assert len(world.queue) == 1
    world.list("b")
    assert len(world.queue) == 2


@pytest.fixture
def world() -> World:
    world = World()
    world.list(None, version=0)
    return world


async def test_what_is_gone_wakes_its_object(world: World) -> None:
    for raw in (make.bertfinetune(), make.job()):
        world.index.put(raw)
    world.informer.take("DELETED", make.job())
    assert await world.queue.get() == make.KEY
    world.queue.done(make.KEY)
    world.informer.retain(BERTFINETUNES, None, set(), 5)
    assert await world.queue.get() == make.KEY
    assert world.index.get(make.KEY) is None


async def test_what_nothing_reads_wakes_nothing(world: World) -> None:
    for _ in range(2):
        world.informer.take("MODIFIED", make.pod())
    await world.queue.get()
    assert len(world.queue) == 0


def test_only_its_own_event_makes_an_object_fresh(world: World) -> None:
    for raw, is_fresh in ((make.pod(), False), (make.job(), False), (make.bertfinetune(), True)):
        world.informer.take("ADDED", raw)
        entry = world.index.get(make.KEY)
        assert entry
        assert entry.is_fresh == is_fresh, raw["kind"]


def test_what_the_operator_wrote_makes_no_object_fresh(world: World) -> None:
    world.index.put(make.bertfinetune())
    world.informer.take("MODIFIED", make.bertfinetune())
    entry = world.index.get(make.KEY)
    assert entry
    assert not entry.is_fresh


def test_an_object_that_nothing_foresaw_is_left_out(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.informer.take("MODIFIED", make.pod() | {"status": {"containerStatuses": 3}})
    world.informer.take("ADDED", make.job())
    assert "a bug in the operator: pod-1 is left out" in caplog.text
    assert len(world.queue) == 1
