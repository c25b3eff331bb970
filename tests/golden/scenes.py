"""What may be seen of a run, and what must follow from it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bertfinetune_operator.observe import Question

Raw = dict[str, Any]

RESULT = (
    '{"outcome":"Succeeded","accuracy":0.8137255,"f1":0.8699187,"collapsed":false,"steps":343,"msPerStep":83.29,'
    '"checkpoint":"model.ckpt-343"}'
)
COLLAPSED = (
    '{"outcome":"Succeeded","accuracy":0.6838235,"f1":null,"matthews":0.0,"collapsed":true,'
    '"collapseReason":"all 408 predictions are 1","seed":1}'
)
BAD_DATA = '{"outcome":"Failed","class":"BadData","message":"/data/train.tsv, line 7: 4 fields, expected 5"}'
RUNNING = {"running": {"startedAt": "2026-01-02T03:02:00Z"}}
PULLING = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "t:npu"'}}
CREATING = {"waiting": {"reason": "ContainerCreating"}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no card"}
PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
TAINTED = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
COMPLETE = ("Complete", "", "")
FAILED = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
LOG = Question("log", "pod-1", "trainer")
LOG_2 = Question("log", "pod-2", "trainer")
DATA_LOG = Question("log", "pod-1", "fetch-data")
WARNING = Question("warning", "minimal-11111111", "uid-of-job-0")
POD_GROUP = Question("podgroup", "podgroup-1")


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
    """What is seen of an object with this record and spec, and what must follow."""

    expected: Raw
    """Part of the status afterwards."""
    jobs: Sequence[Raw] = ()
    """Keywords of builders.job."""
    pods: Sequence[Raw] = ()
    """Keywords of builders.pod."""
    status: Raw | None = None
    spec: Raw | None = None
    report: Raw | None = None
    """The report of pod-1."""
    refusal: str | None = None
    answers: Mapping[Question, str] = {}
    create: int | None = None
    """The attempt for which a Job is to be made."""
    delete: tuple[str, ...] = ()
    """Names of the Jobs to delete."""
    ask: tuple[Question, ...] = ()
    wake: str | None = None
    """When to look again, on 2026-01-02."""


ACTIVE: list[Raw] = [{}]
WAITS = [{"created": "2026-01-02T03:09:00Z"}]
TRAINS = [{"state": RUNNING}]
BEGUN: Raw = {"phase": "Running", "jobName": "minimal-11111111", "podName": "pod-1", "retries": 0}
JOB = "minimal-11111111"


def failed(state: Raw, **more: Any) -> Raw:
    """A Job that has failed with its pod, of which the log is known."""
    return {"jobs": [{"condition": FAILED}], "pods": [{"state": state}], "answers": {LOG: "the last words"}} | more


WAITING = {
    "no job yet": Case({"phase": "Pending", "reason": "PodPending", "attempt": 0}, create=0),
    "the job was deleted": Case({"phase": "Pending"}, status=BEGUN, create=0),
    "no pod yet": Case(
        {"phase": "Pending", "message": "waiting for the Job's first pod", "retries": 0},
        [{"started": "2026-01-02T03:09:55Z"}],
        wake="03:10:05",
    ),
    "no pod for long": Case({}, ACTIVE, ask=(WARNING,)),
    "no pod because of a quota": Case(
        {"phase": "Pending", "reason": "PodRefused", "message": "exceeded quota: cards"},
        ACTIVE,
        answers={WARNING: "exceeded quota: cards"},
    ),
    "no pod for no known reason": Case({"phase": "Pending", "reason": "PodPending"}, ACTIVE, answers={WARNING: ""}),
    "no card free": Case(
        {"phase": "Pending", "reason": "Unschedulable", "message": "0/1 nodes: no card"},
        ACTIVE,
        [{"conditions": [UNSCHEDULABLE]}],
    ),
    "image cannot be pulled": Case(
        {"phase": "Pending", "reason": "ImagePullBackOff", "message": 'Back-off pulling image "t:npu"'},
        ACTIVE,
        [{"state": PULLING}],
    ),
    "container being created": Case({"phase": "Pending", "reason": "PodPending"}, ACTIVE, [{"state": CREATING}]),
    "data being downloaded": Case(
        {"phase": "Pending", "reason": "Fetching", "message": "model and data are being downloaded"},
        ACTIVE,
        [{"fetching": {"running": {}}, "state": {"waiting": {"reason": "PodInitializing"}}}],
    ),
    "downloader's image cannot be pulled": Case(
        {"phase": "Pending", "reason": "ImagePullBackOff"}, ACTIVE, [{"fetching": PULLING}]
    ),
    "in Volcano's hands": Case(
        {}, ACTIVE, [{"annotations": {"scheduling.k8s.io/group-name": "podgroup-1"}}], ask=(POD_GROUP,)
    ),
    "Volcano has no room": Case(
        {"phase": "Pending", "reason": "PodGroupPending", "message": "NotEnoughResources: 1/0 tasks in gang"},
        ACTIVE,
        [{"annotations": {"scheduling.k8s.io/group-name": "podgroup-1"}, "conditions": [UNSCHEDULABLE]}],
        answers={POD_GROUP: "NotEnoughResources: 1/0 tasks in gang"},
    ),
    "Volcano says nothing": Case(
        {"phase": "Pending", "reason": "Unschedulable"},
        ACTIVE,
        [{"annotations": {"scheduling.k8s.io/group-name": "podgroup-1"}, "conditions": [UNSCHEDULABLE]}],
        answers={POD_GROUP: ""},
    ),
    "in Kueue's queue": Case({"phase": "Queued", "reason": "Queued"}, [{"suspended": True}]),
    "preempted by Kueue": Case(
        {"phase": "Queued"},
        [{"suspended": True}],
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:11:00Z"}],
        BEGUN,
        wake="03:12:00",
    ),
    "the job is refused": Case(
        {"phase": "Pending", "reason": "JobRefused", "message": "exceeded quota"}, refusal="exceeded quota", create=0
    ),
}

TRAINING = {
    "running, silent": Case({"phase": "Preparing", "startTime": "2026-01-02T03:02:00Z"}, ACTIVE, TRAINS),
    "preparing": Case({"phase": "Preparing"}, ACTIVE, TRAINS, report=report("Preparing", 0)),
    "training": Case(
        {
            "phase": "Running",
            "reason": "Training",
            "nodeName": "node-a",
            "podName": "pod-1",
            "duration": "8m0s",
            "activeSeconds": 0,
            "activeSince": "2026-01-02T03:02:00Z",
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
        ACTIVE,
        TRAINS,
        report=report("Training"),
    ),
    "evaluating": Case({"phase": "Running", "reason": "Evaluating"}, ACTIVE, TRAINS, report=report("Evaluating", 343)),
    "pod ended, job not": Case(
        {"phase": "Running", "reason": "Finished"},
        ACTIVE,
        [{"state": ended(0, RESULT)}],
        report=report("Evaluating", 343),
    ),
    "job complete, pod's end not seen": Case({"phase": "Preparing"}, [{"condition": COMPLETE}], TRAINS),
    "job failed, pod's end not seen": Case({"phase": "Preparing"}, [{"condition": FAILED}], TRAINS),
    "failed, the log not read": Case({}, ACTIVE, [{"state": ended(70, "boom")}], ask=(LOG,)),
    "disrupted, its Job replaces the pod": Case(
        {
            "phase": "Retrying",
            "reason": "Evicted",
            "retries": 0,
            "attempt": 0,
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "exitCode": 137,
                "class": "Evicted",
                "message": "Error",
                "logTail": "step 143",
            },
        },
        ACTIVE,
        [{"state": ended(137), "conditions": [PREEMPTED]}],
        answers={LOG: "step 143"},
    ),
    "the replacement waits for a card": Case(
        {"phase": "Retrying", "reason": "Unschedulable", "podName": "pod-2", "retries": 0},
        ACTIVE,
        [
            {"name": "pod-2", "created": "2026-01-02T03:05:00Z", "conditions": [UNSCHEDULABLE]},
            {"state": ended(75, "interrupted")},
        ],
        answers={LOG: ""},
    ),
    "the replacement runs": Case(
        {"phase": "Preparing", "podName": "pod-2", "startTime": "2026-01-02T03:02:00Z", "activeSeconds": 372},
        ACTIVE,
        [
            {
                "name": "pod-2",
                "created": "2026-01-02T03:08:20Z",
                "state": {"running": {"startedAt": "2026-01-02T03:08:30Z"}},
            },
            {"state": ended(75, "interrupted")},
        ],
        BEGUN | {"activeSince": "2026-01-02T03:02:00Z", "startTime": "2026-01-02T03:02:00Z"},
    ),
}

ENDING = {
    "succeeded": Case(
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
        [{"condition": COMPLETE}],
        [{"state": ended(0, RESULT)}],
    ),
    "succeeded, result lost": Case({"phase": "Succeeded", "reason": "ResultMissing"}, [{"condition": COMPLETE}]),
    "succeeded, result unreadable": Case(
        {"phase": "Succeeded", "reason": "ResultMissing"},
        [{"condition": COMPLETE}],
        [{"state": ended(0, "not JSON")}],
    ),
    "the result is known, job and pod are gone": Case(
        {"phase": "Succeeded", "completionTime": "2026-01-02T03:10:00Z"},
        status=BEGUN | {"result": {"collapsed": False, "accuracy": 0.8}},
    ),
    "suspended after its end": Case(
        {"phase": "Succeeded"},
        [{"condition": COMPLETE}],
        [{"state": ended(0, RESULT)}],
        spec={"suspend": True},
    ),
    "below the target": Case(
        {"phase": "Succeeded", "reason": "Succeeded"},
        [{"condition": COMPLETE}],
        [{"state": ended(0, RESULT)}],
        spec={"quality": {"minAccuracy": 0.9}},
    ),
}

RETRIES = {
    "bad data": Case(
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
                "logTail": "the last words",
            },
        },
        **failed(ended(65, BAD_DATA)),
    ),
    "bad download": Case(
        {"phase": "Failed", "reason": "BadData"},
        [{"condition": FAILED}],
        [{"fetching": ended(65, BAD_DATA), "state": {"waiting": {"reason": "PodInitializing"}}}],
        answers={DATA_LOG: "sha256 differs"},
    ),
    "out of memory, the log not read": Case(
        {}, [{"condition": FAILED}], [{"state": ended(137, reason="OOMKilled")}], ask=(LOG,)
    ),
    "out of memory": Case(
        {
            "phase": "Retrying",
            "reason": "OOMKilled",
            "message": "pod pod-1 on node-a exited 137: OOMKilled; next attempt at 03:09:10Z",
            "retries": 1,
            "nextAttemptTime": "2026-01-02T03:09:10Z",
        },
        **failed(ended(137, reason="OOMKilled")),
        wake="03:09:10",
    ),
    "the third failure backs off longer": Case(
        {"retries": 3, "nextAttemptTime": "2026-01-02T03:09:40Z"},
        **failed(ended(70, "boom")),
        status=BEGUN | {"retries": 2},
        wake="03:09:40",
    ),
    "backing off": Case(
        {"phase": "Retrying", "reason": "Unknown", "attempt": 0},
        [{"condition": FAILED}],
        [{"state": ended(70)}],
        BEGUN | {"phase": "Retrying", "reason": "Unknown", "retries": 1, "nextAttemptTime": "2026-01-02T03:10:10Z"},
        answers={LOG: ""},
        wake="03:10:10",
    ),
    "the back-off is over": Case(
        {"phase": "Retrying", "attempt": 1},
        [{"condition": FAILED}],
        [{"state": ended(70)}],
        BEGUN | {"phase": "Retrying", "reason": "Unknown", "retries": 1, "nextAttemptTime": "2026-01-02T03:10:00Z"},
        answers={LOG: ""},
        create=1,
    ),
    "the second attempt's pod waits": Case(
        {"phase": "Retrying", "reason": "Unschedulable", "attempt": 1, "podName": "pod-2", "retries": 1},
        [{"condition": FAILED}, {"attempt": 1}],
        [
            {"state": ended(70)},
            {"name": "pod-2", "attempt": 1, "created": "2026-01-02T03:09:00Z", "conditions": [UNSCHEDULABLE]},
        ],
        BEGUN
        | {
            "phase": "Retrying",
            "retries": 1,
            "attempt": 1,
            "lastFailure": {"pod": "pod-1", "class": "Unknown", "message": "boom"},
        },
    ),
    "all attempts used": Case(
        {"phase": "Failed", "reason": "Unknown", "retries": 3},
        **failed(ended(70, "Traceback\nValueError: boom")),
        status=BEGUN | {"retries": 3},
    ),
    "a disruption never counts": Case(
        {"phase": "Retrying", "reason": "Evicted", "retries": 3, "nextAttemptTime": "2026-01-02T03:09:10Z"},
        [{"condition": FAILED}],
        [{"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}],
        BEGUN | {"retries": 3},
        answers={LOG: ""},
        wake="03:09:10",
    ),
    "a card is broken": Case(
        {"phase": "Retrying", "reason": "DeviceFault", "avoidedNodes": ["node-b", "node-a"]},
        **failed(ended(69, "aicore error")),
        status=BEGUN | {"avoidedNodes": ["node-a", "node-b"]},
        wake="03:09:10",
    ),
    "failed, pod gone": Case(
        {
            "phase": "Failed",
            "reason": "Unknown",
            "message": "pod minimal-11111111 failed: the Job failed: BackoffLimitExceeded: Job has reached the"
            " specified backoff limit",
        },
        [{"condition": FAILED}],
        spec={"backoffLimit": 0},
    ),
    "failed, pod gone, its failure is known": Case(
        {"phase": "Failed", "reason": "OOMKilled"},
        [{"condition": FAILED}],
        status=BEGUN | {"lastFailure": {"pod": "pod-1", "class": "OOMKilled", "message": "OOMKilled"}},
        spec={"backoffLimit": 0},
    ),
}

COLLAPSES = {
    "collapsed, tried again": Case(
        {
            "phase": "Retrying",
            "reason": "Collapsed",
            "message": "all 408 predictions are 1; trial 2 of 3 takes seed 2 and AdamW",
            "retries": 0,
            "result": None,
            "trials": [
                {
                    "collapsed": True,
                    "collapseReason": "all 408 predictions are 1",
                    "accuracy": 0.6838235,
                    "matthews": 0.0,
                    "seed": 1,
                }
            ],
            "nextAttemptTime": "2026-01-02T03:10:00Z",
        },
        [{"condition": COMPLETE}],
        [{"state": ended(0, COLLAPSED)}],
    ),
    "the next trial begins": Case(
        {"phase": "Retrying", "reason": "Collapsed", "attempt": 1, "result": None},
        [{"condition": COMPLETE}],
        [{"state": ended(0, COLLAPSED)}],
        BEGUN
        | {
            "phase": "Retrying",
            "reason": "Collapsed",
            "nextAttemptTime": "2026-01-02T03:10:00Z",
            "trials": [{"collapsed": True}],
        },
        create=1,
    ),
    "collapsed again and again": Case(
        {
            "phase": "Failed",
            "reason": "Collapsed",
            "message": "all 3 trials collapsed, the last one: all 408 predictions are 1; see docs/stability.md of the"
            " trainer for what helps",
            "result": {
                "collapsed": True,
                "collapseReason": "all 408 predictions are 1",
                "accuracy": 0.6838235,
                "matthews": 0.0,
                "seed": 1,
            },
        },
        [{"condition": COMPLETE}],
        [{"state": ended(0, COLLAPSED)}],
        BEGUN | {"trials": [{"collapsed": True}, {"collapsed": True}]},
    ),
    "a collapse is the end": Case(
        {"phase": "Failed", "reason": "Collapsed"},
        [{"condition": COMPLETE}],
        [{"state": ended(0, COLLAPSED)}],
        spec={"quality": {"onCollapse": "Fail"}},
    ),
    "a collapse is accepted": Case(
        {
            "phase": "Succeeded",
            "message": "accuracy 0.6838, Matthews 0.0000, collapsed: all 408 predictions are 1",
        },
        [{"condition": COMPLETE}],
        [{"state": ended(0, COLLAPSED)}],
        spec={"quality": {"onCollapse": "Accept"}},
    ),
}

SUSPENSION = {
    "suspended from the start": Case({"phase": "Suspended", "reason": "Suspended"}, spec={"suspend": True}),
    "suspended while it trains": Case(
        {"phase": "Suspended", "reason": "Stopping", "message": "pod pod-1 saves a checkpoint and ends"},
        ACTIVE,
        TRAINS,
        BEGUN,
        {"suspend": True},
        delete=(JOB,),
    ),
    "still saving its checkpoint": Case(
        {"phase": "Suspended", "reason": "Stopping"},
        [],
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:11:00Z"}],
        BEGUN | {"phase": "Suspended"},
        {"suspend": True},
        wake="03:12:00",
    ),
    "suspended": Case(
        {
            "phase": "Suspended",
            "reason": "Suspended",
            "message": "set spec.suspend to false to go on from step 143 or an earlier checkpoint",
            "activeSeconds": 480,
        },
        status=BEGUN
        | {
            "phase": "Suspended",
            "activeSince": "2026-01-02T03:02:00Z",
            "progress": {"step": 143, "totalSteps": 343, "percent": 41, "summary": "143/343 (41%)"},
        },
        spec={"suspend": True},
    ),
    "its pod has ended and is no failure": Case(
        {"phase": "Suspended", "reason": "Suspended", "lastFailure": None},
        [],
        [{"state": ended(75, "stopped"), "deletionTimestamp": "2026-01-02T03:11:00Z"}],
        BEGUN | {"phase": "Suspended"},
        {"suspend": True},
    ),
    "resumed": Case({"phase": "Pending", "attempt": 1}, status=BEGUN | {"phase": "Suspended"}, create=1),
    "resumed before the pod has ended": Case(
        {"phase": "Suspended", "reason": "Stopping", "attempt": 0},
        [],
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:11:00Z"}],
        BEGUN | {"phase": "Suspended"},
        wake="03:12:00",
    ),
    "suspended in the queue": Case(
        {"phase": "Suspended", "reason": "Suspended"},
        [{"suspended": True}],
        spec={"suspend": True},
        delete=(JOB,),
    ),
    "suspended while it backs off": Case(
        {"phase": "Suspended", "reason": "Suspended"},
        [{"condition": FAILED}],
        [{"state": ended(70)}],
        BEGUN | {"phase": "Retrying", "retries": 1, "nextAttemptTime": "2026-01-02T03:10:10Z"},
        {"suspend": True},
        answers={LOG: ""},
    ),
}

NODE_LOSS = {
    "a node is lost": Case(
        {"phase": "Retrying", "reason": "NodeLost", "retries": 0, "nextAttemptTime": "2026-01-02T03:10:10Z"},
        ACTIVE,
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:09:00Z", "conditions": [TAINTED]}],
        BEGUN,
        wake="03:10:10",
    ),
    "a node may come back": Case(
        {"phase": "Preparing"},
        ACTIVE,
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:09:01Z"}],
        BEGUN,
        wake="03:10:01",
    ),
    "the lost node's Job goes": Case(
        {"phase": "Retrying", "reason": "NodeLost"},
        ACTIVE,
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:09:00Z"}],
        BEGUN | {"phase": "Retrying", "reason": "NodeLost", "nextAttemptTime": "2026-01-02T03:10:10Z"},
        delete=(JOB,),
        wake="03:10:10",
    ),
    "the lost node's Job goes first, however late it is": Case(
        {"phase": "Retrying", "reason": "NodeLost", "attempt": 0},
        ACTIVE,
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:09:00Z"}],
        BEGUN | {"phase": "Retrying", "reason": "NodeLost", "nextAttemptTime": "2026-01-02T03:09:30Z"},
        delete=(JOB,),
    ),
    "the next attempt begins without it": Case(
        {"phase": "Retrying", "attempt": 1},
        [{"deleting": True}],
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:09:00Z"}],
        BEGUN | {"phase": "Retrying", "reason": "NodeLost", "nextAttemptTime": "2026-01-02T03:10:00Z"},
        create=1,
    ),
}

DEADLINES = {
    "time to start is left": Case(
        {"phase": "Pending"},
        ACTIVE,
        [{"created": "2026-01-02T03:09:00Z", "conditions": [UNSCHEDULABLE]}],
        spec={"pendingDeadlineSeconds": 61},
        wake="03:10:01",
    ),
    "no card in time": Case(
        {
            "phase": "Failed",
            "reason": "PendingDeadlineExceeded",
            "message": "not started within pendingDeadlineSeconds=60: Unschedulable: 0/1 nodes: no card",
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "class": "Deadline",
                "message": "Unschedulable: 0/1 nodes: no card",
            },
        },
        ACTIVE,
        [{"created": "2026-01-02T03:09:00Z", "conditions": [UNSCHEDULABLE]}],
        spec={"pendingDeadlineSeconds": 60},
    ),
    "no image in time": Case(
        {"phase": "Failed", "reason": "PendingDeadlineExceeded"},
        ACTIVE,
        [{"state": PULLING}],
        spec={"pendingDeadlineSeconds": 60},
    ),
    "no pod in time": Case(
        {"phase": "Failed", "reason": "PendingDeadlineExceeded"}, ACTIVE, spec={"pendingDeadlineSeconds": 60}
    ),
    "a queue is no waiting for cards": Case(
        {"phase": "Queued"}, [{"suspended": True}], spec={"pendingDeadlineSeconds": 1}
    ),
    "time to train is left": Case(
        {"phase": "Preparing"}, ACTIVE, TRAINS, spec={"activeDeadlineSeconds": 481}, wake="03:10:01"
    ),
    "too slow, the log not read": Case({}, ACTIVE, TRAINS, spec={"activeDeadlineSeconds": 480}, ask=(LOG,)),
    "too slow": Case(
        {
            "phase": "Failed",
            "reason": "DeadlineExceeded",
            "message": "not finished after activeDeadlineSeconds=480 of training; the newest checkpoint is kept",
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "class": "Deadline",
                "message": "not finished after activeDeadlineSeconds=480 of training",
                "logTail": "step 143",
            },
        },
        ACTIVE,
        TRAINS,
        spec={"activeDeadlineSeconds": 480},
        answers={LOG: "step 143"},
    ),
    "earlier attempts count": Case(
        {"phase": "Failed", "reason": "DeadlineExceeded"},
        ACTIVE,
        TRAINS,
        BEGUN | {"activeSeconds": 520},
        {"activeDeadlineSeconds": 1000},
        answers={LOG: ""},
    ),
    "it ended before anybody looked": Case(
        {"phase": "Succeeded"},
        [{"condition": COMPLETE}],
        [{"state": ended(0, RESULT)}],
        spec={"activeDeadlineSeconds": 60},
    ),
}

CASES = WAITING | TRAINING | ENDING | RETRIES | COLLAPSES | SUSPENSION | NODE_LOSS | DEADLINES
