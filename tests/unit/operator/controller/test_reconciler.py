"""One pass against a cluster in memory: what is called, in which order, and what follows when the server says no."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bertfinetune_operator.controller import reconciler as module
from bertfinetune_operator.controller.reconciler import (
    ASK_AGAIN_SECONDS,
    Reconciler,
    ask_again_seconds,
    settle_seconds,
)
from bertfinetune_operator.decision import kueue
from bertfinetune_operator.decision.decide import Decision, decide
from bertfinetune_operator.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    OverloadedError,
    RefusedError,
)
from bertfinetune_operator.informer.index import Entry, Key
from bertfinetune_operator.telemetry.counters import Metrics
from support import builders as make
from support.builders import COMPLETE, FAILED, PULLING, RESULT, RUNNING, UNSCHEDULABLE, ended
from support.fake_cluster import Clock, FakeCluster


async def settle(reconciler: Reconciler, clock: Clock) -> float | None:
    """A pass, another one when what it found has settled, and one more when that has been written."""
    await reconciler.reconcile(make.KEY)
    clock.now += timedelta(seconds=1)
    if delay := await reconciler.reconcile(make.KEY):
        return delay
    return await reconciler.reconcile(make.KEY)


async def test_first_pass_creates_and_a_later_one_reports_and_then_nothing_happens(
    cluster: FakeCluster, reconciler: Reconciler, clock: Clock
) -> None:
    assert await reconciler.reconcile(make.KEY) == 1.0
    assert cluster.calls == ["create_job"]
    clock.now += timedelta(seconds=1)
    await reconciler.reconcile(make.KEY)
    assert cluster.calls == ["create_job", "patch_status"]
    assert cluster.patches[0]["jobName"] == "minimal-11111111"
    await reconciler.reconcile(make.KEY)
    assert len(cluster.calls) == 2


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> list[Decision]:
    """What has been decided."""
    decisions: list[Decision] = []

    def deciding(*seen: Any) -> Decision:
        decisions.append(decide(*seen))
        return decisions[-1]

    monkeypatch.setattr(module, "decide", deciding)
    return decisions


@pytest.mark.parametrize("children", [(), (make.job(), make.pod(state=RUNNING))])
async def test_a_pass_decides_once(
    cluster: FakeCluster, reconciler: Reconciler, decided: list[Decision], children: tuple[dict[str, Any], ...]
) -> None:
    for child in children:
        cluster.index.put(child)
    await reconciler.reconcile(make.KEY)
    assert len(decided) == 1
    assert bool(decided[0].create) == (not children)


async def test_a_pass_decides_again_on_an_answer(
    cluster: FakeCluster, reconciler: Reconciler, decided: list[Decision]
) -> None:
    cluster.index.put(make.job(0, FAILED))
    cluster.index.put(make.pod(state=ended(70, "boom")))
    await reconciler.reconcile(make.KEY)
    assert len(decided) == 2


async def test_a_pass_decides_again_on_a_refusal(
    cluster: FakeCluster, reconciler: Reconciler, decided: list[Decision]
) -> None:
    cluster.errors["create_job"] = RefusedError("no")
    with pytest.raises(RefusedError):
        await reconciler.reconcile(make.KEY)
    assert len(decided) == 2


async def test_an_unknown_key_and_a_job_without_object_are_nobodys_business(
    cluster: FakeCluster, reconciler: Reconciler
) -> None:
    await reconciler.reconcile(Key("research", "unknown"))
    cluster.index.discard(make.bertfinetune())
    cluster.index.put(make.job())
    await reconciler.reconcile(make.KEY)
    assert cluster.calls == []


async def test_a_job_of_an_earlier_life_is_adopted(cluster: FakeCluster, reconciler: Reconciler, clock: Clock) -> None:
    cluster.errors["create_job"] = ConflictError("exists")
    await settle(reconciler, clock)
    assert cluster.calls == ["create_job", "get_job", "newest_warning research uid-of-job-0", "patch_status"]


@pytest.mark.parametrize("error", [RefusedError, NotFoundError, ClusterError])
async def test_a_refusal_is_reported_at_once_and_once_and_tried_again(
    cluster: FakeCluster, reconciler: Reconciler, clock: Clock, error: type[ClusterError]
) -> None:
    cluster.errors["create_job"] = error("failed calling webhook")
    for _ in range(3):
        with pytest.raises(error):
            await reconciler.reconcile(make.KEY)
        assert cluster.calls[:3] == ["create_job", "patch_status", "create_event"]
        clock.now += timedelta(seconds=1)
    told = [(patch["phase"], patch["reason"], patch["message"]) for patch in cluster.patches if patch]
    assert told == [("Pending", "JobRefused", "failed calling webhook")]
    del cluster.errors["create_job"]
    await settle(reconciler, clock)
    assert cluster.patches[-1]["message"] == "waiting for the Job's first pod"


async def test_a_server_that_wants_to_be_asked_later_is_not_written_to(
    cluster: FakeCluster, reconciler: Reconciler
) -> None:
    cluster.errors["create_job"] = OverloadedError("too many requests")
    with pytest.raises(OverloadedError):
        await reconciler.reconcile(make.KEY)
    assert cluster.calls == ["create_job"]


def entry_of(cluster: FakeCluster) -> Entry:
    entry = cluster.index.get(make.KEY)
    assert entry
    return entry


@pytest.fixture
def lost(cluster: FakeCluster) -> None:
    """The object runs, and its Job is gone."""
    cluster.index.put(make.bertfinetune({"phase": "Running", "attempt": 0}, resourceVersion="2"))


@pytest.mark.usefixtures("lost")
async def test_a_ghost_gets_no_job_and_is_forgotten(cluster: FakeCluster, reconciler: Reconciler) -> None:
    """The object was deleted while no watch told of it: only a write at its version shows that."""
    entry_of(cluster).is_fresh = False
    cluster.errors["patch_status"] = NotFoundError("not found")
    assert await reconciler.reconcile(make.KEY) is None
    assert cluster.calls == ["patch_status"]
    assert cluster.index.get(make.KEY) is None


@pytest.mark.usefixtures("lost")
@pytest.mark.parametrize(("is_fresh", "calls"), [(True, ["create_job"]), (False, ["patch_status", "create_job"])])
async def test_only_an_object_that_was_just_shown_to_exist_gets_its_job_before_its_status(
    cluster: FakeCluster, reconciler: Reconciler, is_fresh: bool, calls: list[str]
) -> None:
    entry_of(cluster).is_fresh = is_fresh
    await reconciler.reconcile(make.KEY)
    assert cluster.calls == calls
    assert not entry_of(cluster).is_fresh  # a later pass may be long after


@pytest.fixture
def policed(cluster: FakeCluster, clock: Clock) -> Reconciler:
    settings = replace(make.SETTINGS, trainer_network_policies={"trainer": {}, "downloads": {}})
    return Reconciler(cluster.index, cluster, settings, Metrics(cluster.index), clock)  # ty: ignore[invalid-argument-type]


APPLIED = ["apply_network_policy research/trainer", "apply_network_policy research/downloads"]


async def test_a_namespace_has_its_network_policies_before_its_first_job(
    cluster: FakeCluster, policed: Reconciler
) -> None:
    await policed.reconcile(make.KEY)
    assert cluster.calls == [*APPLIED, "create_job"]


async def test_a_run_that_an_earlier_operator_began_is_under_the_policies_of_this_one(
    cluster: FakeCluster, policed: Reconciler
) -> None:
    cluster.index.put(make.job())
    await policed.reconcile(make.KEY)
    assert [call for call in cluster.calls if call in (*APPLIED, "create_job")] == APPLIED


async def test_a_namespace_that_may_have_been_made_anew_has_no_policies(
    cluster: FakeCluster, policed: Reconciler
) -> None:
    await policed.reconcile(make.KEY)
    cluster.index.discard(make.bertfinetune())
    await policed.reconcile(make.KEY)
    cluster.index.put(make.bertfinetune())
    await policed.reconcile(make.KEY)
    assert cluster.calls == [*APPLIED, "create_job", *APPLIED]


async def test_no_job_without_network_policies_and_the_refusal_says_what_to_do(
    cluster: FakeCluster, policed: Reconciler, clock: Clock
) -> None:
    cluster.errors["apply_network_policy research/downloads"] = RefusedError("forbidden")
    for _ in range(2):
        with pytest.raises(RefusedError):
            await policed.reconcile(make.KEY)
        clock.now += timedelta(seconds=2)
    assert "create_job" not in cluster.calls
    assert cluster.patches[0]["reason"] == "JobRefused"
    assert cluster.patches[0]["message"] == (
        "network policy downloads: forbidden; let the operator apply it, or install the chart with "
        "networkPolicy.enabled=false"
    )
    cluster.errors.clear()
    await policed.reconcile(make.KEY)
    assert "create_job" in cluster.calls


async def test_an_object_gone_meanwhile_is_forgotten(
    cluster: FakeCluster, reconciler: Reconciler, clock: Clock
) -> None:
    cluster.errors["patch_status"] = NotFoundError("gone")
    await settle(reconciler, clock)
    assert list(cluster.index.objects()) == []


async def test_an_event_is_not_worth_a_failed_pass(cluster: FakeCluster, reconciler: Reconciler, clock: Clock) -> None:
    cluster.index.put(make.job())
    cluster.index.put(make.pod(conditions=[UNSCHEDULABLE]))
    cluster.errors["create_event"] = RefusedError("no right to create events")
    await settle(reconciler, clock)
    assert cluster.calls == ["patch_status", "create_event"]


async def test_states_that_pass_within_a_second_are_not_written(
    cluster: FakeCluster, reconciler: Reconciler, clock: Clock
) -> None:
    await settle(reconciler, clock)
    cluster.index.put(make.job())
    cluster.index.put(make.pod(state=PULLING))
    assert await reconciler.reconcile(make.KEY) == 1.0
    clock.now += timedelta(seconds=0.4)
    assert await reconciler.reconcile(make.KEY) == pytest.approx(0.6)
    cluster.index.put(make.pod(state={"running": {"startedAt": "2026-01-02T03:09:55Z"}}))
    clock.now += timedelta(seconds=0.6)
    await reconciler.reconcile(make.KEY)
    assert [patch.get("phase") for patch in cluster.patches] == ["Pending", "Preparing"]


async def test_the_end_is_written_at_once(cluster: FakeCluster, reconciler: Reconciler, clock: Clock) -> None:
    await settle(reconciler, clock)
    cluster.index.put(make.job(0, COMPLETE))
    cluster.index.put(make.pod(state=ended(0, RESULT)))
    await reconciler.reconcile(make.KEY)
    assert [patch["phase"] for patch in cluster.patches] == ["Pending", "Succeeded"]
    assert cluster.calls == ["create_job", "patch_status", "patch_status", "create_event"]


async def test_a_log_in_the_status_cannot_steer_a_terminal(cluster: FakeCluster, reconciler: Reconciler) -> None:
    cluster.says["log_tail"] = "step 1\rstep 2\x1b[2J"
    cluster.index.put(make.job(0, FAILED))
    cluster.index.put(make.pod(state=ended(70, "boom")))
    await reconciler.reconcile(make.KEY)
    assert cluster.patches[0]["lastFailure"]["logTail"] == "step 1\nstep 2\ufffd[2J"


async def test_a_failure_is_written_at_once_with_its_log_and_before_anything_else(
    cluster: FakeCluster, reconciler: Reconciler
) -> None:
    cluster.index.put(make.bertfinetune({"phase": "Running"}, {"backoffLimit": 1}, resourceVersion="2"))
    cluster.index.put(make.job(0, FAILED))
    cluster.index.put(make.pod(state=ended(70, "boom")))
    assert await reconciler.reconcile(make.KEY) == 0  # the back-off ended at 03:09:10
    assert cluster.calls == ["log_tail research/pod-1 trainer 2048", "patch_status", "create_event"]
    assert cluster.patches[0]["lastFailure"]["logTail"] == "the last words"
    await reconciler.reconcile(make.KEY)
    assert cluster.calls[3:] == ["create_job"]


async def test_what_suspends_is_deleted_once_the_status_says_so(cluster: FakeCluster, reconciler: Reconciler) -> None:
    cluster.index.put(make.bertfinetune({"phase": "Running"}, {"suspend": True}, resourceVersion="2"))
    cluster.index.put(make.job())
    cluster.index.put(make.pod(state=RUNNING))
    await reconciler.reconcile(make.KEY)
    expected = ["patch_status", "create_event", "delete_job research/minimal-11111111 uid-of-job-0"]
    assert cluster.calls == expected
    await reconciler.reconcile(make.KEY)  # what follows from the new status, before a watch tells of the deletion
    assert cluster.calls == expected


async def test_why_it_waits_is_asked_again_later(cluster: FakeCluster, reconciler: Reconciler, clock: Clock) -> None:
    cluster.index.put(make.job())
    cluster.says["newest_warning"] = "FailedCreate: exceeded quota: cards"
    assert await settle(reconciler, clock) == ASK_AGAIN_SECONDS
    assert len(cluster.calls) == len(set(cluster.calls))  # asked once
    assert cluster.patches[-1]["message"] == "exceeded quota: cards"
    cluster.says["newest_warning"] = "FailedCreate: exceeded quota: memory"
    clock.now += timedelta(seconds=ASK_AGAIN_SECONDS)
    await settle(reconciler, clock)
    assert cluster.patches[-1]["message"] == "exceeded quota: memory"


async def test_volcanos_reason_is_told(cluster: FakeCluster, reconciler: Reconciler, clock: Clock) -> None:
    cluster.index.put(make.job())
    cluster.index.put(make.pod(annotations={"scheduling.k8s.io/group-name": "podgroup-1"}))
    condition = {"type": "Unschedulable", "status": "True", "reason": "NotEnoughResources", "message": "0/1 nodes"}
    cluster.says["pod_group"] = {"status": {"conditions": [{"type": "Scheduled", "status": "True"}, condition]}}
    await settle(reconciler, clock)
    assert cluster.calls[0] == "pod_group research/podgroup-1"
    assert cluster.patches[-1]["message"] == "NotEnoughResources: 0/1 nodes"


ASKED = "workloads research uid-of-job-0"


async def test_kueues_word_is_told_with_a_warning_where_a_person_has_to_act(
    cluster: FakeCluster, reconciler: Reconciler, clock: Clock
) -> None:
    cluster.index.put(make.job(suspended=True))
    condition = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": "1 more needed"}
    workload = {"metadata": {"creationTimestamp": "2026-01-02T03:00:20Z"}, "spec": {}}
    cluster.says["workloads"] = [workload | {"status": {"conditions": [condition]}}]
    assert await settle(reconciler, clock) == ASK_AGAIN_SECONDS
    assert cluster.calls == [ASKED, "patch_status", "create_event"]
    assert cluster.patches[-1]["message"] == "Pending: 1 more needed"
    condition |= {"reason": "Inadmissible", "message": "LocalQueue team doesn't exist"}
    clock.now += timedelta(seconds=ASK_AGAIN_SECONDS)
    await settle(reconciler, clock)
    assert cluster.calls[3:] == [ASKED, "patch_status", "create_event"]
    assert cluster.patches[-1]["reason"] == "Inadmissible"
    assert cluster.patches[-1]["message"] == "Inadmissible: LocalQueue team doesn't exist"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotFoundError("404"), ("Inadmissible", kueue.NOT_INSTALLED)),
        (ForbiddenError("workloads.kueue.x-k8s.io is forbidden"), ("Queued", kueue.UNREADABLE)),
    ],
)
async def test_without_kueue_or_without_the_right_to_read_it(
    cluster: FakeCluster, reconciler: Reconciler, clock: Clock, error: ClusterError, told: tuple[str, str]
) -> None:
    cluster.index.put(make.job(suspended=True))
    cluster.errors[ASKED] = error
    await settle(reconciler, clock)
    assert (cluster.patches[-1]["reason"], cluster.patches[-1]["message"]) == told


async def test_a_server_that_fails_is_no_missing_right_to_read_workloads(
    cluster: FakeCluster, reconciler: Reconciler, clock: Clock
) -> None:
    cluster.index.put(make.job(suspended=True))
    cluster.errors[ASKED] = RefusedError("conversion webhook failed")
    with pytest.raises(RefusedError):
        await settle(reconciler, clock)
    assert cluster.patches == []


@pytest.mark.parametrize(("waiting", "seconds"), [(1, 30.0), (600, 30.0), (601, 30.05), (10_000, 500.0)])
def test_the_more_wait_the_later_each_is_asked_about_again(waiting: int, seconds: float) -> None:
    assert ask_again_seconds(waiting) == pytest.approx(seconds)


@pytest.mark.parametrize("error", [ClusterError("timeout"), ConflictError("changed meanwhile")])
async def test_a_patch_that_failed_is_made_again(
    cluster: FakeCluster, reconciler: Reconciler, clock: Clock, error: ClusterError
) -> None:
    cluster.errors["patch_status"] = error
    with pytest.raises(type(error)):
        await settle(reconciler, clock)
    del cluster.errors["patch_status"]
    await reconciler.reconcile(make.KEY)
    assert cluster.calls == ["create_job", "patch_status", "patch_status"]


@pytest.mark.parametrize(("changed", "seconds"), [(1, 1.0), (2, 1.05), (101, 6.0), (1181, 60.0), (10_000, 60.0)])
def test_the_more_change_the_longer_they_settle(changed: int, seconds: float) -> None:
    assert settle_seconds(changed) == pytest.approx(seconds)
