"""The Job of a BertFinetune: a pure function from object and settings to manifest."""

from typing import Any

from bertfinetune_operator import accelerator, contract, naming
from bertfinetune_operator.api import BertFinetune, Source
from bertfinetune_operator.pods import Trainer
from bertfinetune_operator.settings import Settings

Manifest = dict[str, Any]

TRAINER_UID = 65532
"""User and group the trainer runs as; fsGroup makes volumes that support it writable for them."""

TERMINATION_GRACE_SECONDS = 120
"""Time a stopped trainer has to finish its step and save a checkpoint."""


def build_job(obj: BertFinetune, settings: Settings) -> Manifest:
    """The batch/v1 Job that trains what `obj` asks for, owned by it. Equal input gives an equal manifest."""
    meta = obj.metadata
    labels = naming.child_labels(meta.name, meta.uid)
    owner = {
        "apiVersion": naming.API_VERSION,
        "kind": contract.KIND,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": naming.job_name(meta.name, meta.uid),
            "namespace": meta.namespace,
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            "backoffLimit": obj.spec.backoff_limit,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": _pod_failure_policy(),
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(obj, settings)},
        },
    }


def _pod_failure_policy() -> Manifest:
    """An eviction or preemption is nobody's fault; a failure that the same input would repeat ends the Job."""
    permanent = {
        "containerName": contract.CONTAINER_NAME,
        "operator": "In",
        "values": list(contract.PERMANENT_EXIT_CODES),
    }
    return {
        "rules": [
            {"action": "FailJob", "onExitCodes": permanent},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]
    }


def _pod_spec(obj: BertFinetune, settings: Settings) -> Manifest:
    trainer = obj.spec.trainer or Trainer()
    scheduling = obj.spec.scheduling
    pod: Manifest = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": TRAINER_UID,
            "runAsGroup": TRAINER_UID,
            "fsGroup": TRAINER_UID,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(obj, trainer, settings)],
        "volumes": [
            _volume("model", obj.spec.model.source),
            _volume("data", obj.spec.data.source),
            _volume("output", obj.spec.output),
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    if trainer.image_pull_secrets:
        pod["imagePullSecrets"] = [secret.model_dump() for secret in trainer.image_pull_secrets]
    if scheduling:
        pod |= scheduling.model_dump(by_alias=True, exclude_none=True)
    return pod


def _container(obj: BertFinetune, trainer: Trainer, settings: Settings) -> Manifest:
    device = accelerator.ACCELERATORS[obj.spec.accelerator.type]
    resources = trainer.resources.model_dump(exclude_none=True) if trainer.resources else {}
    if device.limits:
        resources["limits"] = resources.get("limits", {}) | device.limits
    env = [variable.model_dump() for variable in trainer.env or []]
    env += [{"name": name, "value": value} for name, value in accelerator.environment(device, obj.metadata.uid).items()]
    container: Manifest = {
        "name": contract.CONTAINER_NAME,
        "image": trainer.image or settings.trainer_image(obj.spec.accelerator.type),
        "args": [f"--{flag}={value}" for flag, value in trainer_flags(obj).items()],
        "env": env,
        "ports": [{"name": contract.METRICS_PORT_NAME, "containerPort": contract.METRICS_PORT}],
        "resources": resources,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": contract.TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            _mount("model", contract.MODEL_PATH, obj.spec.model.source, read_only=True),
            _mount("data", contract.DATA_PATH, obj.spec.data.source, read_only=True),
            _mount("output", contract.OUTPUT_PATH, obj.spec.output, read_only=False),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # a path in the container
        ],
    }
    if trainer.image_pull_policy:
        container["imagePullPolicy"] = trainer.image_pull_policy
    return container


def trainer_flags(obj: BertFinetune) -> dict[str, str]:
    """The trainer's command line: every flag of the contract, in its order, with its value."""
    meta, training = obj.metadata, obj.spec.training
    values = {
        "task_name": obj.spec.task,
        "data_path": contract.DATA_PATH,
        "model_path": contract.MODEL_PATH,
        "output_dir": f"{contract.OUTPUT_PATH}/{naming.output_folder(meta.namespace, meta.name, meta.uid)}",
        "model_name": obj.spec.model.name,
        "keep_checkpoint_max": obj.spec.output.keep_checkpoint_max,
        "export_saved_model": str(obj.spec.output.export_saved_model).lower(),
        "device": accelerator.ACCELERATORS[obj.spec.accelerator.type].device,
        "run_id": meta.uid,
        "metrics_port": contract.METRICS_PORT,
        "termination_log": contract.TERMINATION_LOG,
    } | training.model_dump()
    return {flag: str(values[flag]) for flag in contract.FLAGS}


def _volume(name: str, source: Source) -> Manifest:
    volume: Manifest = {"name": name}
    if source.claim:
        volume["persistentVolumeClaim"] = {"claimName": source.claim.claim_name}
    if source.host_path:
        volume["hostPath"] = {"path": source.host_path.path, "type": "Directory"}
    return volume


def _mount(name: str, path: str, source: Source, *, read_only: bool) -> Manifest:
    mount: Manifest = {"name": name, "mountPath": path}
    if read_only:
        mount["readOnly"] = True
    if source.claim and source.claim.sub_path:
        mount["subPath"] = source.claim.sub_path
    return mount
