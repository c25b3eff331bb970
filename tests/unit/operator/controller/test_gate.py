"""The gate before the passes."""

import asyncio
from contextlib import suppress

from bertfinetune_operator.controller.gate import Gate


class Passes:
    """Each pass that the gate lets through adds an event here, and lasts until it is set."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.begun: list[asyncio.Event] = []

    async def one(self) -> None:
        async with self._gate.passing():
            self.begun.append(asyncio.Event())
            await self.begun[-1].wait()


async def test_a_closed_gate_waits_for_passes_under_way_and_begins_none() -> None:
    gate = Gate(lambda: True)
    passes = Passes(gate)
    async with asyncio.TaskGroup() as group:
        under_way = [group.create_task(passes.one()) for _ in range(2)]
        await asyncio.sleep(0)
        closing = group.create_task(gate.close(5))
        await asyncio.sleep(0)
        late = group.create_task(passes.one())
        passes.begun[0].set()
        await asyncio.sleep(0.01)
        assert (len(passes.begun), closing.done(), late.done()) == (2, False, False)
        passes.begun[1].set()
        assert await closing
        assert all(task.done() for task in under_way)
        late.cancel()
    assert len(passes.begun) == 2


async def test_a_pass_that_hangs_is_not_waited_for_without_end() -> None:
    gate = Gate(lambda: True)
    assert await gate.close(0.01)  # nothing is under way
    gate = Gate(lambda: True)
    passes = Passes(gate)
    hanging = asyncio.create_task(passes.one())
    await asyncio.sleep(0)
    assert not await gate.close(0.01)
    passes.begun[0].set()
    await hanging


async def test_no_pass_begins_after_the_lease_has_run_out() -> None:
    leads = True
    passes = Passes(Gate(lambda: leads))
    under_way = asyncio.create_task(passes.one())
    await asyncio.sleep(0)
    leads = False
    late = asyncio.create_task(passes.one())
    await asyncio.sleep(0.01)
    assert len(passes.begun) == 1
    late.cancel()
    passes.begun[0].set()
    await under_way


async def test_a_pass_that_fails_is_under_way_no_more() -> None:
    gate = Gate(lambda: True)
    with suppress(RuntimeError):
        async with gate.passing():
            raise RuntimeError("bug")
    assert await gate.close(0.01)
