import asyncio

import pytest

from bertfinetune_operator.queue import WorkQueue


async def test_a_key_waits_once() -> None:
    queue = WorkQueue[str]()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_being_worked_on_is_not_handed_out_twice_but_comes_again() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(queue.get(), 0.02)
    queue.done("a")
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_back_off_doubles_up_to_a_minute_and_success_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    queue, calls = WorkQueue[str](), []
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda delay, *rest: calls.append((delay, *rest)))
    delays = [queue.retry("a") for _ in range(20)]
    assert delays[:4] == [0.5, 1, 2, 4]
    assert set(delays[7:]) == {60}
    assert calls[0] == (0.5, queue.add, "a")
    queue.done("a")
    assert queue.retry("a") == 0.5


async def test_a_failed_key_comes_back() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    await queue.get()
    queue.retry("a")
    assert await asyncio.wait_for(queue.get(), 5) == "a"
