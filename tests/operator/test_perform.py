"""One pass against a cluster in memory: what is called, in which order, and what follows when the server says no."""

import asyncio
from typing import Any

import pytest

from bertfinetune_operator.errors import ClusterError, ConflictError, NotFoundError, RefusedError
from bertfinetune_operator.index import Index, Key
from bertfinetune_operator.metrics import Metrics
from bertfinetune_operator.perform import MAX_NOTE, Event, Reconciler, event_manifest, work
from bertfinetune_operator.queue import WorkQueue
from golden import builders as make


class FakeCluster:
    """Remembers the calls; `errors` are raised by the call of that name."""

    def __init__(self, index: Index, job: dict[str, Any]) -> None:
        self.index, self.job = index, job
        self.calls: list[str] = []
        self.patches: list[dict[str, Any]] = []
        self.errors: dict[str, ClusterError] = {}

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self.errors:
            raise self.errors[name]

    async def create_job(self, job: dict[str, Any]) -> dict[str, Any]:
        self._call("create_job")
        return job | {"metadata": job["metadata"] | {"uid": "u", "resourceVersion": "1"}}

    async def get_job(self, namespace: str, name: str) -> dict[str, Any]:
        self._call("get_job")
        assert (namespace, name) == (self.job["metadata"]["namespace"], self.job["metadata"]["name"])
        return self.job

    async def patch_status(self, obj: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        self._call("patch_status")
        self.patches.append(status)
        version = str(int(obj["metadata"]["resourceVersion"]) + 1)
        return obj | {
            "metadata": obj["metadata"] | {"resourceVersion": version},
            "status": obj.get("status", {}) | status,
        }

    async def create_event(self, event: dict[str, Any]) -> None:
        self._call("create_event")
        assert event["regarding"]["name"] == "minimal"


@pytest.fixture
def cluster() -> FakeCluster:
    index = Index()
    index.put(make.bertfinetune())
    return FakeCluster(index, make.job())


@pytest.fixture
def reconciler(
    cluster: FakeCluster,
) -> Reconciler:
    return Reconciler(cluster.index, cluster, make.SETTINGS, lambda: make.NOW)  # ty: ignore[invalid-argument-type]


async def test_first_pass_creates_and_reports_and_the_second_does_nothing(
    cluster: FakeCluster, reconciler: Reconciler
) -> None:
    await reconciler.reconcile(make.KEY)
    assert cluster.calls == ["create_job", "patch_status", "create_event"]
    assert cluster.patches[0]["jobName"] == "minimal-11111111"
    await reconciler.reconcile(make.KEY)
    assert len(cluster.calls) == 3


async def test_an_unknown_key_and_a_job_without_object_are_nobodys_business(
    cluster: FakeCluster, reconciler: Reconciler
) -> None:
    await reconciler.reconcile(Key("research", "unknown"))
    cluster.index.discard(make.bertfinetune())
    cluster.index.put(make.job())
    await reconciler.reconcile(make.KEY)
    assert cluster.calls == []


async def test_a_job_of_an_earlier_life_is_adopted(cluster: FakeCluster, reconciler: Reconciler) -> None:
    cluster.errors["create_job"] = ConflictError("exists")
    await reconciler.reconcile(make.KEY)
    assert cluster.calls == ["create_job", "get_job", "patch_status", "create_event"]


async def test_a_refusal_is_reported_once_and_tried_again(cluster: FakeCluster, reconciler: Reconciler) -> None:
    cluster.errors["create_job"] = RefusedError("exceeded quota")
    for _ in range(2):
        with pytest.raises(RefusedError):
            await reconciler.reconcile(make.KEY)
    assert [patch["message"] for patch in cluster.patches] == ["exceeded quota"]
    del cluster.errors["create_job"]
    await reconciler.reconcile(make.KEY)
    assert cluster.patches[-1]["message"] == "waiting for the Job's first pod"


async def test_an_object_gone_meanwhile_is_forgotten(cluster: FakeCluster, reconciler: Reconciler) -> None:
    cluster.errors["patch_status"] = NotFoundError("gone")
    await reconciler.reconcile(make.KEY)
    assert list(cluster.index.objects()) == []


async def test_an_event_is_not_worth_a_failed_pass(cluster: FakeCluster, reconciler: Reconciler) -> None:
    cluster.errors["create_event"] = RefusedError("no right to create events")
    await reconciler.reconcile(make.KEY)
    assert cluster.calls[-1] == "create_event"


@pytest.mark.parametrize("error", [ClusterError("timeout"), ConflictError("changed meanwhile")])
async def test_a_patch_that_failed_is_made_again(
    cluster: FakeCluster, reconciler: Reconciler, error: ClusterError
) -> None:
    cluster.errors["patch_status"] = error
    with pytest.raises(type(error)):
        await reconciler.reconcile(make.KEY)
    del cluster.errors["patch_status"]
    await reconciler.reconcile(make.KEY)
    assert cluster.calls == ["create_job", "patch_status", "patch_status", "create_event"]


@pytest.mark.parametrize("error", [ClusterError("timeout"), RuntimeError("bug")])
async def test_a_worker_survives_whatever_a_pass_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertfinetune_operator.queue.FIRST_BACKOFF", 0.01)
    queue, outcomes, done = WorkQueue[Key](), [error, None], asyncio.Event()

    class Failing(Reconciler):
        def __init__(self) -> None:
            pass

        async def reconcile(self, key: Key) -> None:
            assert key == make.KEY
            if outcome := outcomes.pop(0):
                raise outcome
            done.set()

    worker = asyncio.create_task(work(queue, Failing(), Metrics()))
    queue.add(make.KEY)
    await asyncio.wait_for(done.wait(), 5)
    worker.cancel()


def test_events_have_the_same_name_for_the_same_content_and_fit() -> None:
    one, same, other = (
        event_manifest(make.bertfinetune(), Event("Warning", "Failed", text * 2000), make.NOW)
        for text in ("a", "a", "b")
    )
    assert one["metadata"] == same["metadata"]
    assert one["metadata"] != other["metadata"]
    assert len(one["note"]) == MAX_NOTE
