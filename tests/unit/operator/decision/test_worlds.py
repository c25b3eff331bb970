"""The test kit refuses worlds that cannot be, so that no scene and no history shows what a cluster never does."""

from datetime import timedelta
from typing import Any

import pytest

from support import builders as make
from support.builders import BAD_DATA, COMPLETE, FAILED, PREEMPTED, PULLING, RESULT, RUNNING, UNSCHEDULABLE, ended
from support.possible import ImpossibleWorldError
from support.world import World

Raw = dict[str, Any]
DAY = "2026-01-02T"


def world(jobs: list[Raw], pods: list[Raw], status: Raw | None = None, reports: Raw | None = None) -> World:
    return World(make.bertfinetune(status), make.by_name(jobs), make.by_name(pods), reports or {})


def changed(raw: Raw, part: str, **fields: Any) -> Raw:
    """An object with some fields of one part replaced; None takes a field away."""
    inner = {key: value for key, value in (raw[part] | fields).items() if value is not None}
    return raw | {part: inner}


def running(since: str) -> Raw:
    return {"running": {"startedAt": f"{DAY}{since}Z"}}


JOB, POD = make.job(), make.pod(state=RUNNING)
DONE = make.job(0, COMPLETE)
BOTH_ENDS = [
    {"type": kind, "status": "True", "reason": "", "lastTransitionTime": f"{DAY}03:09:00Z"}
    for kind in ("SuccessCriteriaMet", "Complete", "FailureTarget", "Failed")
]
LATE = f"{DAY}03:10:01Z"


@pytest.mark.parametrize(
    ("jobs", "pods"),
    [
        ([], []),
        ([JOB], [POD]),
        ([DONE], [POD]),  # the watch of the pods is late
        ([make.job(0, FAILED)], []),
        ([], [make.pod(state=RUNNING, deletionTimestamp=f"{DAY}03:11:00Z")]),
        ([JOB], [make.pod(fetching=RUNNING)]),
        ([JOB], [make.pod(phase="Failed", reason="Evicted")]),
        ([JOB], [make.pod(state=ended(0, RESULT), sidecar=PULLING)]),
    ],
)
def test_a_possible_world_is_seen(jobs: list[Raw], pods: list[Raw]) -> None:
    assert len(world(jobs, pods).seen().pods) == len(pods)


@pytest.mark.parametrize(
    ("sentence", "jobs", "pods"),
    [
        ("its Job is not there, and it is not being deleted", [], [POD]),
        ("it is of another attempt than its Job", [JOB], [make.pod(attempt=1, job_uid="uid-of-job-0")]),
        ("two of its pods have not ended", [JOB], [POD, make.pod("pod-2", RUNNING)]),
        (
            "a pod's end (03:08:12) is after the next one's creation (03:05:00)",
            [JOB],
            [make.pod(state=ended(75)), make.pod("pod-2", None, f"{DAY}03:05:00Z")],
        ),
        ("it is suspended, and its pod is not being deleted", [make.job(suspended=True)], [POD]),
        ("it Failed, and its pod Succeeded", [make.job(0, FAILED)], [make.pod(state=ended(0))]),
        ("ends it by PodFailurePolicy", [make.job(0, FAILED)], [make.pod(state=ended(65, BAD_DATA))]),
        ("ends it by PodFailurePolicy", [make.job(0, FAILED)], [make.pod(fetching=ended(65, BAD_DATA))]),
        ("its owner is another object", [changed(JOB, "metadata", ownerReferences=[])], []),
        ("it is both Complete and Failed", [changed(DONE, "status", conditions=BOTH_ENDS)], []),
        ("it is Complete without SuccessCriteriaMet", [changed(DONE, "status", conditions=BOTH_ENDS[1:2])], []),
        ("it is Failed without FailureTarget", [changed(JOB, "status", conditions=BOTH_ENDS[3:])], []),
        ("completionTime and Complete come together", [changed(DONE, "status", completionTime=None)], []),
        ("completionTime and Complete come together", [changed(JOB, "status", completionTime=LATE)], []),
        ("it ended without a startTime", [make.job(0, FAILED, started=None)], []),
        ("its end (03:10:01) is after now", [make.job(0, FAILED, finished=LATE)], []),
        ("startTime (03:10:01) is after now", [make.job(started=LATE)], []),
        ("creationTimestamp (03:00:20) is after startTime", [make.job(started=f"{DAY}03:00:19Z")], []),
        ("the object's creation (03:00:00) is after", [make.job(created=f"{DAY}02:59:00Z")], []),
        ("deletionTimestamp (03:10:01) is after now", [changed(JOB, "metadata", deletionTimestamp=LATE)], []),
        ("its end (03:09:00) is after the next one's creation", [make.job(0, FAILED), make.job(1)], []),
        ("the Job's startTime (03:00:30) is after", [JOB], [make.pod(created=f"{DAY}03:00:25Z")]),
        ("creationTimestamp (03:10:01) is after now", [JOB], [make.pod(created=LATE)]),
        ("is after now and the grace period", [JOB], [make.pod(deletionTimestamp=f"{DAY}03:12:01Z")]),
        ("creationTimestamp (03:01:00) is after trainer's start", [JOB], [make.pod(state=running("03:00:59"))]),
        ("trainer's start (03:10:01) is after now", [JOB], [make.pod(state=running("03:10:01"))]),
        (
            "trainer's start (03:09:00) is after trainer's end (03:08:12)",
            [JOB],
            [make.pod(state={"terminated": ended(1)["terminated"] | {"startedAt": f"{DAY}03:09:00Z"}})],
        ),
        (
            "a pod's end (03:08:12) is after the Job's end (03:08:11)",
            [make.job(0, FAILED, finished=f"{DAY}03:08:11Z")],
            [make.pod(state=ended(70))],
        ),
        (
            "a disruption has ended it, and it is not being deleted",
            [JOB],
            [make.pod(state=ended(137), conditions=[PREEMPTED])],
        ),
        ("it is not scheduled, and is on a node", [JOB], [make.pod(state=RUNNING, conditions=[UNSCHEDULABLE])]),
        ("it is on no node, and has containers", [JOB], [changed(POD, "spec", nodeName=None)]),
        ("container trainer is not in its spec", [JOB], [changed(POD, "spec", containers=[])]),
        ("container trainer is in 2 states", [JOB], [make.pod(state=RUNNING | ended(0))]),
        ("container trainer runs without a startedAt", [JOB], [make.pod(state={"running": {}})]),
        ("container trainer ended without an exit code", [JOB], [make.pod(state={"terminated": {}})]),
        (
            "a container started before the downloads were done",
            [JOB],
            [make.pod(state=RUNNING, fetching=RUNNING)],
        ),
        ("its phase is Succeeded, and its containers make it Pending", [JOB], [make.pod(phase="Succeeded")]),
        ("its phase is Failed, and its containers make it Pending", [JOB], [make.pod(phase="Failed")]),
        ("its phase is Failed, and its containers make it Running", [JOB], [make.pod(state=RUNNING, phase="Failed")]),
        (
            "its phase is Running, and its containers make it Pending",
            [JOB],
            [make.pod(state=ended(0), sidecar=PULLING, phase="Running")],
        ),
        (
            "its phase is Running, and its containers make it Succeeded",
            [JOB],
            [make.pod(state=ended(0), phase="Running")],
        ),
    ],
)
def test_an_impossible_world_is_refused(sentence: str, jobs: list[Raw], pods: list[Raw]) -> None:
    with pytest.raises(ImpossibleWorldError) as error:
        world(jobs, pods).seen()
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("sentence", "status"),
    [
        ("creationTimestamp (03:00:00) is after startTime", {"startTime": f"{DAY}02:59:00Z"}),
        ("activeSince (03:10:01) is after now", {"activeSince": LATE}),
        ("it has trained for longer than it exists", {"activeSeconds": 121}),
        (
            "the start of its pod (03:02:00) is after the last movement (03:01:00)",
            {"lastMovement": {"pod": "pod-1", "phase": "Training", "step": 1, "time": f"{DAY}03:01:00Z"}},
        ),
    ],
)
def test_a_record_of_what_has_not_happened_is_refused(sentence: str, status: Raw) -> None:
    with pytest.raises(ImpossibleWorldError) as error:
        world([JOB], [POD], status).seen()
    assert sentence in str(error.value)


def test_a_trainer_that_has_not_started_reports_nothing() -> None:
    with pytest.raises(ImpossibleWorldError, match="report of pod-1: its trainer has not started"):
        world([JOB], [make.pod()], reports={"pod-1": make.report("Training")}).seen()


@pytest.mark.parametrize("field", ["spec", "status"])
def test_an_object_that_the_api_server_would_refuse_is_none(field: str) -> None:
    impossible = world([], [])
    impossible.obj[field] = {"phase": "Lost"}
    with pytest.raises(ValueError, match="validation error"):
        impossible.seen()


def test_a_nodes_clock_may_be_wrong() -> None:
    early = world([JOB], [make.pod(state=running("02:02:00"))])
    early.node_clock = timedelta(hours=-1)
    assert early.seen().pods
    early.node_clock = timedelta()
    with pytest.raises(ImpossibleWorldError):
        early.seen()
