"""What a worker does when a pass fails."""

import asyncio

import pytest

from bertfinetune_operator.controller.reconciler import (
    Reconciler,
)
from bertfinetune_operator.controller.worker import work
from bertfinetune_operator.errors import (
    ClusterError,
)
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.telemetry.counters import Metrics
from support import builders as make


@pytest.mark.parametrize("error", [ClusterError("timeout"), RuntimeError("bug")])
async def test_a_worker_survives_whatever_a_pass_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertfinetune_operator.informer.work_queue.FIRST_BACKOFF", 0.01)
    queue, outcomes, done = WorkQueue[Key](), [error, None], asyncio.Event()

    class Failing(Reconciler):
        def __init__(self) -> None:
            pass

        async def reconcile(self, key: Key) -> float | None:
            assert key == make.KEY
            if outcome := outcomes.pop(0):
                raise outcome
            done.set()
            return None

    worker = asyncio.create_task(work(queue, Failing(), Metrics(Index())))
    queue.add(make.KEY)
    await asyncio.wait_for(done.wait(), 5)
    worker.cancel()
