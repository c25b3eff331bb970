"""What a worker does when a pass fails, or when none may begin."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bertfinetune_operator.controller.gate import Gate
from bertfinetune_operator.controller.reconciler import Reconciler
from bertfinetune_operator.controller.worker import work
from bertfinetune_operator.errors import ClusterError
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.telemetry.counters import Metrics
from support import builders as make
from support.fake_cluster import FakeCluster


class Cluster(FakeCluster):
    """Fails once for each of `failures`."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__(Index(), make.job())
        self.failures = list(failures)
        self.has_created = asyncio.Event()

    async def create_job(self, job: dict[str, Any]) -> dict[str, Any]:
        if self.failures:
            raise self.failures.pop()
        self.has_created.set()
        return await super().create_job(job)


@asynccontextmanager
async def working(cluster: Cluster, gate: Gate) -> AsyncIterator[None]:
    """A worker is at work, and an object has just come."""
    queue, metrics = WorkQueue[Key](), Metrics(cluster.index)
    reconciler = Reconciler(cluster.index, cluster, make.SETTINGS, metrics, lambda: make.NOW)  # ty: ignore[invalid-argument-type]
    Informer(cluster.index, queue, ()).take("ADDED", make.bertfinetune())
    queue.add(make.KEY)  # the informer waits for lists of Jobs and pods
    worker = asyncio.create_task(work(queue, gate, reconciler, metrics))
    yield
    worker.cancel()


@pytest.mark.parametrize("error", [ClusterError("timeout"), RuntimeError("bug")])
async def test_a_worker_survives_whatever_a_pass_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertfinetune_operator.informer.work_queue.FIRST_BACKOFF", 0.01)
    cluster = Cluster(error)
    async with working(cluster, Gate(lambda: True)):
        await asyncio.wait_for(cluster.has_created.wait(), 5)
    assert not cluster.failures


async def test_a_worker_begins_no_pass_once_the_gate_is_closed() -> None:
    cluster, gate = Cluster(), Gate(lambda: True)
    await gate.close(0)
    async with working(cluster, gate):
        await asyncio.sleep(0.01)
    assert cluster.calls == []
