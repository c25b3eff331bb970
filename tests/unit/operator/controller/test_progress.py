import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from bertfinetune_operator import contract
from bertfinetune_operator.controller import progress
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.work_queue import WorkQueue
from support import builders as make
from support.builders import RUNNING

REPORT = '{"phase":"Training","step":1,"totalSteps":343,"percent":0,"etaSeconds":null,"loss":null,"msPerStep":null}'


class Trainer:
    """A trainer's HTTP server, which says whatever the test wants."""

    status = 200
    text = REPORT

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        return web.Response(status=self.status, text=self.text, headers=self.headers)


@pytest.fixture
async def trainer() -> AsyncIterator[tuple[Trainer, str]]:
    says = Trainer()
    app = web.Application()
    app.add_routes([web.get("/progress", says.answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield says, f"http://127.0.0.1:{runner.addresses[0][1]}/progress"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "text", "step"),
    [
        (200, REPORT, 1),
        (404, REPORT, None),
        (200, "<html>", None),
        (200, "[1]", None),
        (200, '{"a":"' + "x" * 5000 + '"}', None),
    ],
)
async def test_what_a_trainer_may_answer(
    trainer: tuple[Trainer, str], status: int, text: str, step: int | None
) -> None:
    says, url = trainer
    says.status, says.text = status, text
    async with aiohttp.ClientSession() as session:
        report = await progress.fetch(session, url)
    assert (report.progress.step if report else None) == step


async def test_no_redirect_is_followed(trainer: tuple[Trainer, str]) -> None:
    """Else a trainer's image could send the operator to whatever the operator reaches."""
    says, url = trainer
    says.status, says.headers = 302, {"Location": "/progress?again"}
    async with aiohttp.ClientSession() as session:
        assert await progress.fetch(session, url) is None
    assert says.asked == ["/progress"]


async def test_nobody_listens() -> None:
    async with aiohttp.ClientSession() as session:
        assert await progress.fetch(session, "http://127.0.0.1:1/progress") is None


@pytest.mark.parametrize(
    ("ip", "url"), [("10.0.0.7", "http://10.0.0.7:8080/progress"), ("fd00::7", "http://[fd00::7]:8080/progress")]
)
def test_address(ip: str, url: str) -> None:
    assert progress.progress_url(ip) == url


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
async def test_trainers_of_both_families_are_asked(ip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = web.Application()
    app.add_routes([web.get("/progress", Trainer().answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, ip, 0).start()
    monkeypatch.setattr(contract, "METRICS_PORT", runner.addresses[0][1])
    index, queue = Index(), WorkQueue[Key]()
    index.put(make.bertfinetune())
    index.put(make.pod(state=RUNNING, podIP=ip))
    polling = asyncio.create_task(progress.poll(index, queue.add, lambda: make.NOW, 0.01))
    entry = index.get(await asyncio.wait_for(queue.get(), 5))
    polling.cancel()
    await runner.cleanup()
    assert entry
    assert entry.reports["pod-1"].progress.step == 1


async def test_a_changed_report_wakes_its_object_once(
    trainer: tuple[Trainer, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "progress_url", lambda _: trainer[1])
    index, queue = Index(), WorkQueue[Key]()
    index.put(make.bertfinetune())
    index.put(make.pod(state=RUNNING, podIP="127.0.0.1"))
    polling = asyncio.create_task(progress.poll(index, queue.add, lambda: make.NOW, 0.01))
    key = await asyncio.wait_for(queue.get(), 5)
    entry = index.get(key)
    assert entry
    assert entry.reports["pod-1"].progress.step == 1
    queue.done(key)
    await asyncio.sleep(0.1)
    assert len(queue) == 0
    polling.cancel()
