"""Whatever happens in whatever order: what must hold after every pass of the operator."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bertfinetune_operator import naming
from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import FINISHED, PHASES, BertFinetuneStatus
from bertfinetune_operator.decision.decide import Decision
from bertfinetune_operator.decision.policies.retry import MAX_UNCOUNTED
from bertfinetune_operator.decision.views import view_pod
from support import builders as make
from support.builders import BAD_DATA, COLLAPSED, NOT_PLACED, PREEMPTED, RESULT, report
from support.possible import owner
from support.world import World, stamp

Raw = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """Something that happens, with a name for the failure's report."""

    name: str
    happen: Callable[[World], object]

    def __repr__(self) -> str:
        return self.name


def suspend(world: World) -> None:
    world.obj["spec"]["suspend"] = not world.obj["spec"].get("suspend", False)
    world.obj["metadata"]["generation"] = world.obj["metadata"].get("generation", 1) + 1


def wait(seconds: int) -> Step:
    def happen(world: World) -> None:
        world.now += timedelta(seconds=seconds)

    return Step(f"wait {seconds} s", happen)


def delete_a_job(world: World) -> None:
    for name in list(world.jobs)[:1]:
        world.delete_job(name)


JOBS = Step("control jobs", World.control_jobs)
START = Step("start", World.start)
ENDS = [
    Step("succeed", lambda world: world.end(0, RESULT)),
    Step("succeed in silence", lambda world: world.end(0)),
    Step("collapse", lambda world: world.end(0, COLLAPSED)),
    Step("fail", lambda world: world.end(70, "boom")),
    Step("fail for good", lambda world: world.end(65, BAD_DATA)),
    Step("break the card", lambda world: world.end(69, "aicore error")),
    Step("interrupt", lambda world: world.end(75, "stopped")),
    Step("preempt", lambda world: world.end(137, condition=PREEMPTED)),
    Step("run out of memory", lambda world: world.end(137, reason="OOMKilled")),
]
STEPS = [
    JOBS,
    START,
    *ENDS,
    *(wait(seconds) for seconds in (1, 15, 90, 700)),
    Step("report", lambda world: world.report(report("Training", 7))),
    Step("suspend or resume", suspend),
    Step("restart the operator", World.restart),
    Step("refuse pods", lambda world: world.refuse_pods(NOT_PLACED)),
    Step("lose the node", World.lose_node),
    Step("stop deleted pods", World.stop_deleted_pods),
    Step("delete a job", delete_a_job),
    Step("delete pods by force", World.delete_pods_by_force),
    Step("admit", lambda world: world.queue(suspend=False)),
    Step("preempt in the queue", lambda world: world.queue(suspend=True)),
    Step("refuse jobs", lambda world: setattr(world, "refusal", "exceeded quota")),
    Step("accept jobs", lambda world: setattr(world, "refusal", None)),
    Step("inject sidecars", lambda world: setattr(world, "sidecar", True)),
]
LIFE = [JOBS, START]

specs = st.fixed_dictionaries(
    {"backoffLimit": st.integers(0, 2)},
    optional={
        "quality": st.fixed_dictionaries(
            {"onCollapse": st.sampled_from(["Retry", "Fail", "Accept"]), "maxRetries": st.integers(0, 2)},
            optional={"minAccuracy": st.just(0.82)},
        ),
        "activeDeadlineSeconds": st.sampled_from([1, 600]),
        "pendingDeadlineSeconds": st.sampled_from([1, 600]),
        "stalledDeadlineSeconds": st.sampled_from([60, 600]),
        "ttlSecondsAfterFinished": st.sampled_from([0, 60]),
        "scheduling": st.just({"queue": "team"}),
        "suspend": st.booleans(),
    },
)
lives = st.builds(
    lambda steps, end: [*LIFE, *steps, end, JOBS, wait(15)],
    st.lists(st.sampled_from(STEPS), max_size=3),
    st.sampled_from(ENDS),
)
histories = st.lists(lives | st.lists(st.sampled_from(STEPS), max_size=6), max_size=8).map(
    lambda blocks: [step for block in blocks for step in block]
)


def check_jobs(world: World, decision: Decision, before: Raw) -> None:
    """One live Job at most, made only when no pod of another attempt may still write."""
    active = [
        job
        for job in world.jobs.values()
        if not job.get("status", {}).get("conditions") and "deletionTimestamp" not in job["metadata"]
    ]
    assert len(active) <= 1, active
    assert len(world.jobs) == len(set(world.jobs))
    if world.obj["spec"].get("suspend") or world.status["phase"] in FINISHED:
        assert world.status["phase"] not in ("Running", "Preparing")
        assert active == [] or world.status["phase"] in FINISHED  # a finished run's are deleted in the next pass
    if decision.create:
        assert stamp(world.now) >= before.get("nextAttemptTime", "")
        name = decision.create["metadata"]["name"]
        assert len(name) <= naming.MAX_NAME
        living = [view_pod(pod) for pod in world.alive() if owner(pod) != world.jobs.get(name, pod)["metadata"]["uid"]]
        assert [pod.name for pod in living if pod.is_alive and not pod.is_lost(world.now)] == []


def check_status(world: World, before: Raw) -> None:
    """The record: readable, within its budgets, and nothing in it is ever lost."""
    status, spec = world.status, world.obj["spec"]
    BertFinetuneStatus.model_validate(status)
    assert status["phase"] in PHASES
    assert status["retries"] <= spec["backoffLimit"]
    assert status["retries"] >= before.get("retries", 0)
    assert status["attempt"] >= before.get("attempt", 0)
    assert status["activeSeconds"] >= before.get("activeSeconds", 0)
    assert all(status.get(kind, 0) >= before.get(kind, 0) for kind in ("interruptions", "stalls"))
    trials = status.get("trials", [])
    assert len(trials) <= spec.get("quality", {}).get("maxRetries", 2)
    kept = {"startTime", "lastFailure", "jobName", "trials"} & set(before)
    assert kept <= set(status)
    if "result" in before:
        assert "result" in status or len(trials) > len(before.get("trials", []))


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(specs, histories)
@example({"backoffLimit": 2}, [JOBS, START, wait(1), ENDS[3], JOBS, wait(15), JOBS, START, ENDS[0], JOBS])
@example(
    {"backoffLimit": 0, "quality": {"onCollapse": "Retry", "maxRetries": 1}}, [*LIFE, ENDS[2], *LIFE, *LIFE, ENDS[2]]
)
def test_any_history(spec: Raw, history: list[Step]) -> None:
    world = World(make.bertfinetune(spec=spec))
    BertFinetune.model_validate(world.obj)
    for step in [wait(0), *history, wait(0)]:
        step.happen(world)
        before = dict(world.status)
        jobs = list(world.jobs)
        decision = world.operate()
        check_jobs(world, decision, before)
        check_status(world, before)
        if before.get("phase") in FINISHED:
            assert decision.create is None
            changed = {"observedGeneration": world.obj["metadata"].get("generation", 1)}
            assert world.status == before | changed
            assert set(world.jobs) <= set(jobs)
        settle(world)


def settle(world: World) -> None:
    """Passes without a change come to rest: a trial or an attempt that is due may take a second one, never a fourth."""
    for _ in range(3):
        decision = world.decide()
        running = [job for job in world.jobs.values() if not job.get("status", {}).get("conditions")]
        assert not (world.status["phase"] in FINISHED and running) or decision.delete
        if decision.status_patch is None and not decision.delete and (not decision.create or world.refusal):
            assert decision.events == ()
            return
        world.operate()
    raise AssertionError(f"not at rest: {world.deciding}")


@given(st.lists(st.sampled_from(ENDS), min_size=1, max_size=30), st.booleans())
def test_every_run_that_goes_on_ends(ends: list[Step], sidecar: bool) -> None:
    """With all that a run needs and nobody disturbing it, it reaches an end that says why, whatever runs beside it."""
    world = World(make.bertfinetune(spec={"backoffLimit": 2}), sidecar=sidecar)
    for end in [*ends, *[ENDS[0]] * 10]:
        world.operate()
        world.control_jobs()
        world.start()
        world.operate()
        end.happen(world)
        world.control_jobs()
        world.operate()
        world.now += timedelta(seconds=601)
    assert world.status["phase"] in FINISHED
    assert world.status["message"]
    assert world.status["completionTime"]
    assert len(set(world.made)) == len(world.made)


def stall(world: World) -> None:
    """It reports the same step until the operator has had enough of it, and its pod has gone."""
    world.report(report("Training", 7))
    world.operate()
    world.now += timedelta(seconds=61)
    world.operate()
    world.operate()
    world.stop_deleted_pods()


@pytest.mark.parametrize(("bad", "reason"), [(stall, "Stalled"), (World.delete_pods_by_force, "Interrupted")])
@given(st.integers(0, 2))
def test_what_looks_like_an_interruption_does_not_go_on_for_ever(
    bad: Callable[[World], object], reason: str, limit: int
) -> None:
    world = World(make.bertfinetune(spec={"backoffLimit": limit, "stalledDeadlineSeconds": 60}))
    for _ in range(2 * (MAX_UNCOUNTED + limit + 1)):
        world.operate()
        world.control_jobs()
        world.start()
        world.operate()
        bad(world)
        world.operate()
        world.now += timedelta(seconds=601)
    assert (world.status["phase"], world.status["reason"]) == ("Failed", reason)
    assert world.status["retries"] == limit
    assert len(world.made) == MAX_UNCOUNTED + limit + 1
