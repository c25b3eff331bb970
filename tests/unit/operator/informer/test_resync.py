"""What kopf does not tell is found: that an object is gone, and that its watch has brought nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bertfinetune_operator.errors import ClusterError, ForbiddenError, OverloadedError
from bertfinetune_operator.informer import resync as module
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.resync import RETRY_SECONDS, Resync
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.kinds import BERTFINETUNES, JOBS, PODS
from support import builders as make


class World:
    """An index with one object at version 1, and an API server that has `objects`, versions by uid."""

    def __init__(self) -> None:
        self.index, self.queue = Index(), WorkQueue[Key]()
        self.index.put(make.bertfinetune())
        informer = Informer(self.index, self.queue, ())
        for resource in (JOBS, PODS):
            informer.retain(resource, None, set(), 0)
        self.heard: list[str] = []
        self.objects = {make.UID: 1}
        self.version = 5
        self.errors: list[ClusterError] = []
        self.resync = Resync(self, self.index, informer, None, hear=self.heard.append)  # ty: ignore[invalid-argument-type]

    async def list_pages(
        self, resource: Any, namespace: str | None, *, only_metadata: bool
    ) -> AsyncIterator[dict[str, Any]]:
        assert (resource, namespace, only_metadata) == (BERTFINETUNES, None, True)
        if self.errors:
            raise self.errors.pop(0)
        metadata = {"resourceVersion": str(self.version)}
        yield {"metadata": metadata, "items": []}
        items = [{"metadata": {"uid": uid, "resourceVersion": str(v)}} for uid, v in self.objects.items()]
        yield {"metadata": metadata, "items": items}


@pytest.fixture
def world() -> World:
    return World()


async def test_what_kopf_has_told_of_stays_and_its_watch_lives(world: World) -> None:
    await world.resync.look()
    assert world.index.versions(None) == {make.UID: 1}
    assert world.heard == [BERTFINETUNES.path()]


async def test_what_is_gone_without_a_word_is_forgotten(world: World) -> None:
    world.queue = WorkQueue[Key]()
    world.objects = {}
    await world.resync.look()
    assert world.index.versions(None) == {}


async def test_what_is_newer_than_the_list_stays(world: World) -> None:
    world.objects, world.version = {}, 0
    await world.resync.look()
    assert world.index.versions(None) == {make.UID: 1}


@pytest.mark.parametrize("missed", [{make.UID: 4}, {make.UID: 1, "new": 3}])
async def test_a_watch_that_has_brought_nothing_by_the_next_look_is_silent(
    world: World, missed: dict[str, int]
) -> None:
    world.objects = missed
    heard = []
    for _ in range(3):
        await world.resync.look()
        heard.append(len(world.heard))
    assert heard == [1, 1, 1]  # kopf may have told of it a moment after the first look
    world.index.put(make.bertfinetune(resourceVersion="4"))
    world.index.put(make.bertfinetune(uid="new", name="new", resourceVersion="3"))
    await world.resync.look()
    assert len(world.heard) == 2


async def test_what_was_new_and_is_gone_was_not_missed(world: World) -> None:
    world.objects = {make.UID: 1, "new": 3}
    await world.resync.look()
    world.objects = {make.UID: 1}
    await world.resync.look()
    assert len(world.heard) == 2


async def test_errors_do_not_end_it_and_a_refusal_is_no_silence(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    overloaded = OverloadedError("later")
    overloaded.retry_after = 9.0
    world.errors = [ClusterError("no route"), overloaded, ForbiddenError("may not")]
    seen: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        seen.append((seconds, len(world.heard)))
        if len(seen) == 4:
            raise asyncio.CancelledError

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    with pytest.raises(asyncio.CancelledError):
        await world.resync.run(70)
    assert seen == [(RETRY_SECONDS, 0), (9, 0), (70, 1), (70, 2)]
    assert f"{BERTFINETUNES.path()}: may not; next attempt in 70 s" in caplog.text
