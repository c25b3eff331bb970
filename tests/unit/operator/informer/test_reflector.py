"""What lists and watches bring is in the index, what a list lacks is forgotten, and no error ends the watching."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bertfinetune_operator.errors import ClusterError, ForbiddenError, GoneError, OverloadedError
from bertfinetune_operator.informer import reflector as module
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.reflector import Reflector
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.kinds import JOBS, PODS, Resource
from support import builders as make

Raw = dict[str, Any]
Answer = list[Any] | ClusterError
END = asyncio.CancelledError


class Api:
    """Answers each list and each watch with the next of `answers`: pages, batches of changes, or an error."""

    def __init__(self, resource: Resource, *answers: Answer) -> None:
        self.resource = resource
        self.answers = list(answers)
        self.asked: list[str] = []

    def _next(self, asked: str) -> list[Any]:
        if not self.answers:
            raise END
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, ClusterError):
            raise answer
        return answer

    async def list_pages(self, resource: Resource, namespace: str | None) -> AsyncIterator[Raw]:
        assert (resource, namespace) == (self.resource, None)
        for page in self._next("list"):
            yield page

    async def watch(
        self, resource: Resource, namespace: str | None, version: str, silence: float
    ) -> AsyncIterator[list[Raw]]:
        assert (resource, namespace, silence) == (self.resource, None, 9)
        for changes in self._next(f"watch {version}"):
            if isinstance(changes, ClusterError):
                raise changes
            yield changes


class World:
    """An index with one object, its Job and a pod, all older than 5, and what the reflector did."""

    def __init__(self) -> None:
        self.index = Index()
        for raw in (make.bertfinetune({"phase": "Running"}), make.job(), make.pod()):
            self.index.put(raw)
        self.queue = WorkQueue[Key]()
        self.informer = Informer(self.index, self.queue, ())
        self.heard: list[str] = []
        self.pauses: list[float] = []

    async def reflect(self, resource: Resource, *answers: Answer) -> list[str]:
        """Run a reflector until the answers are used up; what it asked for."""
        api = Api(resource, *answers)
        hear = self.heard.append
        reflector = Reflector(api, self.informer, resource, None, silence=9, hear=hear)  # ty: ignore[invalid-argument-type]
        with pytest.raises(END):
            await reflector.run()
        return api.asked

    def children(self) -> tuple[int, int]:
        entry = self.index.get(make.KEY)
        assert entry
        return len(entry.jobs), len(entry.pods)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()

    async def sleep(seconds: float) -> None:
        world.pauses.append(seconds)

    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    return world


def page(version: int, *items: Raw) -> Raw:
    bare = [{key: raw[key] for key in raw if key != "kind"} for raw in items]
    return {"items": bare, "metadata": {"resourceVersion": str(version)}}


def at(version: int, raw: Raw) -> Raw:
    return raw | {"metadata": raw["metadata"] | {"resourceVersion": str(version)}}


def change(kind: str, raw: Raw) -> Raw:
    return {"type": kind, "object": raw}


def bookmark(version: int) -> Raw:
    return change("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


async def test_a_list_fills_the_index_and_the_watch_goes_on_from_there(world: World) -> None:
    world.index = Index()
    world.informer = Informer(world.index, world.queue, ())
    asked = await world.reflect(PODS, [page(5), page(5, make.pod())], [[], [bookmark(7)]], [])
    assert asked == ["list", "watch 5", "watch 7"]
    assert world.children() == (0, 1)
    assert world.heard == [PODS.path()] * 4


@pytest.mark.parametrize(("resource", "left"), [(JOBS, (0, 1)), (PODS, (1, 0))])
async def test_what_a_list_lacks_is_gone(world: World, resource: Resource, left: tuple[int, int]) -> None:
    await world.reflect(resource, [page(5)])
    assert world.children() == left


async def test_what_is_on_any_page_stays(world: World) -> None:
    for pages in ([page(5, make.pod()), page(5)], [page(5), page(5, make.pod())]):
        await world.reflect(PODS, pages)
        assert world.children() == (1, 1)


async def test_changes_are_taken_and_a_resumed_watch_begins_after_the_last_one(world: World) -> None:
    changes = [change("DELETED", at(8, make.job())), change("ADDED", at(9, make.job(attempt=1)))]
    asked = await world.reflect(JOBS, [page(5, make.job())], [[], changes], [])
    assert asked == ["list", "watch 5", "watch 9"]
    entry = world.index.get(make.KEY)
    assert entry
    assert [job.attempt for job in entry.jobs.values()] == [1]


async def test_after_a_gap_it_lists_again_and_forgets_what_went_meanwhile(world: World) -> None:
    gone = [GoneError("too old resource version: 5 (9)")]
    asked = await world.reflect(PODS, [page(5, make.pod())], [[], *gone], [page(10)], [])
    assert asked == ["list", "watch 5", "list", "watch 10"]
    assert world.children() == (1, 0)
    assert world.pauses == [module.PAUSE_SECONDS, module.FIRST_BACKOFF]


async def test_a_server_that_ends_each_watch_by_an_error_is_not_listed_without_a_pause(world: World) -> None:
    """Or lists of thousands of pods would follow each other as fast as the server can answer."""
    await world.reflect(PODS, *[[page(5)], GoneError("etcd failed")] * 5)
    assert world.pauses == [module.FIRST_BACKOFF] * 5


@pytest.mark.parametrize("error", [ClusterError("no route"), ForbiddenError("may not")])
async def test_an_error_is_logged_and_tried_again_ever_later(
    world: World, caplog: pytest.LogCaptureFixture, error: ClusterError
) -> None:
    await world.reflect(PODS, *itertools.repeat(error, 7), [page(5, make.pod())], error)
    assert world.pauses == [1, 2, 4, 8, 16, 30, 30, 1]
    assert f"/api/v1/pods: {error}; next attempt in 30 s" in caplog.text


async def test_the_server_may_ask_for_more_patience(world: World) -> None:
    error = OverloadedError("later")
    error.retry_after = 99.0
    await world.reflect(PODS, error)
    assert world.pauses == [99]


async def test_a_watch_that_breaks_off_goes_on_where_it_was(world: World) -> None:
    asked = await world.reflect(PODS, [page(5)], [[], [bookmark(7)], ClusterError("reset")], [])
    assert asked == ["list", "watch 5", "watch 7"]


@pytest.mark.parametrize(("error", "heard"), [(ForbiddenError("may not"), 1), (ClusterError("no route"), 0)])
async def test_a_refusal_is_no_silence(world: World, error: ClusterError, heard: int) -> None:
    await world.reflect(PODS, error)
    assert len(world.heard) == heard


async def test_what_arrives_in_a_pause_is_one_batch_and_a_flood_is_not_held_up(world: World) -> None:
    flood = [bookmark(version) for version in range(6, 6 + module.MANY_CHANGES)]
    await world.reflect(PODS, [page(5)], [[], flood, [bookmark(99)]])
    assert world.pauses == [module.PAUSE_SECONDS] * 2
