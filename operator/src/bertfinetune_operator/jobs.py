"""The Job of an attempt: a pure function from object, status and settings to manifest."""

from collections.abc import Iterable
from typing import Any

from bertfinetune_operator import accelerator, contract, naming, scheduling
from bertfinetune_operator.api import BertFinetune, Uri, Volume
from bertfinetune_operator.pods import Scheduling, Trainer
from bertfinetune_operator.recipe import training_of
from bertfinetune_operator.settings import Settings
from bertfinetune_operator.status import BertFinetuneStatus

Manifest = dict[str, Any]

TRAINER_UID = 65532
"""User and group the trainer runs as; fsGroup makes volumes that support it writable for them."""

TERMINATION_GRACE_SECONDS = 120
"""Time a stopped trainer has to finish its step and save a checkpoint."""

KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"
VOLCANO_QUEUE = "scheduling.volcano.sh/queue-name"
VOLCANO_GROUP_SIZE = "scheduling.volcano.sh/group-min-member"

SHARED_MEMORY: Manifest = {"name": "shm", "emptyDir": {"medium": "Memory"}}
SHARED_MEMORY_MOUNT: Manifest = {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108  # a path in the container
"""For HCCL between the processes of a pod, as in Ascend's own manifests: a container runtime gives 64 MiB."""

SCRAPE = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(contract.METRICS_PORT),
    "prometheus.io/path": contract.METRICS_PATH,
}
"""Annotations by which a Prometheus with the customary scrape configuration finds a pod."""


def build_job(obj: BertFinetune, status: BertFinetuneStatus, settings: Settings) -> Manifest:
    """The batch/v1 Job of the attempt that `status` names, owned by `obj`. Equal input gives an equal manifest.

    It has one pod and does not retry failures, since an attempt is one try; it does replace a pod that was disrupted.
    """
    meta, placement = obj.metadata, scheduling.effective(obj.spec, settings)
    labels = naming.child_labels(meta.name, meta.uid, status.attempt)
    owner = {
        "apiVersion": naming.API_VERSION,
        "kind": contract.KIND,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    downloads = {naming.LABEL_DOWNLOADS: "true"} if obj.spec.model.source.uri or obj.spec.data.source.uri else {}
    template_meta: Manifest = {"labels": labels | downloads}
    annotations: dict[str, str] = dict(SCRAPE) if settings.scrape_annotations else {}
    job_meta: Manifest = {
        "name": naming.job_name(meta.name, meta.uid, status.attempt),
        "namespace": meta.namespace,
        "labels": labels,
        "ownerReferences": [owner],
    }
    spec: Manifest = {
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": _pod_failure_policy(),
        "template": {"metadata": template_meta, "spec": _pod_spec(obj, status, settings, placement)},
    }
    if placement.queue:
        if placement.scheduler_name == scheduling.VOLCANO:  # its PodGroup of the pods takes its size from the Job
            job_meta["annotations"] = {VOLCANO_GROUP_SIZE: "1"}
            annotations[VOLCANO_QUEUE] = placement.queue
        else:  # Kueue sets suspend to false when there is room for the Job, and to true to preempt it
            job_meta["labels"] = labels | {KUEUE_QUEUE: placement.queue}
            spec["suspend"] = True
    if annotations:
        template_meta["annotations"] = annotations
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": job_meta, "spec": spec}


def cards_by_hand(obj: BertFinetune, settings: Settings) -> list[str]:
    """The cards that spec.trainer.resources names; the CRD knows only those of huawei.com."""
    resources = obj.spec.trainer and obj.spec.trainer.resources
    named = {*(resources.requests or ()), *(resources.limits or ())} if resources else set()
    return sorted(settings.cards & named)


def _pod_failure_policy() -> Manifest:
    """A failure that the same input would repeat ends the Job; a disruption or a stop on demand is nobody's fault."""
    permanent = {"operator": "In", "values": list(contract.PERMANENT_EXIT_CODES)}
    interrupted = {"operator": "In", "values": [contract.EXIT_INTERRUPTED]}
    return {
        "rules": [
            {"action": "FailJob", "onExitCodes": permanent},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "Ignore", "onExitCodes": interrupted},
        ]
    }


def _pod_spec(obj: BertFinetune, status: BertFinetuneStatus, settings: Settings, placement: Scheduling) -> Manifest:
    trainer = obj.spec.trainer or Trainer()
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
        "containers": [_container(obj, status, trainer, settings)],
        "volumes": [
            _volume("model", obj.spec.model.source),
            _volume("data", obj.spec.data.source),
            _volume("output", obj.spec.output),
            {"name": "tmp", "emptyDir": {}},
            *([SHARED_MEMORY] if obj.spec.accelerator.devices_per_worker > 1 else ()),
            *(part.volume() for part in _driver(obj, settings)),
        ],
    }
    if fetchers := _fetchers(obj, trainer, settings):
        pod["initContainers"] = fetchers
    if status.avoided_nodes:
        pod["affinity"] = {"nodeAffinity": _away_from(status.avoided_nodes)}
    if secrets := _image_pull_secrets(trainer, settings):
        pod["imagePullSecrets"] = [{"name": name} for name in secrets]
    return pod | placement.model_dump(by_alias=True, exclude_none=True, exclude={"queue"})


def _image_pull_secrets(trainer: Trainer, settings: Settings) -> Iterable[str]:
    if trainer.image_pull_secrets is None:
        return settings.trainer_image_pull_secrets
    return [secret.name for secret in trainer.image_pull_secrets]


def _driver(obj: BertFinetune, settings: Settings) -> Iterable[accelerator.DriverPath]:
    """What the pod itself must mount of the Ascend driver; mostly that is done for it."""
    wanted = obj.spec.accelerator
    if not accelerator.ACCELERATORS[wanted.type].is_ascend or settings.ascend_driver != "hostPath":
        return ()
    return (*accelerator.DRIVER, accelerator.CARD_ADDRESSES) if wanted.devices_per_worker > 1 else accelerator.DRIVER


def _away_from(nodes: list[str]) -> Manifest:
    """Node affinity by name, one in each expression: a preference, since the site may have no other node."""
    fields = [{"key": "metadata.name", "operator": "NotIn", "values": [node]} for node in nodes]
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {"matchFields": fields}}]}


def _common(obj: BertFinetune, trainer: Trainer, settings: Settings) -> Manifest:
    """What the containers of a pod have in common."""
    container: Manifest = {
        "image": trainer.image or settings.trainer_image(obj.spec.accelerator.type),
        "resources": trainer.resources.model_dump(exclude_none=True) if trainer.resources else {},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": contract.TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if trainer.image_pull_policy:
        container["imagePullPolicy"] = trainer.image_pull_policy
    if trainer.env:  # a proxy or a CA bundle concerns a download, too
        container["env"] = [variable.model_dump() for variable in trainer.env]
    return container


def _fetchers(obj: BertFinetune, trainer: Trainer, settings: Settings) -> list[Manifest]:
    """The init containers that download what is given by URI."""
    sources = (
        ("model", contract.MODEL_PATH, obj.spec.model.source.uri),
        ("data", contract.DATA_PATH, obj.spec.data.source.uri),
    )
    return [_common(obj, trainer, settings) | _fetcher(role, path, uri) for role, path, uri in sources if uri]


def _fetcher(role: str, path: str, uri: Uri) -> Manifest:
    values = {
        "url": uri.url,
        "sha256": uri.sha256,
        "output_dir": path,
        "endpoint_url": uri.endpoint_url,
        "role": role,
        "termination_log": contract.TERMINATION_LOG,
    }
    container: Manifest = {
        "name": f"fetch-{role}",
        "command": ["python3.7", "-m", contract.FETCH_MODULE],
        "args": [f"--{flag}={values[flag]}" for flag in contract.FETCH_FLAGS if values[flag] is not None],
        "volumeMounts": [{"name": role, "mountPath": path}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    if uri.secret_name:
        container["envFrom"] = [{"secretRef": {"name": uri.secret_name}}]
    return container


def _container(obj: BertFinetune, status: BertFinetuneStatus, trainer: Trainer, settings: Settings) -> Manifest:
    device = accelerator.ACCELERATORS[obj.spec.accelerator.type]
    common = _common(obj, trainer, settings)
    resources = common["resources"]
    if device.is_ascend:  # Kubernetes takes the limit as the request
        card = settings.card(obj.spec.accelerator.virtual_device)
        resources["limits"] = resources.get("limits", {}) | {card: str(obj.spec.accelerator.devices_per_worker)}
    env = [{"name": name, "value": value} for name, value in accelerator.environment(device, obj.metadata.uid).items()]
    return common | {
        "name": contract.CONTAINER_NAME,
        "args": [f"--{flag}={value}" for flag, value in trainer_flags(obj, len(status.trials or ())).items()],
        "env": common.get("env", []) + env,
        "ports": [{"name": contract.METRICS_PORT_NAME, "containerPort": contract.METRICS_PORT}],
        "volumeMounts": [
            _mount("model", contract.MODEL_PATH, obj.spec.model.source, read_only=True),
            _mount("data", contract.DATA_PATH, obj.spec.data.source, read_only=True),
            _mount("output", contract.OUTPUT_PATH, obj.spec.output, read_only=False),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # a path in the container
            *([SHARED_MEMORY_MOUNT] if obj.spec.accelerator.devices_per_worker > 1 else ()),
            *(part.mount() for part in _driver(obj, settings)),
        ],
    }


def trainer_flags(obj: BertFinetune, trial: int) -> dict[str, str]:
    """The trainer's command line in a trial, from 0: every flag of the contract, in its order, with its value.

    One card goes without saying, as images know it that are older than the flag.
    """
    meta, training = obj.metadata, training_of(obj.spec.training, trial)
    values = {
        "task_name": obj.spec.task,
        "data_path": contract.DATA_PATH,
        "model_path": contract.MODEL_PATH,
        "output_dir": f"{contract.OUTPUT_PATH}/{naming.output_folder(meta.namespace, meta.name, meta.uid, trial)}",
        "model_name": obj.spec.model.name,
        "keep_checkpoint_max": obj.spec.output.keep_checkpoint_max,
        "export_saved_model": str(obj.spec.output.export_saved_model).lower(),
        "device": accelerator.ACCELERATORS[obj.spec.accelerator.type].device,
        "devices": obj.spec.accelerator.devices_per_worker,
        "run_id": f"{meta.uid}-{trial}" if trial else meta.uid,
        "metrics_port": contract.METRICS_PORT,
        "termination_log": contract.TERMINATION_LOG,
    } | training.model_dump()
    return {flag: str(values[flag]) for flag in contract.FLAGS if flag != "devices" or values[flag] > 1}


def _volume(name: str, place: Volume) -> Manifest:
    volume: Manifest = {"name": name}
    if place.claim:
        volume["persistentVolumeClaim"] = {"claimName": place.claim.claim_name}
    elif place.host_path:
        volume["hostPath"] = {"path": place.host_path.path, "type": "Directory"}
    else:
        volume["emptyDir"] = {}
    return volume


def _mount(name: str, path: str, place: Volume, *, read_only: bool) -> Manifest:
    mount: Manifest = {"name": name, "mountPath": path}
    if read_only:
        mount["readOnly"] = True
    if place.claim and place.claim.sub_path:
        mount["subPath"] = place.claim.sub_path
    return mount
