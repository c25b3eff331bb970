"""What a list holds is in the index at once; what it lacks is forgotten, and its object looked at."""

from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bertfinetune_operator.cluster import BERTFINETUNES, JOBS, PODS, Resource
from bertfinetune_operator.index import Index, Key
from bertfinetune_operator.lists import Lists
from bertfinetune_operator.queue import WorkQueue
from golden import builders as make

Raw = dict[str, Any]
HERE = make.KEY.namespace


class Api:
    """Answers each list with the next of `pages`, and a watch with its end."""

    def __init__(self, index: Index, namespaces: tuple[str, ...] = ()) -> None:
        self.queue = WorkQueue[Key]()
        self.lists = Lists(index, self.queue, namespaces)
        self._pages: list[Raw] = []

    async def answer(self, request: web.Request) -> web.Response:
        return web.json_response({} if "watch" in request.query else self._pages.pop(0))

    async def ask(self, url: str, *pages: tuple[list[Raw], int]) -> None:
        """kopf's requests: a list in pages, and then the watch."""
        self._pages = [
            {"items": items, "metadata": {"resourceVersion": str(version), "continue": "more"}}
            for items, version in pages
        ]
        self._pages[-1]["metadata"]["continue"] = ""
        app = web.Application()
        app.router.add_get("/{path:.*}", self.answer)
        queries = [{"limit": "500"}, *({"limit": "500", "continue": "more"} for _ in pages[1:]), {"watch": "true"}]
        async with TestServer(app) as server, aiohttp.ClientSession(middlewares=(self.lists.listen,)) as session:
            for query in queries:
                async with session.get(server.make_url(url), params=query) as response:
                    await response.json()  # the body is still there for kopf


@pytest.fixture
def index() -> Index:
    """One object with its Job and a pod, all at version 1."""
    index = Index()
    index.put(make.bertfinetune({"phase": "Running"}))
    index.put(make.job())
    index.put(make.pod())
    return index


def counts(index: Index) -> tuple[int, int, int]:
    entry = index.get(make.KEY)
    return (0, 0, 0) if entry is None else (int(entry.obj is not None), len(entry.jobs), len(entry.pods))


async def test_the_first_lists_fill_the_index_before_any_pass() -> None:
    index = Index()
    api = Api(index)
    bare = [{key: raw[key] for key in raw if key != "kind"} for raw in (make.pod(), make.job(), make.bertfinetune())]
    for resource, raw in zip((PODS, JOBS, BERTFINETUNES), bare, strict=True):
        assert not api.lists.complete.is_set()
        await api.ask(resource.path(), ([], 5), ([raw], 5))
    assert api.lists.complete.is_set()
    assert counts(index) == (1, 1, 1)
    assert len(api.queue) == 0  # kopf hands them out now, and that wakes them


@pytest.mark.parametrize(("resource", "left"), [(BERTFINETUNES, (0, 1, 1)), (JOBS, (1, 0, 1)), (PODS, (1, 1, 0))])
async def test_what_a_list_lacks_is_gone(index: Index, resource: Resource, left: tuple[int, int, int]) -> None:
    api = Api(index)
    await api.ask(resource.path(), ([], 5))
    assert counts(index) == left
    assert await api.queue.get() == make.KEY


async def test_what_is_on_any_page_stays(index: Index) -> None:
    api = Api(index)
    for pages in ([([make.pod()], 5), ([], 5)], [([], 5), ([make.pod()], 5)]):
        await api.ask(PODS.path(), *pages)
        assert (counts(index), len(api.queue)) == ((1, 1, 1), 0)


async def test_what_is_newer_than_the_list_stays(index: Index) -> None:
    """The operator's own writes are in the index before any list has them."""
    api = Api(index)
    await api.ask(BERTFINETUNES.path(), ([], 0))
    assert counts(index) == (1, 1, 1)


@pytest.mark.parametrize(("namespace", "left"), [(HERE, (0, 1, 1)), ("elsewhere", (1, 1, 1))])
async def test_a_list_of_one_namespace_tells_nothing_of_others(
    index: Index, namespace: str, left: tuple[int, int, int]
) -> None:
    api = Api(index, (HERE, "elsewhere"))
    await api.ask(BERTFINETUNES.path(namespace), ([], 5))
    assert counts(index) == left
