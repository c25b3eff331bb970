"""What may be seen of a run, and the status it must lead to."""

from typing import Any, NamedTuple

Raw = dict[str, Any]

RESULT = (
    '{"outcome":"Succeeded","accuracy":0.8137255,"f1":0.8699187,"collapsed":false,"steps":343,"msPerStep":83.29,'
    '"checkpoint":"model.ckpt-343"}'
)
COLLAPSED = (
    '{"outcome":"Succeeded","accuracy":0.6838235,"f1":null,"matthews":0.0,"collapsed":true,'
    '"collapseReason":"all 408 predictions are 1"}'
)
BAD_DATA = '{"outcome":"Failed","class":"BadData","message":"/data/train.tsv, line 7: 4 fields, expected 5"}'
RUNNING = {"running": {"startedAt": "2026-01-02T03:02:00Z"}}
PULLING = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "t:npu"'}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no card"}
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}


def ended(code: int, message: str = "", reason: str = "Error") -> Raw:
    times = {"startedAt": "2026-01-02T03:02:00Z", "finishedAt": "2026-01-02T03:08:12Z"}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message} | times}


def report(phase: str, step: int = 143) -> Raw:
    percent = 100 * step // 343
    return {
        "phase": phase,
        "step": step,
        "totalSteps": 343,
        "percent": percent,
        "loss": 0.43,
        "msPerStep": 83.2,
        "etaSeconds": 17,
    }


class Case(NamedTuple):
    """What is seen, and the status it must lead to."""

    job: Raw | None
    """Keywords of make_job; None: no Job."""
    pods: list[Raw]
    """Keywords of make_pod, one dict a pod."""
    expected: Raw
    """Part of the status."""
    report: Raw | None = None


ACTIVE: Raw = {"active": 1}
CASES = {
    "no job yet": Case(None, [], {"phase": "Pending", "reason": "PodPending"}),
    "no pod yet": Case({}, [], {"phase": "Pending", "message": "waiting for the Job's first pod", "retries": 0}),
    "no card free": Case(
        ACTIVE,
        [{"conditions": [UNSCHEDULABLE]}],
        {"phase": "Pending", "reason": "Unschedulable", "message": "0/1 nodes: no card"},
    ),
    "image cannot be pulled": Case(
        ACTIVE,
        [{"state": PULLING}],
        {"phase": "Pending", "reason": "ImagePullBackOff", "message": 'Back-off pulling image "t:npu"'},
    ),
    "container being created": Case(ACTIVE, [{"state": CREATING}], {"phase": "Pending", "reason": "PodPending"}),
    "running, silent": Case(
        ACTIVE, [{"state": RUNNING}], {"phase": "Preparing", "startTime": "2026-01-02T03:02:00Z", "duration": "8m0s"}
    ),
    "preparing": Case(ACTIVE, [{"state": RUNNING}], {"phase": "Preparing"}, report("Preparing", 0)),
    "training": Case(
        ACTIVE,
        [{"state": RUNNING}],
        {
            "phase": "Running",
            "reason": "Training",
            "nodeName": "node-a",
            "podName": "pod-1",
            "progress": {
                "step": 143,
                "totalSteps": 343,
                "percent": 41,
                "summary": "143/343 (41%)",
                "etaSeconds": 17,
                "loss": 0.43,
                "msPerStep": 83.2,
            },
        },
        report("Training"),
    ),
    "evaluating": Case(
        ACTIVE, [{"state": RUNNING}], {"phase": "Running", "reason": "Evaluating"}, report("Evaluating", 343)
    ),
    "pod ended, job not": Case(
        ACTIVE, [{"state": ended(0, RESULT)}], {"phase": "Running", "reason": "Finished"}, report("Evaluating", 343)
    ),
    "job complete, pod's end not seen": Case(
        {"condition": ("Complete", "", "")}, [{"state": RUNNING}], {"phase": "Preparing"}
    ),
    "job failed, pod's end not seen": Case(
        {"condition": ("Failed", "X", "")}, [{"state": RUNNING}], {"phase": "Preparing"}
    ),
    "succeeded": Case(
        {"condition": ("Complete", "", ""), "succeeded": 1},
        [{"state": ended(0, RESULT)}],
        {
            "phase": "Succeeded",
            "message": "accuracy 0.8137, F1 0.8699",
            "completionTime": "2026-01-02T03:09:00Z",
            "duration": "7m0s",
            "retries": 0,
            "progress": {
                "step": 343,
                "totalSteps": 343,
                "percent": 100,
                "summary": "343/343 (100%)",
                "msPerStep": 83.29,
            },
            "result": {
                "accuracy": 0.8137255,
                "f1": 0.8699187,
                "collapsed": False,
                "steps": 343,
                "msPerStep": 83.29,
                "checkpoint": "research-minimal-11111111/model.ckpt-343",
            },
        },
    ),
    "succeeded without having learned": Case(
        {"condition": ("Complete", "", "")},
        [{"state": ended(0, COLLAPSED)}],
        {
            "phase": "Succeeded",
            "reason": "Succeeded",
            "message": "accuracy 0.6838, Matthews 0.0000, collapsed: all 408 predictions are 1",
            "result": {
                "collapsed": True,
                "collapseReason": "all 408 predictions are 1",
                "accuracy": 0.6838235,
                "matthews": 0.0,
            },
        },
    ),
    "succeeded, result lost": Case(
        {"condition": ("Complete", "", "")}, [], {"phase": "Succeeded", "reason": "ResultMissing"}
    ),
    "succeeded, result unreadable": Case(
        {"condition": ("Complete", "", "")},
        [{"state": ended(0, "not JSON")}],
        {"phase": "Succeeded", "reason": "ResultMissing"},
    ),
    "bad data": Case(
        {"condition": ("Failed", "PodFailurePolicy", "..."), "failed": 1},
        [{"state": ended(65, BAD_DATA)}],
        {
            "phase": "Failed",
            "reason": "BadData",
            "message": "pod pod-1 on node-a exited 65: /data/train.tsv, line 7: 4 fields, expected 5",
            "retries": 0,
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "exitCode": 65,
                "class": "BadData",
                "message": "/data/train.tsv, line 7: 4 fields, expected 5",
            },
        },
    ),
    "out of memory, next pod to come": Case(
        {"failed": 1},
        [{"state": ended(137, reason="OOMKilled")}],
        {
            "phase": "Retrying",
            "reason": "OutOfMemory",
            "message": "pod pod-1 on node-a exited 137: OOMKilled",
            "retries": 0,
        },
    ),
    "second attempt waits for a card": Case(
        {"failed": 1, "active": 1},
        [
            {"name": "pod-2", "created": "2026-01-02T03:05:00Z", "conditions": [UNSCHEDULABLE]},
            {"name": "pod-1", "state": ended(75, "interrupted")},
        ],
        {"phase": "Retrying", "reason": "Unschedulable", "podName": "pod-2", "retries": 1},
    ),
    "second attempt waits for its container": Case(
        {"failed": 1, "active": 1},
        [{"name": "pod-2", "created": "2026-01-02T03:05:00Z"}, {"name": "pod-1", "state": ended(75, "interrupted")}],
        {"phase": "Retrying", "reason": "Interrupted"},
    ),
    "second attempt runs": Case(
        {"failed": 1, "active": 1},
        [
            {"name": "pod-2", "created": "2026-01-02T03:05:00Z", "state": RUNNING},
            {"name": "pod-1", "state": ended(70, "boom")},
        ],
        {"phase": "Preparing", "podName": "pod-2", "retries": 1, "startTime": "2026-01-02T03:02:00Z"},
    ),
    "evicted": Case(
        {"active": 1},
        [{"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}],
        {
            "phase": "Retrying",
            "reason": "Evicted",
            "message": "pod pod-1 on node-a failed: The node was low on resource: memory.",
        },
    ),
    "preempted": Case(
        {}, [{"state": ended(137), "conditions": [DISRUPTED]}], {"phase": "Retrying", "reason": "Disrupted"}
    ),
    "all attempts used": Case(
        {"condition": ("Failed", "BackoffLimitExceeded", "..."), "failed": 4},
        [{"state": ended(70, "Traceback\nValueError: boom")}],
        {"phase": "Failed", "reason": "Unknown", "retries": 3},
    ),
    "failed, pod gone": Case(
        {"condition": ("Failed", "DeadlineExceeded", "too long"), "failed": 1},
        [],
        {"phase": "Failed", "reason": "DeadlineExceeded", "message": "too long"},
    ),
}
