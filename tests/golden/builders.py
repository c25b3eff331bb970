"""Raw objects as the API server sends them, for tests that need no cluster."""

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bertfinetune_operator import contract, naming
from bertfinetune_operator.index import Key
from bertfinetune_operator.settings import Settings

Raw = dict[str, Any]

GOLDEN = Path(__file__).parent
MINIMAL = (GOLDEN / "bertfinetune" / "minimal.yaml").read_text()
UID = "11111111-2222-4333-8444-555555555555"
KEY = Key("research", UID)
NOW = datetime(2026, 1, 2, 3, 10, 0, tzinfo=UTC)
SETTINGS = Settings(trainer_image_ascend910="trainer:ascend910", trainer_image_cpu="trainer:cpu")


def bertfinetune(status: Raw | None = None, **metadata: Any) -> Raw:
    """The object itself, with a status and further metadata."""
    raw: Raw = yaml.safe_load(MINIMAL)
    raw["metadata"] |= {"resourceVersion": "1", "creationTimestamp": "2026-01-02T03:00:00Z"} | metadata
    if status is not None:
        raw["status"] = copy.deepcopy(status)
    return raw


def job(condition: tuple[str, str, str] | None = None, **counts: int) -> Raw:
    """Its Job, with a condition (type, reason, message) that holds, and counts of pods."""
    status: Raw = dict(counts)
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
        "name": naming.job_name("minimal", UID),
        "namespace": "research",
        "uid": "job-uid",
        "resourceVersion": "2",
        "labels": naming.child_labels("minimal", UID),
        "ownerReferences": [{"uid": UID, "controller": True}],
    }
    return {"kind": "Job", "metadata": metadata, "status": status}


def pod(name: str = "pod-1", state: Raw | None = None, created: str = "2026-01-02T03:01:00Z", **status: Any) -> Raw:
    """A pod of its Job, with the container's state and further keys of the pod's status."""
    containers = [{"name": "istio-proxy", "state": {"running": {}}}]
    if state is not None:
        containers.append({"name": contract.CONTAINER_NAME, "state": state})
    metadata = {
        "name": name,
        "namespace": "research",
        "uid": f"uid-of-{name}",
        "resourceVersion": "3",
        "creationTimestamp": created,
        "labels": naming.child_labels("minimal", UID),
    }
    status = {"containerStatuses": containers} | status
    return {"kind": "Pod", "metadata": metadata, "spec": {"nodeName": "node-a"}, "status": status}
