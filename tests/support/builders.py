"""Raw objects as the API server sends them, for tests that need no cluster."""

import copy
from collections.abc import Iterable, Mapping
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

Raw = dict[str, Any]

GOLDEN = Path(__file__).parents[1] / "unit" / "operator" / "golden"
MINIMAL = (GOLDEN / "bertfinetune" / "minimal.yaml").read_text()
UID = "11111111-2222-4333-8444-555555555555"
KEY = Key("research", UID)
NOW = datetime(2026, 1, 2, 3, 10, 0, tzinfo=UTC)
SETTINGS = Settings(trainer_image_ascend910="trainer:ascend910", trainer_image_cpu="trainer:cpu")


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
    condition: tuple[str, str, str] | None = None,
    *,
    suspended: bool = False,
    deleting: bool = False,
    created: str = "2026-01-02T03:00:20Z",
    started: str | None = "2026-01-02T03:00:30Z",
) -> Raw:
    """The Job of one of its attempts, with a condition (type, reason, message) that holds."""
    status: Raw = {} if suspended or started is None else {"startTime": started}
    if condition:
        kind, reason, message = condition
        at = "2026-01-02T03:09:00Z"
        status["conditions"] = [
            {"type": "SuccessCriteriaMet", "status": "False", "reason": "", "lastTransitionTime": at},
            {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at},
        ]
        if kind == "Complete":
            status["completionTime"] = at
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
    **more: Any,
) -> Raw:
    """A pod of one of its Jobs: the trainer's state, a download's, an ordinary sidecar's, and further keys."""
    containers = [{"name": "istio-proxy", "state": sidecar}] if sidecar else []
    if state is not None:
        containers.append({"name": contract.CONTAINER_NAME, "state": state})
    metadata = {
        "name": name,
        "namespace": "research",
        "uid": f"uid-of-{name}",
        "resourceVersion": "3",
        "creationTimestamp": created,
        "labels": labels(attempt),
    } | {key: more.pop(key) for key in ("deletionTimestamp", "annotations") if key in more}
    native = {"name": "istio-proxy-of-kubernetes-own-kind", "state": {"running": {}}}
    status: Raw = {"containerStatuses": containers, "initContainerStatuses": [native]} | more
    trainer = {"name": contract.CONTAINER_NAME, "args": [f"--device={device}"]}
    trainer["resources"] = {"limits": {"memory": "4Gi"}}
    spec = {"nodeName": "node-a", "containers": [{"name": "istio-proxy"}, trainer]}
    if fetching is not None:
        status["initContainerStatuses"].append({"name": "fetch-data", "state": fetching})
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


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
