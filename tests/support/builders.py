"""Raw objects as the API server sends them, for tests that need no cluster."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bertfinetune_operator import contract, naming
from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import BertFinetuneStatus
from bertfinetune_operator.decision.views import Observed, Question, observe, view_job, view_pod, view_progress
from bertfinetune_operator.informer.index import Key
from bertfinetune_operator.manifests.job import build_job
from bertfinetune_operator.settings import Settings
from support.possible import phase_of

Raw = dict[str, Any]

GOLDEN = Path(__file__).parents[1] / "unit" / "operator" / "golden"
MINIMAL = (GOLDEN / "bertfinetune" / "minimal.yaml").read_text()
UID = "11111111-2222-4333-8444-555555555555"
KEY = Key("research", UID)
NOW = datetime(2026, 1, 2, 3, 10, 0, tzinfo=UTC)
SETTINGS = Settings(trainer_image_ascend910="trainer:ascend910", trainer_image_cpu="trainer:cpu")

RESULT = (
    '{"outcome":"Succeeded","accuracy":0.8137255,"f1":0.8699187,"collapsed":false,"steps":343,"msPerStep":83.29,'
    '"checkpoint":"model.ckpt-343"}'
)
COLLAPSED = (
    '{"outcome":"Succeeded","accuracy":0.6838235,"f1":null,"matthews":0.0,"collapsed":true,'
    '"collapseReason":"all 408 predictions are 1","seed":1}'
)
BAD_DATA = '{"outcome":"Failed","class":"BadData","message":"/data/train.tsv, line 7: 4 fields, expected 5"}'
NOT_PLACED = (
    "Pod was rejected: Allocate failed due to rpc error: code = Unknown desc = not get valid pod, which is unexpected"
)
RUNNING = {"running": {"startedAt": "2026-01-02T03:02:00Z"}}
PULLING = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "t:npu"'}}
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no card"}
PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
TAINTED = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
COMPLETE = ("Complete",)
FAILED = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
BEGUN: Raw = {"phase": "Running", "jobName": "minimal-11111111", "podName": "pod-1", "retries": 0}
"""The record of a run that trains."""


def ended(code: int, message: str = "", reason: str = "Error") -> Raw:
    """The state of a container that has ended."""
    times = {"startedAt": "2026-01-02T03:02:00Z", "finishedAt": "2026-01-02T03:08:12Z"}
    return {"terminated": {"exitCode": code, "reason": reason if code else "Completed", "message": message} | times}


def report(phase: str, step: int = 143) -> Raw:
    """The trainer's progress report."""
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


def bertfinetune(status: Raw | None = None, spec: Raw | None = None, **metadata: Any) -> Raw:
    """The object itself, with a status, some fields of the spec and further metadata."""
    raw: Raw = yaml.safe_load(MINIMAL)
    raw["metadata"] |= {"resourceVersion": "1", "creationTimestamp": "2026-01-02T03:00:00Z"} | metadata
    raw["spec"] |= copy.deepcopy(spec or {})
    if status is not None:
        raw["status"] = copy.deepcopy(status)
    return raw


def labels(attempt: int = 0) -> dict[str, str]:
    """The labels of its children."""
    return naming.child_labels("minimal", UID, attempt)


def job(
    attempt: int = 0,
    condition: Sequence[str] = (),
    *,
    suspended: bool = False,
    deleting: bool = False,
    created: str = "2026-01-02T03:00:20Z",
    started: str | None = "2026-01-02T03:00:30Z",
    finished: str = "2026-01-02T03:09:00Z",
) -> Raw:
    """The Job of one of its attempts, with a condition (type, reason, message) that holds."""
    status: Raw = {} if suspended or started is None else {"startTime": started}
    if condition:
        kind, reason, message = (*condition, "", "")[:3]
        before = "SuccessCriteriaMet" if kind == "Complete" else "FailureTarget"
        status["conditions"] = [
            {"type": "Suspended", "status": "False", "reason": "JobResumed", "lastTransitionTime": started},
            {"type": before, "status": "True", "reason": reason, "message": message, "lastTransitionTime": finished},
            {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": finished},
        ]
        if kind == "Complete":
            status["completionTime"] = finished
    metadata = {
        "name": naming.job_name("minimal", UID, attempt),
        "namespace": "research",
        "uid": f"uid-of-job-{attempt}",
        "resourceVersion": "2",
        "creationTimestamp": created,
        "labels": labels(attempt),
        "ownerReferences": [{"uid": UID, "controller": True}],
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-02T03:09:30Z"
    return {"kind": "Job", "metadata": metadata, "spec": {"suspend": suspended}, "status": status}


def pod(
    name: str = "pod-1",
    state: Raw | None = None,
    created: str = "2026-01-02T03:01:00Z",
    attempt: int = 0,
    fetching: Raw | None = None,
    *,
    device: str = "npu",
    sidecar: Raw | None = None,
    native: Raw | None = None,
    job_uid: str | None = None,
    **more: Any,
) -> Raw:
    """A pod of one of its Jobs.

    Args:
        name: its name.
        state: of the trainer's container; None before the kubelet tells of any container.
        created: when.
        attempt: whose Job it is of.
        fetching: the state of a download.
        device: what the trainer trains on.
        sidecar: the state of an ordinary container beside the trainer.
        native: the state of a sidecar of Kubernetes' own kind, where it is not what follows from the others.
        job_uid: of its Job, where a test does not take the Job of `job`.
        more: further keys of its metadata or its status. The phase is what the kubelet makes of the states.
    """
    metadata = {
        "name": name,
        "namespace": "research",
        "uid": f"uid-of-{name}",
        "resourceVersion": "3",
        "creationTimestamp": created,
        "labels": labels(attempt),
        "ownerReferences": [{"uid": job_uid or f"uid-of-job-{attempt}", "controller": True}],
    } | {key: more.pop(key) for key in ("deletionTimestamp", "annotations") if key in more}
    trainer = {"name": contract.CONTAINER_NAME, "args": [f"--device={device}"]}
    trainer["resources"] = {"limits": {"memory": "4Gi"}}
    fetchers = [] if fetching is None else [{"name": "fetch-data"}]
    spec: Raw = {
        "containers": [trainer] if sidecar is None else [{"name": "istio-proxy"}, trainer],
        "initContainers": [*fetchers, {"name": "native-proxy", "restartPolicy": "Always"}],
    }
    if not any(condition["type"] == "PodScheduled" for condition in more.get("conditions", ())):
        spec["nodeName"] = "node-a"
    raw: Raw = {"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}
    if fetching is not None and state is None:
        state = {"waiting": {"reason": "PodInitializing"}}
    if state is not None:
        set_states(raw, state, fetching, sidecar, native)
    raw["status"] |= more
    return raw


def set_states(
    pod: Raw, state: Raw, fetching: Raw | None = None, sidecar: Raw | None = None, native: Raw | None = None
) -> None:
    """Write what the kubelet tells of a pod's containers, and the phase that it makes of that."""
    times = {key: at for key, at in state.get("terminated", {}).items() if key in ("startedAt", "finishedAt")}
    if native is None and times:  # it stops after the last ordinary container
        goes_on = sidecar is not None and "terminated" not in sidecar
        native = {"running": {"startedAt": times["startedAt"]}} if goes_on else {"terminated": {"exitCode": 0} | times}
    states = {"fetch-data": fetching, "native-proxy": native or state}
    states |= {"istio-proxy": sidecar, contract.CONTAINER_NAME: state}
    for key, containers in (("initContainerStatuses", "initContainers"), ("containerStatuses", "containers")):
        pod["status"][key] = [{"name": c["name"], "state": states[c["name"]]} for c in pod["spec"][containers]]
    pod["status"]["phase"] = phase_of(pod)


def by_name(raws: Iterable[Raw]) -> dict[str, Raw]:
    """Objects of one kind, each under its name."""
    return {raw["metadata"]["name"]: raw for raw in raws}


def seen(
    jobs: Iterable[Raw] = (),
    pods: Iterable[Raw] = (),
    reports: Mapping[str, Raw] = {},
    refusal: str | None = None,
    answers: Mapping[Question, str] = {},
    *,
    heard_at: datetime = NOW,
) -> Observed:
    """What is seen of raw Jobs, pods and progress reports."""
    seen = {name: view for name, report in reports.items() if (view := view_progress(report))}
    views = {name: replace(view, heard_at=heard_at) for name, view in seen.items()}
    return observe(map(view_job, jobs), map(view_pod, pods), views, refusal, answers)


def manifest(raw: Raw, attempt: int = 0, **status: Any) -> Raw:
    """The Job that would be made of an object in an attempt."""
    return build_job(BertFinetune.model_validate(raw), BertFinetuneStatus(attempt=attempt, **status), SETTINGS)
