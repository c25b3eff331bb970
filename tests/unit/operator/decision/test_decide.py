"""The decision as a table: what is seen, and what must follow. test_histories.py has its properties."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bertfinetune_operator.api.status import UNSEEN
from bertfinetune_operator.decision import decide as module
from bertfinetune_operator.decision.decide import POLICIES, Decision, decide
from bertfinetune_operator.decision.policies import cleanup
from bertfinetune_operator.decision.views import Observed
from bertfinetune_operator.informer.index import Index
from bertfinetune_operator.telemetry.counters import Metrics
from support import builders as make
from support.builders import BEGUN, COLLAPSED, COMPLETE, RESULT, RUNNING, ended, report
from support.merge import apply
from support.scenes import FILES, SCENES, Scene, text_of

Raw = dict[str, Any]
HOLDS = {
    "Queued": ["Queued"],
    "Preparing": ["Running"],
    "Running": ["Running"],
    "Suspended": ["Suspended"],
    "Succeeded": ["Succeeded"],
    "Failed": ["Failed"],
}
NO_SPACE = "pod pod-1 on node-a exited 74: No space left on device"
NEEDED_MORE = "out of memory: it needed more than its limit of 4Gi"
NOT_MOUNTED = 'MountVolume.SetUp failed for volume "data" : hostPath type check failed: /srv is not a directory'
EVERY_SCENE = pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES.keys())


def test_a_scene_has_a_name_of_its_own() -> None:
    assert len(SCENES) == sum(map(len, FILES.values()))


@pytest.mark.parametrize("policy", FILES)
def test_the_scenes_of_a_policy_are_decided_as_its_file_says(policy: str) -> None:
    scenes, file = FILES[policy], make.GOLDEN / "scenes" / f"{policy}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text_of(scenes))
    else:
        assert {each.name: each.follows() for each in scenes} == {each.name: each.decided for each in scenes}
    assert file.read_text() == text_of(scenes), "UPDATE_GOLDEN=1 lays the file out"


@EVERY_SCENE
def test_deciding_again_on_the_outcome_yields_nothing(scene: Scene) -> None:
    """A second pass may begin what has become due; a third finds nothing to do."""
    world = scene.world()
    world.operate()
    world.operate()
    last = world.decide()
    assert (last.status_patch, last.events, last.delete) == (None, (), ())
    assert last.create is None or world.refusal


@EVERY_SCENE
def test_what_becomes_of_it_is_counted_in_a_series_that_began_at_zero(scene: Scene) -> None:
    metrics = Metrics(Index())
    before, after = scene.world().obj, scene.world().obj
    after["status"] = apply(scene.status, scene.decide().status_patch)
    for raw in (before, after):
        raw["spec"].setdefault("accelerator", {"type": "Ascend910"})

    def series() -> set[Any]:
        families = metrics.registry.collect()
        return {(sample.name, *sample.labels.items()) for family in families for sample in family.samples}

    known = series()
    metrics.changed(before, after)
    assert series() == known


@EVERY_SCENE
def test_conditions_follow_the_phase(scene: Scene) -> None:
    decision = scene.decide()
    if decision.ask:
        return
    status = apply(scene.status, decision.status_patch)
    told = {c["type"]: c["status"] for c in status.get("conditions", ())}
    assert [kind for kind in ("Queued", "Running", "Suspended", "Succeeded", "Failed") if told.get(kind) == "True"] == (
        HOLDS.get(status["phase"], [])
    )
    assert {c["observedGeneration"] for c in status.get("conditions", ())} <= {1}
    goes_on = status["phase"] not in ("Suspended", "Succeeded", "Failed")
    assert told.get("Reconciling", "False") == ("True" if goes_on else "False")
    assert told.get("Stalled", "False") == ("True" if status["phase"] == "Failed" else "False")


@EVERY_SCENE
def test_other_settings_change_only_the_jobs_to_come(scene: Scene) -> None:
    """A default that changes leaves running attempts alone, the queue that holds one back included."""
    others = replace(
        make.SETTINGS,
        trainer_image_ascend910="other",
        trainer_image_pull_secrets=("registry",),
        trainer_node_selector_ascend910={"host-arch": "huawei-arm"},
        ascend_resource="example.com/npu",
        ascend_driver="hostPath",
        default_scheduler_name="volcano",
        default_queue="team",
    )
    before, after = scene.decide(), scene.decide(others)
    assert replace(after, create=None) == replace(before, create=None)
    assert (after.create is None) == (before.create is None)
    if before.create:
        assert after.create != before.create


def outcome(scene: Scene) -> Any:
    try:
        return scene.decide()
    except StopIteration:
        return "no policy decides"


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__module__.rpartition(".")[2])
def test_every_policy_matters(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any one of them, scenes in its own file come out differently."""
    scenes = FILES[policy.__module__.rpartition(".")[2]]
    before = [outcome(scene) for scene in scenes]
    monkeypatch.setattr(module, "POLICIES", tuple(other for other in POLICIES if other != policy))
    assert [outcome(scene) for scene in scenes] != before


@pytest.mark.parametrize(
    ("status", "spec", "kinds"),
    [
        ({"phase": "Running"}, {"quality": {"minAccuracy": 0.9}}, {"AccuracyReached": "False", "Collapsed": "False"}),
        ({"phase": "Running"}, {"quality": {"minAccuracy": 0.8}}, {"AccuracyReached": "True", "Collapsed": "False"}),
        ({"phase": "Running"}, {}, {"Collapsed": "False"}),
    ],
)
def test_the_target_is_a_condition(status: Raw, spec: Raw, kinds: Raw) -> None:
    seen = make.seen([make.job(0, COMPLETE)], [make.pod(state=ended(0, RESULT))])
    decision = decide(make.bertfinetune(status, spec), seen, make.SETTINGS, make.NOW)
    told = {c["type"]: c["status"] for c in apply(status, decision.status_patch)["conditions"]}
    assert {kind: told.get(kind) for kind in kinds} == kinds
    assert ("AccuracyReached" in told) == ("AccuracyReached" in kinds)
    warned = [event.reason for event in decision.events if event.type == "Warning"]
    assert warned == (["AccuracyBelowTarget"] if kinds.get("AccuracyReached") == "False" else [])


def test_a_collapse_is_a_condition_and_an_event_until_a_trial_learns() -> None:
    seen = make.seen([make.job(0, COMPLETE)], [make.pod(state=ended(0, COLLAPSED))])
    first = decide(make.bertfinetune(BEGUN), seen, make.SETTINGS, make.NOW)
    status = apply(BEGUN, first.status_patch)
    collapsed = next(c for c in status["conditions"] if c["type"] == "Collapsed")
    assert (collapsed["status"], collapsed["message"]) == ("True", "all 408 predictions are 1")
    assert "Collapsed" in [event.reason for event in first.events]
    good = make.pod("pod-2", ended(0, RESULT), "2026-01-02T03:05:00Z", 1)
    seen = make.seen([make.job(0, COMPLETE), make.job(1, COMPLETE)], [make.pod(state=ended(0, COLLAPSED)), good])
    status = apply(status, decide(make.bertfinetune(status), seen, make.SETTINGS, make.NOW).status_patch)
    assert status["phase"] == "Succeeded"
    assert status["result"]["checkpoint"] == "research-minimal-11111111-trial-1/model.ckpt-343"
    assert len(status["trials"]) == 1
    assert next(c for c in status["conditions"] if c["type"] == "Collapsed")["status"] == "False"


def test_a_vanishing_object_gets_no_job() -> None:
    raw = make.bertfinetune(deletionTimestamp="2026-01-02T03:05:00Z")
    assert decide(raw, make.seen(), make.SETTINGS, make.NOW) == Decision()


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_an_end_is_final_and_nothing_is_made_again(phase: str) -> None:
    raw = make.bertfinetune({"phase": phase, "completionTime": "2026-01-02T03:09:00Z"})
    assert decide(raw, make.seen(), make.SETTINGS, make.NOW) == Decision()


def test_a_change_after_the_end_is_acknowledged_once() -> None:
    """kstatus compares generations before it looks at anything else."""
    status = {"phase": "Succeeded", "completionTime": "2026-01-02T03:09:00Z", "observedGeneration": 1}
    raw = make.bertfinetune(status, generation=2)
    decision = decide(raw, make.seen(), make.SETTINGS, make.NOW)
    assert decision == Decision(status_patch={"observedGeneration": 2})
    raw["status"] = apply(status, decision.status_patch)
    assert decide(raw, make.seen(), make.SETTINGS, make.NOW) == Decision()


@pytest.mark.parametrize(
    ("ttl", "jobs", "deleted", "wake"),
    [
        (None, [make.job(0, COMPLETE)], 0, None),
        (60, [make.job(0, COMPLETE)], 1, None),
        (61, [make.job(0, COMPLETE)], 0, "03:10:01"),
        (61, [], 0, None),
        (0, [make.job(0, COMPLETE), make.job(1, deleting=True)], 1, None),
        (None, [make.job(0), make.job(1, COMPLETE)], 1, None),
        (3600, [make.job(0)], 1, "04:09:00"),
    ],
)
def test_clean_up(ttl: int | None, jobs: list[Raw], deleted: int, wake: str | None) -> None:
    """What still runs goes at once, what has ended after the time to live."""
    end = datetime(2026, 1, 2, 3, 9, tzinfo=UTC)
    delete, wake_at = cleanup.due(ttl, end, make.seen(jobs), make.NOW)
    assert len(delete) == deleted
    assert (wake_at and f"{wake_at:%H:%M:%S}") == wake


def test_a_spec_stored_before_a_rule_existed_fails_with_the_field() -> None:
    raw = make.bertfinetune(spec={"output": {}})
    status = apply(None, decide(raw, make.seen(), make.SETTINGS, make.NOW).status_patch)
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "spec.output: Value error, set exactly one of claim, hostPath" in status["message"]


def test_the_clock_alone_changes_nothing_and_a_step_moves_the_duration_too() -> None:
    def seen(step: int) -> Observed:
        return make.seen([make.job()], [make.pod(state=RUNNING)], {"pod-1": report("Training", step)})

    status = apply(None, decide(make.bertfinetune(), seen(143), make.SETTINGS, make.NOW).status_patch)
    later = make.NOW + timedelta(seconds=30)
    assert decide(make.bertfinetune(status), seen(143), make.SETTINGS, later).status_patch is None
    patch = decide(make.bertfinetune(status), seen(150), make.SETTINGS, later).status_patch
    assert patch == {"duration": "8m30s", "progress": {"step": 150, "percent": 43, "summary": "150/343 (43%)"}}


def test_a_condition_keeps_the_time_of_its_transition() -> None:
    running = make.seen([make.job()], [make.pod(state=RUNNING)], {"pod-1": report("Training")})
    status = apply(None, decide(make.bertfinetune(), running, make.SETTINGS, make.NOW).status_patch)
    done = make.seen([make.job(0, COMPLETE)], [make.pod(state=ended(0, RESULT))])
    later = make.NOW + timedelta(hours=1)
    status = apply(status, decide(make.bertfinetune(status), done, make.SETTINGS, later).status_patch)
    assert [(c["type"], c["status"], c["lastTransitionTime"]) for c in status["conditions"]] == [
        ("Reconciling", "False", "2026-01-02T04:10:00Z"),
        ("Running", "False", "2026-01-02T04:10:00Z"),
        ("Succeeded", "True", "2026-01-02T04:10:00Z"),
        ("Collapsed", "False", "2026-01-02T04:10:00Z"),
    ]
    assert decide(make.bertfinetune(status), done, make.SETTINGS, later) == Decision()


def test_a_condition_that_holds_on_keeps_its_time() -> None:
    status: Raw = {}
    for step, time in ((1, make.NOW), (2, make.NOW + timedelta(hours=1))):
        running = make.seen([make.job()], [make.pod(state=RUNNING)], {"pod-1": report("Training", step)})
        status = apply(status, decide(make.bertfinetune(status), running, make.SETTINGS, time).status_patch)
    assert [(c["type"], c["lastTransitionTime"]) for c in status["conditions"]] == [
        ("Reconciling", "2026-01-02T03:10:00Z"),
        ("Running", "2026-01-02T03:10:00Z"),
    ]


def test_the_schemas_default_is_nobodys_observation() -> None:
    """Its transition is of 1970."""
    decision = decide(make.bertfinetune(UNSEEN), make.seen(), make.SETTINGS, make.NOW)
    (condition,) = apply(UNSEEN, decision.status_patch)["conditions"]
    assert (condition["type"], condition["status"]) == ("Reconciling", "True")
    assert (condition["lastTransitionTime"], condition["observedGeneration"]) == ("2026-01-02T03:10:00Z", 1)


def test_what_an_older_operator_recorded_goes_on() -> None:
    """Version 0.1.0 wrote neither attempts nor labels for them, and counted retries by pods."""
    recorded = {
        "observedGeneration": 1,
        "phase": "Running",
        "reason": "Training",
        "message": "the trainer is training",
        "conditions": [
            {
                "type": "Running",
                "status": "True",
                "reason": "Training",
                "message": "the trainer is training",
                "lastTransitionTime": "2026-01-02T03:02:10Z",
                "observedGeneration": 1,
            }
        ],
        "jobName": "minimal-11111111",
        "podName": "pod-1",
        "startTime": "2026-01-02T03:02:00Z",
        "retries": 1,
    }
    job, pod = make.job(0, COMPLETE), make.pod(state=ended(0, RESULT))
    for child in (job, pod):
        del child["metadata"]["labels"]["bertfinetune.dev/attempt"]
    status = apply(
        recorded,
        decide(make.bertfinetune(recorded), make.seen([job], [pod]), make.SETTINGS, make.NOW).status_patch,
    )
    assert (status["phase"], status["attempt"], status["result"]["accuracy"]) == ("Succeeded", 0, 0.8137255)


@pytest.mark.parametrize(
    ("status", "name", "events"),
    [
        (None, "no job yet", []),
        (None, "no card free", [("Warning", "Pending", "Unschedulable: 0/1 nodes: no card")]),
        (BEGUN, "training", []),
        (None, "training", [("Normal", "Running", "Training: the trainer is training")]),
        (BEGUN, "succeeded", [("Normal", "Succeeded", "Succeeded: accuracy 0.8137, F1 0.8699")]),
        (
            BEGUN,
            "out of memory",
            [
                (
                    "Warning",
                    "Retrying",
                    f"OOMKilled: pod pod-1 on node-a exited 137: {NEEDED_MORE}; next attempt at 03:09:10Z",
                )
            ],
        ),
        (None, "the job is refused", [("Warning", "Pending", "JobRefused: exceeded quota")]),
        (
            BEGUN | {"phase": "Retrying", "reason": "Unknown", "nextAttemptTime": "2026-01-02T03:10:00Z"},
            "the job is refused",
            [("Warning", "Retrying", "JobRefused: exceeded quota")],
        ),
        (None, "a volume cannot be mounted", [("Warning", "Pending", f"FailedMount: {NOT_MOUNTED}")]),
        (
            None,
            "the output's disk is full",
            [("Warning", "Retrying", f"Storage: {NO_SPACE}; next attempt at 03:11:00Z")],
        ),
        (
            BEGUN,
            "suspended while it trains",
            [("Normal", "Suspended", "Stopping: pod pod-1 saves a checkpoint and ends")],
        ),
    ],
)
def test_events(status: Raw | None, name: str, events: list[Any]) -> None:
    world = SCENES[name].world()
    world.obj["status"] = status or {}
    told = world.decide().events
    assert [event[:3] for event in told] == events
