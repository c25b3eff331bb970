"""What is created, and when it is done: one pod an object, the same pod for every contender. Pure functions."""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.api.status import BertFinetuneStatus
from bertfinetune_operator.manifests.job import build_job
from bertfinetune_operator.settings import Settings
from lab.cluster.errors import ClusterError

Raw = dict[str, Any]

NAMESPACE = "bench"
CARD = "huawei.com/Ascend910"
IMAGE = "trainer:bench"
RUNTIME = "one-card"
CONFIG = Path(__file__).parent / "config"
RESULT = (CONFIG / "result.json").read_text().strip()
"""What every trainer reports: the fake nodes write it into the termination message."""
ACCURACY = json.loads(RESULT)["accuracy"]


@dataclass(frozen=True)
class Kind:
    """A kind of object: where the API server serves it, how one is made, and how one ends."""

    plural: str
    group: str
    version: str
    make: Callable[[str], Raw]
    """An object of this name."""
    ending: Callable[[Raw], str | None]
    """None while it is under way, DONE, or what went wrong."""

    @property
    def path(self) -> str:
        return f"/apis/{self.group}/{self.version}/namespaces/{NAMESPACE}/{self.plural}"


DONE = "done"


def _operators_job(name: str) -> Raw:
    """The Job that our operator makes of the object of this name."""
    raw = _bertfinetune(name)
    raw["metadata"] |= {"namespace": NAMESPACE, "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name))}
    settings = Settings(trainer_image_ascend910=IMAGE, trainer_image_cpu=IMAGE)
    return build_job(BertFinetune.model_validate(raw), BertFinetuneStatus(), settings)


def _job(name: str) -> Raw:
    """That very Job, which nobody owns: what is left of our work when there is no operator."""
    job = _operators_job(name)
    return job | {"metadata": {"name": name}}


def _tfjob(name: str) -> Raw:
    """That Job's pod; the controller wants its container to be called tensorflow."""
    template = _operators_job(name)["spec"]["template"]
    (trainer,) = template["spec"]["containers"]
    trainer["name"] = "tensorflow"
    # Its controller deletes finished pods unless told not to.
    worker = {"replicas": 1, "restartPolicy": "Never", "template": template}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "TFJob",
        "metadata": {"name": name},
        "spec": {"runPolicy": {"cleanPodPolicy": "None"}, "tfReplicaSpecs": {"Worker": worker}},
    }


def training_runtime() -> Raw:
    """What all TrainJobs refer to: that pod once more, whose container must be called node."""
    template = _operators_job("runtime")["spec"]["template"]
    (trainer,) = template["spec"]["containers"]
    trainer["name"] = "node"
    job = {
        "name": "node",
        "template": {
            "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
            "spec": {"template": template},
        },
    }
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": {"name": RUNTIME, "namespace": NAMESPACE},
        "spec": {"mlPolicy": {"numNodes": 1}, "template": {"spec": {"replicatedJobs": [job]}}},
    }


def _trainjob(name: str) -> Raw:
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": RUNTIME}},
    }


def _bertfinetune(name: str) -> Raw:
    def folder(path: str) -> Raw:
        return {"hostPath": {"path": path}}

    return {
        "apiVersion": "bertfinetune.dev/v1alpha1",
        "kind": "BertFinetune",
        "metadata": {"name": name},
        "spec": {
            "task": "MRPC",
            "model": {"source": folder("/weights")},
            "data": {"source": folder("/mrpc")},
            "output": folder("/output"),
            "accelerator": {"type": "Ascend910"},
        },
    }


def _by_condition(success: str) -> Callable[[Raw], str | None]:
    def ending(raw: Raw) -> str | None:
        for condition in raw.get("status", {}).get("conditions") or ():
            if condition["status"] == "True" and condition["type"] == success:
                return DONE
            if condition["status"] == "True" and condition["type"] == "Failed":
                return f"{condition.get('reason')}: {condition.get('message')}"
        return None

    return ending


def _by_phase(raw: Raw) -> str | None:
    status = raw.get("status", {})
    if status.get("phase") == "Failed":
        return f"{status.get('reason')}: {status.get('message')}"
    if status.get("phase") != "Succeeded":
        return None
    accuracy = (status.get("result") or {}).get("accuracy")
    return DONE if accuracy == ACCURACY else f"accuracy {accuracy} in its status, the trainer reported {ACCURACY}"


JOBS = Kind("jobs", "batch", "v1", _job, _by_condition("Complete"))
BERTFINETUNES = Kind("bertfinetunes", "bertfinetune.dev", "v1alpha1", _bertfinetune, _by_phase)
TFJOBS = Kind("tfjobs", "kubeflow.org", "v1", _tfjob, _by_condition("Succeeded"))
TRAINJOBS = Kind("trainjobs", "trainer.kubeflow.org", "v1alpha1", _trainjob, _by_condition("Complete"))
JOBSETS = f"/apis/jobset.x-k8s.io/v1alpha2/namespaces/{NAMESPACE}/jobsets"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def check_done(kind: Kind, count: int, objects: Iterable[Raw]) -> None:
    """Raise ClusterError unless there are ``count`` objects and every one is done and as it should be."""
    endings = Counter(kind.ending(raw) or "not done" for raw in objects)
    if endings != {DONE: count}:
        raise ClusterError(f"{count} {kind.plural} should be done, seen: {dict(endings)}")


def check_children(owners: Iterable[Raw], children: Iterable[Raw], what: str) -> None:
    """Raise ClusterError unless every owner controls exactly one of the children, and no child is anybody else's."""
    expected = {owner["metadata"]["uid"]: 1 for owner in owners}
    seen = Counter(map(controller_of, children))
    if wrong := {uid: seen[uid] for uid in expected.keys() | seen if seen[uid] != expected.get(uid, 0)}:
        uid, number = next(iter(wrong.items()))
        raise ClusterError(f"{len(wrong)} objects do not have one {what} each: {uid} has {number}")


def controller_of(raw: Raw) -> str | None:
    """The uid of the object that controls this one."""
    owners = raw["metadata"].get("ownerReferences", ())
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)


def fake_node(name: str, pods: int) -> Raw:
    """A node that holds this many pods, with a card for each: it never makes one wait."""
    capacity = {"cpu": "1000", "memory": "1Ti", "pods": str(pods), CARD: str(pods)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": capacity, "allocatable": capacity},
    }
