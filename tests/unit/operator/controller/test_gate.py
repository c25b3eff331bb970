"""The gate before the passes."""

import asyncio

import pytest

from bertfinetune_operator.controller.gate import GatedReconciler
from bertfinetune_operator.controller.reconciler import Reconciler
from bertfinetune_operator.informer.index import Key

KEY = Key("ns", "uid")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Event]:
    """Each pass adds an event here, and lasts until it is set."""
    begun: list[asyncio.Event] = []

    async def reconcile(*_: object) -> None:
        begun.append(asyncio.Event())
        await begun[-1].wait()

    monkeypatch.setattr(Reconciler, "__init__", lambda *_: None)
    monkeypatch.setattr(Reconciler, "reconcile", reconcile)
    return begun


async def test_a_closed_gate_waits_for_passes_under_way_and_begins_none(passes: list[asyncio.Event]) -> None:
    gate = GatedReconciler(may_write=lambda: True)
    async with asyncio.TaskGroup() as group:
        under_way = group.create_task(gate.reconcile(KEY))
        await asyncio.sleep(0)
        closing = group.create_task(gate.close(5))
        await asyncio.sleep(0)
        late = group.create_task(gate.reconcile(KEY))
        await asyncio.sleep(0.01)
        assert (len(passes), closing.done(), late.done()) == (1, False, False)
        passes[0].set()
        assert await closing
        assert under_way.done()
        late.cancel()
    assert len(passes) == 1


async def test_a_pass_that_hangs_is_not_waited_for_without_end(passes: list[asyncio.Event]) -> None:
    gate = GatedReconciler(may_write=lambda: True)
    assert await gate.close(0.01)  # nothing is under way
    gate = GatedReconciler(may_write=lambda: True)
    hanging = asyncio.create_task(gate.reconcile(KEY))
    await asyncio.sleep(0)
    assert not await gate.close(0.01)
    passes[0].set()
    await hanging


async def test_no_pass_begins_after_the_lease_has_run_out(passes: list[asyncio.Event]) -> None:
    late = asyncio.create_task(GatedReconciler(may_write=lambda: False).reconcile(KEY))
    await asyncio.sleep(0.01)
    assert passes == []
    late.cancel()
