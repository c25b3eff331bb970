"""A Reconciler and the cluster in memory that it acts on."""

import pytest

from bertfinetune_operator.controller.reconciler import Reconciler
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.telemetry.counters import Metrics
from support import builders as make
from support.fake_cluster import Clock, FakeCluster


@pytest.fixture
def cluster() -> FakeCluster:
    """The object's own event has just come."""
    index = Index()
    Informer(index, WorkQueue[Key](), ()).take("ADDED", make.bertfinetune())
    return FakeCluster(index, make.job())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reconciler(cluster: FakeCluster, clock: Clock) -> Reconciler:
    return Reconciler(cluster.index, cluster, make.SETTINGS, Metrics(cluster.index), clock)  # ty: ignore[invalid-argument-type]
