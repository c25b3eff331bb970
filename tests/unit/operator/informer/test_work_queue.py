import asyncio

import pytest

from bertfinetune_operator.informer.work_queue import WorkQueue


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
    queue, waits = WorkQueue[str](), []
    monkeypatch.setattr(queue, "add_after", lambda key, seconds: waits.append((key, seconds)))
    delays = [queue.retry("a") for _ in range(20)]
    assert delays[:4] == [0.5, 1, 2, 4]
    assert set(delays[7:]) == {60}
    assert waits[0] == ("a", 0.5)
    queue.done("a")
    assert queue.retry("a") == 0.5
    assert queue.retry("a", at_least=30) == 30


async def test_how_long_a_key_waited_is_told() -> None:
    waits: list[float] = []
    queue = WorkQueue[str](waits.append)
    queue.add("a")
    await asyncio.sleep(0.02)
    queue.add("a")  # it waits since the first time
    await queue.get()
    assert len(waits) == 1
    assert 0.02 <= waits[0] < 5


async def test_a_failed_key_comes_back() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    await queue.get()
    queue.retry("a")
    assert await asyncio.wait_for(queue.get(), 5) == "a"


async def test_of_a_keys_deadlines_only_the_newest_counts() -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", 0.01)
    queue.add_after("a", 60)
    queue.add_after("b", 0.02)
    queue.add_after("c", 0.01)
    queue.add_after("c", None)
    assert await asyncio.wait_for(queue.get(), 5) == "b"
    await asyncio.sleep(0.02)
    assert len(queue) == 0
