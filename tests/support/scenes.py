"""What may be seen of a run, and what must follow from it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bertfinetune_operator import contract
from bertfinetune_operator.decision import kueue
from bertfinetune_operator.decision.views import Question

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
NEEDED_MORE = "out of memory: it needed more than its limit of 4Gi"
MEMORY = "spec.trainer.resources.limits.memory"
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
POD_WARNING = Question("warning", "pod-1", "uid-of-pod-1")
NOT_MOUNTED = (
    'FailedMount: MountVolume.SetUp failed for volume "data" : hostPath type check failed: /srv is not a directory'
)
RESTRICTED = (
    'pods "minimal-" is forbidden: violates PodSecurity "restricted:latest": restricted volume types '
    '(volume "hccn-conf" uses restricted volume type "hostPath")'
)
NO_FILE = 'MountVolume.SetUp failed for volume "hccn-conf" : hostPath type check failed: /etc/hccn.conf is not a file'
NO_ADDRESSES = "; install the chart with ascend.cardAddresses=false, then /etc/hccn.conf is not mounted"
POD_GROUP = Question("podgroup", "podgroup-1")
WORKLOAD = Question("workload", "minimal-11111111", "uid-of-job-0")


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
        "evalBatches": 0,
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
FAULT: Raw = {"pod": "pod-0", "node": "node-b", "class": "DeviceFault", "exitCode": 69, "message": "add graph failed"}
ALLOCATE = "Pod was rejected: Allocate failed due to {}, which is unexpected"
NOT_PLACED = ALLOCATE.format("rpc error: code = Unknown desc = not get valid pod")
NO_CARD = ALLOCATE.format("no healthy devices present; cannot allocate unhealthy devices huawei.com/Ascend910")
PLACE_IT = (
    "the device plugin serves only pods that Ascend's plugin for Volcano has placed: set the chart's"
    " scheduling.defaultSchedulerName, or spec.scheduling.schedulerName in a new run, to volcano, or start the"
    " device plugin with volcanoType=false"
)


def failed(state: Raw, **more: Any) -> Raw:
    """A Job that has failed with its pod, of which the log is known."""
    return {"jobs": [{"condition": FAILED}], "pods": [{"state": state}], "answers": {LOG: "the last words"}} | more


def refused(message: str, **more: Any) -> Raw:
    """A Job that has failed with its pod, which the kubelet did not take."""
    pod = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": message}
    return {"jobs": [{"condition": FAILED}], "pods": [pod], "answers": {LOG: ""}} | more


WAITING = {
    "no job yet": Case(
        {"phase": "Pending", "reason": "PodPending", "attempt": 0, "outputFolder": "research-minimal-11111111"},
        create=0,
    ),
    "the job was deleted": Case({"phase": "Pending"}, status=BEGUN, create=0),
    "no pod yet": Case(
        {"phase": "Pending", "message": "waiting for the Job's first pod", "retries": 0},
        [{"started": "2026-01-02T03:09:55Z"}],
        wake="03:10:05",
    ),
    "no pod for long": Case({}, ACTIVE, ask=(WARNING,)),
    "no pod because of a quota": Case(
        {"phase": "Pending", "reason": "PodRefused", "message": "Error creating: exceeded quota: cards"},
        ACTIVE,
        answers={WARNING: "FailedCreate: Error creating: exceeded quota: cards"},
    ),
    "no pod because of the cards' addresses": Case(
        {"phase": "Pending", "reason": "PodRefused", "message": f"Error creating: {RESTRICTED}{NO_ADDRESSES}"},
        ACTIVE,
        answers={WARNING: f"FailedCreate: Error creating: {RESTRICTED}"},
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
    "container being created": Case(
        {"phase": "Pending", "reason": "PodPending"},
        ACTIVE,
        [{"state": CREATING, "created": "2026-01-02T03:09:55Z"}],
        wake="03:10:05",
    ),
    "container being created for long": Case({}, ACTIVE, [{"state": CREATING}], ask=(POD_WARNING,)),
    "a volume cannot be mounted": Case(
        {"phase": "Pending", "reason": "FailedMount", "message": NOT_MOUNTED.partition(": ")[2]},
        ACTIVE,
        [{"state": CREATING}],
        answers={POD_WARNING: NOT_MOUNTED},
    ),
    "a node without the cards' addresses": Case(
        {"phase": "Pending", "reason": "FailedMount", "message": NO_FILE + NO_ADDRESSES},
        ACTIVE,
        [{"state": CREATING}],
        answers={POD_WARNING: f"FailedMount: {NO_FILE}"},
    ),
    "a volume of the downloader cannot be mounted": Case(
        {"phase": "Pending", "reason": "FailedAttachVolume", "message": "Multi-Attach error for volume pv-1"},
        ACTIVE,
        [{"fetching": {"waiting": {"reason": "PodInitializing"}}}],
        answers={POD_WARNING: "FailedAttachVolume: Multi-Attach error for volume pv-1"},
    ),
    "nobody says why it is created for long": Case(
        {"phase": "Pending", "reason": "PodPending", "message": "waiting for the pod to start"},
        ACTIVE,
        [{"state": CREATING}],
        answers={POD_WARNING: ""},
    ),
    "the next attempt's volume cannot be mounted": Case(
        {"phase": "Retrying", "reason": "FailedMount", "attempt": 1},
        [{"condition": FAILED}, {"attempt": 1}],
        [{"state": ended(70)}, {"name": "pod-2", "attempt": 1, "created": "2026-01-02T03:09:00Z"}],
        BEGUN | {"phase": "Retrying", "attempt": 1, "lastFailure": {"pod": "pod-1", "class": "Unknown", "message": ""}},
        answers={POD_WARNING._replace(name="pod-2", part="uid-of-pod-2"): NOT_MOUNTED},
    ),
    "data being downloaded": Case(
        {"phase": "Pending", "reason": "Fetching", "message": "model and data are being downloaded"},
        ACTIVE,
        [{"fetching": {"running": {}}, "state": {"waiting": {"reason": "PodInitializing"}}}],
    ),
    "downloader's image cannot be pulled": Case(
        {"phase": "Pending", "reason": "ImagePullBackOff"}, ACTIVE, [{"fetching": PULLING}]
    ),
    "in Volcano's hands": Case(
        {}, ACTIVE, [{"annotations": {"scheduling.k8s.io/group-name": "podgroup-1"}}], ask=(POD_GROUP, POD_WARNING)
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
    "just in Kueue's queue": Case(
        {"phase": "Queued", "reason": "Queued", "message": "waiting for Kueue to admit the Job"},
        [{"suspended": True, "created": "2026-01-02T03:09:55Z"}],
        wake="03:10:05",
    ),
    "long in Kueue's queue": Case({}, [{"suspended": True}], ask=(WORKLOAD,)),
    "Kueue says nothing": Case(
        {"phase": "Queued", "reason": "Queued", "message": "waiting for Kueue to admit the Job"},
        [{"suspended": True}],
        answers={WORKLOAD: ""},
    ),
    "no quota is free": Case(
        {"phase": "Queued", "reason": "Queued", "message": "Pending: insufficient unused quota"},
        [{"suspended": True}],
        answers={WORKLOAD: "Pending: insufficient unused quota"},
    ),
    "the LocalQueue does not exist": Case(
        {"phase": "Queued", "reason": "Inadmissible", "message": "Inadmissible: LocalQueue cards doesn't exist"},
        [{"suspended": True}],
        answers={WORKLOAD: "Inadmissible: LocalQueue cards doesn't exist"},
    ),
    "there is no Kueue": Case(
        {"phase": "Queued", "reason": "Inadmissible", "message": kueue.NOT_INSTALLED},
        [{"suspended": True}],
        answers={WORKLOAD: kueue.NOT_INSTALLED},
    ),
    "preempted by Kueue": Case(
        {"phase": "Queued", "message": "Preempted: by a higher priority"},
        [{"suspended": True}],
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:11:00Z"}],
        BEGUN,
        answers={WORKLOAD: "Preempted: by a higher priority"},
        wake="03:12:00",
    ),
    "preempted by Kueue, its pod interrupted": Case(
        {},
        [{"suspended": True}],
        [{"state": ended(contract.EXIT_INTERRUPTED), "deletionTimestamp": "2026-01-02T03:11:00Z"}],
        BEGUN,
        ask=(LOG, WORKLOAD),
    ),
    "the job is refused": Case(
        {"phase": "Pending", "reason": "JobRefused", "message": "exceeded quota"}, refusal="exceeded quota", create=0
    ),
}

TRAINING = {
    "running, silent so far": Case(
        {"phase": "Preparing", "reason": "Preparing", "startTime": "2026-01-02T03:08:01Z"},
        ACTIVE,
        [{"state": {"running": {"startedAt": "2026-01-02T03:08:01Z"}}}],
        wake="03:10:01",
    ),
    "running, its reports cannot be read": Case(
        {
            "phase": "Running",
            "reason": "ProgressUnknown",
            "message": "the trainer's container runs, and its port 8080 gives no answer",
            "startTime": "2026-01-02T03:02:00Z",
        },
        ACTIVE,
        TRAINS,
    ),
    "running, its reports can no longer be read": Case(
        {"phase": "Running", "reason": "Evaluating", "message": "the trainer is evaluating", "podName": "pod-1"},
        ACTIVE,
        TRAINS,
        BEGUN | {"reason": "Evaluating", "message": "the trainer is evaluating"},
    ),
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
    "a sidecar of Kubernetes' own kind is still stopping": Case(
        {"phase": "Running", "reason": "Finished"}, ACTIVE, [{"state": ended(0, RESULT), "phase": "Running"}]
    ),
    "job complete, pod's end not seen": Case({"phase": "Running"}, [{"condition": COMPLETE}], TRAINS),
    "job failed, pod's end not seen": Case({"phase": "Running"}, [{"condition": FAILED}], TRAINS),
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
        wake="03:10:30",
    ),
}

ENDING = {
    "succeeded": Case(
        {
            "phase": "Succeeded",
            "message": "accuracy 0.8137, F1 0.8699",
            "outputFolder": "research-minimal-11111111",
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
    "succeeded, a sidecar goes on": Case(
        {"phase": "Succeeded", "message": "accuracy 0.8137, F1 0.8699", "completionTime": "2026-01-02T03:10:00Z"},
        ACTIVE,
        [{"state": ended(0, RESULT), "sidecar": RUNNING, "phase": "Running"}],
    ),
    "succeeded, a sidecar never started": Case(
        {"phase": "Succeeded"}, ACTIVE, [{"state": ended(0, RESULT), "sidecar": PULLING, "phase": "Running"}]
    ),
    "succeeded, a sidecar failed": Case(
        {"phase": "Succeeded", "retries": 0},
        [{"condition": FAILED}],
        [{"state": ended(0, RESULT), "sidecar": ended(1), "phase": "Failed"}],
    ),
    "succeeded, a sidecar failed, the Job replaces the pod": Case(
        {"phase": "Succeeded", "retries": 0},
        ACTIVE,
        [{"state": ended(0, RESULT), "sidecar": ended(75), "phase": "Failed"}],
    ),
    "succeeded as its node was drained, a sidecar goes on": Case(
        {"phase": "Succeeded"},
        ACTIVE,
        [{"state": ended(0, RESULT), "sidecar": RUNNING, "deletionTimestamp": "2026-01-02T03:11:00Z"}],
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
    "bad data, a sidecar goes on": Case(
        {"phase": "Failed", "reason": "BadData", "retries": 0, "completionTime": "2026-01-02T03:10:00Z"},
        ACTIVE,
        [{"state": ended(65, BAD_DATA), "sidecar": RUNNING, "phase": "Running"}],
        answers={LOG: "the last words"},
    ),
    "a crash, a sidecar goes on, the log not read": Case(
        {}, ACTIVE, [{"state": ended(70, "boom"), "sidecar": RUNNING, "phase": "Running"}], ask=(LOG,)
    ),
    "a crash, a sidecar goes on": Case(
        {"phase": "Retrying", "reason": "Unknown", "retries": 1, "nextAttemptTime": "2026-01-02T03:10:10Z"},
        ACTIVE,
        [{"state": ended(70, "boom"), "sidecar": RUNNING, "phase": "Running"}],
        answers={LOG: ""},
        wake="03:10:10",
    ),
    "stopped with its sidecar, its Job replaces the pod": Case(
        {"phase": "Retrying", "reason": "Interrupted", "attempt": 0, "retries": 0, "nextAttemptTime": None},
        ACTIVE,
        [{"state": ended(75, "stopped"), "sidecar": RUNNING, "deletionTimestamp": "2026-01-02T03:11:00Z"}],
        answers={LOG: ""},
        wake="03:12:00",
    ),
    "stopped, its node was lost with the sidecar": Case(
        {"phase": "Retrying", "reason": "Interrupted", "retries": 0, "nextAttemptTime": "2026-01-02T03:10:10Z"},
        ACTIVE,
        [{"state": ended(75, "stopped"), "sidecar": RUNNING, "deletionTimestamp": "2026-01-02T03:09:00Z"}],
        answers={LOG: ""},
        wake="03:10:10",
    ),
    "the output's disk is full": Case(
        {"phase": "Retrying", "reason": "Storage", "retries": 1, "nextAttemptTime": "2026-01-02T03:11:00Z"},
        **failed(ended(74, "No space left on device")),
        wake="03:11:00",
    ),
    "the output's disk is still full": Case(
        {"phase": "Retrying", "reason": "Storage", "retries": 2, "nextAttemptTime": "2026-01-02T03:19:00Z"},
        **failed(ended(74, "No space left on device")),
        status=BEGUN | {"retries": 1},
        wake="03:19:00",
    ),
    "the output's disk is full to the end": Case(
        {"phase": "Retrying", "reason": "Storage", "retries": 5, "nextAttemptTime": "2026-01-02T03:39:00Z"},
        **failed(ended(74, "No space left on device")),
        status=BEGUN | {"retries": 4},
        spec={"backoffLimit": 9},
        wake="03:39:00",
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
            "message": f"pod pod-1 on node-a exited 137: {NEEDED_MORE}; next attempt at 03:09:10Z",
            "retries": 1,
            "nextAttemptTime": "2026-01-02T03:09:10Z",
        },
        **failed(ended(137, reason="OOMKilled")),
        wake="03:09:10",
    ),
    "out of memory, its peak was told": Case(
        {"phase": "Failed", "message": f"pod pod-1 on node-a exited 137: {NEEDED_MORE}; last seen at 3.96Gi"},
        **failed(ended(137, reason="OOMKilled")),
        spec={"backoffLimit": 0},
        report=report("Training") | {"peakMemoryBytes": 4252017623},
    ),
    "out of memory, and that is the end": Case(
        {
            "phase": "Failed",
            "reason": "OOMKilled",
            "message": f"pod pod-1 on node-a exited 137: {NEEDED_MORE}; onOOM=Fail: raise {MEMORY}",
            "retries": 0,
        },
        **failed(ended(137, reason="OOMKilled")),
        spec={"onOOM": "Fail"},
    ),
    "out of memory, half as much": Case(
        {
            "phase": "Retrying",
            "reason": "OOMKilled",
            "message": f"pod pod-1 on node-a exited 137: {NEEDED_MORE}; next attempt at 03:09:10Z with"
            " gradientAccumulationSteps=2",
            "retries": 1,
            "gradientAccumulationSteps": 2,
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "exitCode": 137,
                "class": "OOMKilled",
                "message": NEEDED_MORE,
                "logTail": "the last words",
            },
        },
        **failed(ended(137, reason="OOMKilled", message="step 3/343 (0%) loss 0.6931")),
        spec={"onOOM": "Accumulate"},
        wake="03:09:10",
    ),
    "out of memory, half as much again": Case(
        {"phase": "Retrying", "retries": 3, "gradientAccumulationSteps": 8},
        **failed(ended(137, reason="OOMKilled")),
        status=BEGUN | {"retries": 2, "gradientAccumulationSteps": 4},
        spec={"onOOM": "Accumulate"},
        wake="03:09:40",
    ),
    "out of memory, half as much of what the spec says": Case(
        {"phase": "Retrying", "gradientAccumulationSteps": 6},
        **failed(ended(137, reason="OOMKilled")),
        spec={"onOOM": "Accumulate", "training": {"trainBatchSize": 12, "gradientAccumulationSteps": 3}},
        wake="03:09:10",
    ),
    "out of memory, and no half is left": Case(
        {
            "phase": "Failed",
            "reason": "OOMKilled",
            "message": f"pod pod-1 on node-a exited 137: {NEEDED_MORE}; onOOM=Accumulate, and"
            f" gradientAccumulationSteps=8 does not divide trainBatchSize=12: raise {MEMORY}",
            "gradientAccumulationSteps": 4,
        },
        **failed(ended(137, reason="OOMKilled")),
        status=BEGUN | {"retries": 2, "gradientAccumulationSteps": 4},
        spec={"onOOM": "Accumulate", "training": {"trainBatchSize": 12}},
    ),
    "out of memory, and no attempt is left": Case(
        {"phase": "Failed", "reason": "OOMKilled", "retries": 1, "gradientAccumulationSteps": 2},
        **failed(ended(137, reason="OOMKilled")),
        status=BEGUN | {"retries": 1, "gradientAccumulationSteps": 2},
        spec={"onOOM": "Accumulate", "backoffLimit": 1},
    ),
    "a download is out of memory, and has no steps": Case(
        {
            "phase": "Retrying",
            "reason": "OOMKilled",
            "gradientAccumulationSteps": None,
            "message": "pod pod-1 on node-a exited 137: out of memory: it has no limit, and its node had none left;"
            " next attempt at 03:09:10Z",
        },
        [{"condition": FAILED}],
        [{"fetching": ended(137, reason="OOMKilled"), "state": {"waiting": {"reason": "PodInitializing"}}}],
        answers={DATA_LOG: ""},
        spec={"onOOM": "Accumulate"},
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
    "cards on two nodes end it before its first step": Case(
        {
            "phase": "Failed",
            "reason": "DeviceFault",
            "message": "pod pod-1 on node-a exited 69: add graph failed; a card on node-b ended the run before its "
            "first step, too: it is not the card",
            "retries": 1,
        },
        **failed(ended(69, "add graph failed")),
        status=BEGUN | {"retries": 1, "lastFailure": FAULT, "avoidedNodes": ["node-b"]},
    ),
    "two cards of one node end it before its first step": Case(
        {"phase": "Retrying", "reason": "DeviceFault", "avoidedNodes": ["node-a"]},
        **failed(ended(69, "add graph failed")),
        status=BEGUN | {"retries": 1, "lastFailure": FAULT | {"node": "node-a"}, "avoidedNodes": ["node-a"]},
        wake="03:09:20",
    ),
    "cards on two nodes break after a step": Case(
        {"phase": "Retrying", "reason": "DeviceFault", "avoidedNodes": ["node-b", "node-a"]},
        **failed(ended(69, "aicore error")),
        status=BEGUN
        | {
            "retries": 1,
            "lastFailure": FAULT,
            "avoidedNodes": ["node-b"],
            "progress": {"step": 1, "totalSteps": 343, "percent": 0, "summary": "1/343 (0%)"},
        },
        wake="03:09:20",
    ),
    "a card that broke while its node restarted says nothing of the input": Case(
        {"phase": "Retrying", "reason": "DeviceFault"},
        **failed(ended(69, "add graph failed")),
        status=BEGUN | {"retries": 1, "lastFailure": {**FAULT, "exitCode": None}, "avoidedNodes": ["node-b"]},
        wake="03:09:20",
    ),
    "the device plugin takes only what Volcano has placed": Case(
        {
            "phase": "Retrying",
            "reason": "DeviceNotAllotted",
            "message": f"pod pod-1 on node-a failed: {NOT_PLACED}; {PLACE_IT}; next attempt at 03:09:10Z",
            "retries": 1,
            "avoidedNodes": None,
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "class": "DeviceNotAllotted",
                "message": f"{NOT_PLACED}; {PLACE_IT}",
            },
        },
        **refused(NOT_PLACED),
        wake="03:09:10",
    ),
    "it still does at the last attempt": Case(
        {
            "phase": "Failed",
            "reason": "DeviceNotAllotted",
            "message": f"pod pod-1 on node-a failed: {NOT_PLACED}; {PLACE_IT}",
            "retries": 3,
            "avoidedNodes": None,
        },
        **refused(NOT_PLACED),
        status=BEGUN | {"retries": 3},
    ),
    "the device plugin is just restarting": Case(
        {"phase": "Retrying", "reason": "DeviceNotAllotted", "retries": 2, "avoidedNodes": ["node-b"]},
        **refused(NO_CARD),
        status=BEGUN | {"retries": 1, "lastFailure": FAULT, "avoidedNodes": ["node-b"]},
        wake="03:09:20",
    ),
    "a card that was not allotted says nothing of the input": Case(
        {"phase": "Retrying", "reason": "DeviceFault"},
        **failed(ended(69, "add graph failed")),
        status=BEGUN | {"retries": 1, "lastFailure": {**FAULT, "class": "DeviceNotAllotted"}},
        wake="03:09:20",
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
            "outputFolder": "research-minimal-11111111-trial-1",
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
        {"phase": "Running"},
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
    "no pod in time, nobody was asked why": Case({}, ACTIVE, spec={"pendingDeadlineSeconds": 60}, ask=(WARNING,)),
    "no pod in time": Case(
        {
            "phase": "Failed",
            "reason": "PendingDeadlineExceeded",
            "message": "not started within pendingDeadlineSeconds=60: PodRefused: exceeded quota: cards",
        },
        ACTIVE,
        spec={"pendingDeadlineSeconds": 60},
        answers={WARNING: "FailedCreate: exceeded quota: cards"},
    ),
    "not mounted in time": Case(
        {
            "phase": "Failed",
            "reason": "PendingDeadlineExceeded",
            "message": f"not started within pendingDeadlineSeconds=60: {NOT_MOUNTED}",
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "class": "Deadline",
                "message": NOT_MOUNTED,
            },
        },
        ACTIVE,
        [{"state": CREATING}],
        spec={"pendingDeadlineSeconds": 60},
        answers={POD_WARNING: NOT_MOUNTED},
    ),
    "a queue is no waiting for cards": Case(
        {"phase": "Queued"}, [{"suspended": True}], spec={"pendingDeadlineSeconds": 1}, answers={WORKLOAD: ""}
    ),
    "time to train is left": Case(
        {"phase": "Running"}, ACTIVE, TRAINS, spec={"activeDeadlineSeconds": 481}, wake="03:10:01"
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

STALLS: Raw = {"stalledDeadlineSeconds": 600}
STALLS_SOON: Raw = {"stalledDeadlineSeconds": 300}
QUIET = Question("quiet", "pod-1", "trainer", 300)


def moved(minute: int, phase: str = "Training", step: int = 143, **more: Any) -> Raw:
    """A record of movement."""
    time = f"2026-01-02T03:{minute:02}:00Z"
    return {"lastMovement": {"pod": "pod-1", "phase": phase, "step": step, "evaluationBatches": 0, "time": time} | more}


STANDSTILL = {
    "the first step, and so a movement": Case(
        {"phase": "Running"} | moved(10),
        ACTIVE,
        TRAINS,
        BEGUN,
        STALLS,
        report("Training"),
        wake="03:20:00",
    ),
    "no step since": Case(
        {"phase": "Running"} | moved(1),
        ACTIVE,
        TRAINS,
        BEGUN | moved(1),
        STALLS,
        report("Training"),
        wake="03:11:00",
    ),
    "a step": Case(
        {"phase": "Running"} | moved(10),
        ACTIVE,
        TRAINS,
        BEGUN | moved(0, step=142),
        STALLS,
        report("Training"),
        wake="03:20:00",
    ),
    "an evaluation batch": Case(
        moved(10, "Evaluating", evaluationBatches=8),
        ACTIVE,
        TRAINS,
        BEGUN | moved(0, "Evaluating", evaluationBatches=7),
        STALLS,
        report("Evaluating") | {"evalBatches": 8},
        wake="03:20:00",
    ),
    "long in an evaluation of an older trainer, which counts no batches": Case(
        {"phase": "Running", "reason": "Evaluating"},
        ACTIVE,
        TRAINS,
        BEGUN | moved(0, "Evaluating", evaluationBatches=None),
        STALLS,
        {key: value for key, value in report("Evaluating").items() if key != "evalBatches"},
    ),
    "back from an evaluation of an older trainer, which counts no batches": Case(
        {"phase": "Running", "reason": "Training"},
        ACTIVE,
        TRAINS,
        BEGUN | moved(0, "Evaluating"),
        STALLS,
        report("Training"),
        wake="03:20:00",
    ),
    "no step for too long, the log not read": Case(
        {}, ACTIVE, TRAINS, BEGUN | moved(0), STALLS, report("Training"), ask=(LOG,)
    ),
    "no step for too long": Case(
        {
            "phase": "Retrying",
            "reason": "Stalled",
            "retries": 0,
            "stalls": 1,
            "nextAttemptTime": "2026-01-02T03:10:10Z",
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "class": "Stalled",
                "message": "no step and no evaluation batch within stalledDeadlineSeconds=600, at step 143",
                "logTail": "step 143",
            },
        },
        ACTIVE,
        TRAINS,
        BEGUN | moved(0),
        STALLS,
        report("Training"),
        answers={LOG: "step 143"},
        wake="03:10:10",
    ),
    "the stalled trainer's Job goes": Case(
        {"phase": "Retrying", "reason": "Stalled", "lastMovement": None},
        ACTIVE,
        [{"state": RUNNING, "deletionTimestamp": "2026-01-02T03:12:00Z"}],
        BEGUN
        | moved(0)
        | {"phase": "Retrying", "reason": "Stalled", "stalls": 1, "nextAttemptTime": "2026-01-02T03:10:10Z"},
        STALLS,
        report("Training"),
        delete=(JOB,),
        wake="03:10:10",
    ),
    "stalled for the fourth time": Case(
        {"phase": "Retrying", "reason": "Stalled", "retries": 1, "stalls": 4},
        ACTIVE,
        TRAINS,
        BEGUN | moved(0) | {"stalls": 3},
        STALLS,
        report("Training"),
        answers={LOG: ""},
        wake="03:10:10",
    ),
    "stalled again and again": Case(
        {"phase": "Failed", "reason": "Stalled", "retries": 3, "stalls": 7, "lastMovement": None},
        ACTIVE,
        TRAINS,
        BEGUN | moved(0) | {"stalls": 6, "retries": 3},
        STALLS,
        report("Training"),
        answers={LOG: ""},
    ),
    "no step for too long, and no report": Case(
        {"phase": "Running"} | moved(0), ACTIVE, TRAINS, BEGUN | moved(0), STALLS, wake="03:10:30"
    ),
    "no report for long, the log not asked": Case({}, ACTIVE, TRAINS, BEGUN | moved(0), STALLS_SOON, ask=(QUIET,)),
    "no report for long, and lines in the log": Case(
        {"phase": "Running"} | moved(0),
        ACTIVE,
        TRAINS,
        BEGUN | moved(0),
        STALLS_SOON,
        answers={QUIET: ""},
        wake="03:10:30",
    ),
    "no report for long, and no line in the log": Case(
        {
            "phase": "Retrying",
            "reason": "Stalled",
            "retries": 0,
            "stalls": 1,
            "lastFailure": {
                "pod": "pod-1",
                "node": "node-a",
                "class": "Stalled",
                "message": "no answer and no line in its log within stalledDeadlineSeconds=300, after step 143",
                "logTail": "step 143",
            },
        },
        ACTIVE,
        TRAINS,
        BEGUN | moved(0),
        STALLS_SOON,
        answers={QUIET: "quiet", LOG: "step 143"},
        wake="03:10:10",
    ),
    "never a report": Case({"phase": "Running", "lastMovement": None}, ACTIVE, TRAINS, BEGUN, STALLS),
    "the next pod compiles": Case(
        {"phase": "Running", "lastMovement": None},
        ACTIVE,
        TRAINS,
        BEGUN | moved(0, pod="pod-0"),
        STALLS,
        report("Training") | {"loss": None},
    ),
    "nobody asks for it any more": Case(
        {"phase": "Running", "lastMovement": None}, ACTIVE, TRAINS, BEGUN | moved(0), report=report("Training")
    ),
    "compiling, time to the first step is left": Case(
        {"phase": "Preparing", "lastMovement": None},
        ACTIVE,
        TRAINS,
        spec=STALLS | {"pendingDeadlineSeconds": 600},
        report=report("Preparing", 0) | {"loss": None},
        wake="03:11:00",
    ),
    "compiling for too long": Case(
        {
            "phase": "Failed",
            "reason": "PendingDeadlineExceeded",
            "message": "not started within pendingDeadlineSeconds=60: the trainer has not done its first step",
        },
        ACTIVE,
        TRAINS,
        spec=STALLS | {"pendingDeadlineSeconds": 60},
        report=report("Preparing", 0) | {"loss": None},
        answers={LOG: ""},
    ),
    "the first step with a loss that is no number is one": Case(
        {"phase": "Running"},
        ACTIVE,
        TRAINS,
        spec=STALLS | {"pendingDeadlineSeconds": 60},
        report=report("Training") | {"loss": float("nan")},
        wake="03:20:00",
    ),
    "compiling for long is nothing where only the container's start counts": Case(
        {"phase": "Preparing"},
        ACTIVE,
        TRAINS,
        spec={"pendingDeadlineSeconds": 60},
        report=report("Preparing", 0) | {"loss": None},
    ),
}

OUT_OF_MEMORY = BEGUN | {
    "nodeName": "node-a",
    "retries": 1,
    "gradientAccumulationSteps": 2,
    "lastFailure": {"pod": "pod-1", "class": "OOMKilled", "message": "out of memory"},
}

VANISHED = {
    "its pod was deleted by force": Case(
        {
            "phase": "Retrying",
            "reason": "Interrupted",
            "retries": 0,
            "interruptions": 1,
            "nextAttemptTime": "2026-01-02T03:12:10Z",
        },
        [{"condition": FAILED}],
        status=BEGUN,
        spec={"backoffLimit": 0},
        wake="03:12:10",
    ),
    "its pod was deleted by force for the fourth time": Case(
        {"phase": "Failed", "reason": "Interrupted", "interruptions": 4},
        [{"condition": FAILED}],
        status=BEGUN | {"interruptions": 3},
        spec={"backoffLimit": 0},
    ),
    "its pod was deleted by force after three stalls": Case(
        {"phase": "Retrying", "reason": "Interrupted", "retries": 0, "stalls": 3, "interruptions": 1},
        [{"condition": FAILED}],
        status=BEGUN | {"stalls": 3},
        wake="03:12:10",
    ),
    "the next attempt's pod has no name yet": Case(
        {"phase": "Retrying", "attempt": 1, "podName": None, "nodeName": None},
        [{"condition": FAILED}, {"attempt": 1, "started": "2026-01-02T03:09:55Z"}],
        status=OUT_OF_MEMORY,
        wake="03:10:05",
    ),
    "the next attempt's pod was deleted by force before its name was written": Case(
        {"phase": "Retrying", "reason": "Unknown", "retries": 2, "gradientAccumulationSteps": 2},
        [{"condition": FAILED}, {"attempt": 1, "condition": FAILED}],
        status=OUT_OF_MEMORY,
        spec={"onOOM": "Accumulate"},
        wake="03:09:20",
    ),
    "its pod had bad data and is gone": Case(
        {"phase": "Failed", "reason": "Unknown", "interruptions": None},
        [{"condition": ("Failed", "PodFailurePolicy", "Container trainer failed with exit code 65 matching a rule")}],
        status=BEGUN,
        spec={"backoffLimit": 0},
    ),
}

CASES = WAITING | TRAINING | ENDING | RETRIES | COLLAPSES | SUSPENSION | NODE_LOSS | DEADLINES | STANDSTILL | VANISHED
