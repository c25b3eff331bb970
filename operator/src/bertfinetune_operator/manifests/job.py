"""The Job of an attempt: a pure function from object, status and settings to manifest."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from bertfinetune_operator import contract, naming
from bertfinetune_operator.api import accelerator
from bertfinetune_operator.api.pods import Metadata, Quantities, Resources, Scheduling, Trainer, times
from bertfinetune_operator.api.spec import BertFinetune, CaBundle, Uri
from bertfinetune_operator.api.status import BertFinetuneStatus
from bertfinetune_operator.kinds import Manifest
from bertfinetune_operator.manifests import volumes
from bertfinetune_operator.manifests.placement import VOLCANO, placement_of
from bertfinetune_operator.manifests.recipe import training_of
from bertfinetune_operator.settings import Settings

TERMINATION_GRACE_SECONDS = 120
"""Time a stopped trainer has to finish its step and save a checkpoint."""

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
    meta, placement = obj.metadata, placement_of(obj.spec, settings)
    own = (obj.spec.trainer or Trainer()).metadata or Metadata()
    labels = settings.trainer_labels | (own.labels or {}) | naming.child_labels(meta.name, meta.uid, status.attempt)
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
    annotations = settings.trainer_annotations | (own.annotations or {})
    pod_annotations = (SCRAPE if settings.scrape_annotations else {}) | annotations
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
        if placement.scheduler_name == VOLCANO:  # its PodGroup of the pods takes its size from the Job
            annotations |= {naming.VOLCANO_GROUP_SIZE: "1"}
            pod_annotations |= {naming.VOLCANO_QUEUE: placement.queue}
        else:  # Kueue sets suspend to false when there is room for the Job, and to true to preempt it
            job_meta["labels"] = labels | {naming.KUEUE_QUEUE: placement.queue}
            spec["suspend"] = True
    if annotations:
        job_meta["annotations"] = annotations
    if pod_annotations:
        template_meta["annotations"] = pod_annotations
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": job_meta, "spec": spec}


def refusal(obj: BertFinetune, settings: Settings) -> str | None:
    """Why this site can make no Job of the object, in a sentence with the remedy: what the CRD cannot know."""
    if cards := _cards_by_hand(obj, settings):
        return f"spec.trainer.resources: remove {', '.join(cards)}, which spec.accelerator.type sets"
    type_ = obj.spec.accelerator.type
    if not _image(obj, settings):
        return (
            f"spec.accelerator.type: the operator has no trainer image for {type_}, "
            f"so set spec.trainer.image, or the chart's value trainer.images.{type_.lower()}"
        )
    return None


def _cards_by_hand(obj: BertFinetune, settings: Settings) -> list[str]:
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
        "securityContext": _pod_security_context(obj, settings),
        "containers": [_container(obj, status, trainer, settings)],
        "volumes": [
            *volumes.volumes(obj),
            {"name": "tmp", "emptyDir": {}},
            *([SHARED_MEMORY] if obj.spec.accelerator.devices_per_worker > 1 else ()),
            *(part.volume() for part in _driver(obj, settings)),
            *(_ca_volume(role, uri.ca_bundle) for role, _, uri in _downloads(obj) if uri.ca_bundle),
        ],
    }
    if fetchers := _fetchers(obj, trainer, settings):
        pod["initContainers"] = fetchers
    if status.avoided_nodes:
        pod["affinity"] = {"nodeAffinity": _away_from(status.avoided_nodes)}
    if secrets := _image_pull_secrets(trainer, settings):
        pod["imagePullSecrets"] = [{"name": name} for name in secrets]
    return pod | placement.model_dump(by_alias=True, exclude_none=True, exclude={"queue"})


def _pod_security_context(obj: BertFinetune, settings: Settings) -> Manifest:
    """The site's; on a card also the groups that may open its device files."""
    context = settings.trainer_pod_security_context
    if not accelerator.ACCELERATORS[obj.spec.accelerator.type].is_ascend or not settings.ascend_device_groups:
        return context
    groups = [*context.get("supplementalGroups", ()), *settings.ascend_device_groups]
    return context | {"supplementalGroups": list(dict.fromkeys(groups))}


def _image_pull_secrets(trainer: Trainer, settings: Settings) -> Iterable[str]:
    if trainer.image_pull_secrets is None:
        return settings.trainer_image_pull_secrets
    return [secret.name for secret in trainer.image_pull_secrets]


def _driver(obj: BertFinetune, settings: Settings) -> Iterable[accelerator.DriverPath]:
    """What the pod itself must mount of its node: the driver, where nothing else does, and the cards' addresses."""
    wanted = obj.spec.accelerator
    if accelerator.ACCELERATORS[wanted.type].is_ascend and settings.ascend_driver == "hostPath":
        yield from accelerator.DRIVER
    if wanted.devices_per_worker > 1 and settings.ascend_card_addresses:  # no container runtime mounts them
        yield accelerator.CARD_ADDRESSES


def _away_from(nodes: list[str]) -> Manifest:
    """Node affinity by name, one in each expression: a preference, since the site may have no other node."""
    fields = [{"key": "metadata.name", "operator": "NotIn", "values": [node]} for node in nodes]
    return {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "preference": {"matchFields": fields}}]}


def _image(obj: BertFinetune, settings: Settings) -> str:
    own = obj.spec.trainer and obj.spec.trainer.image
    return own or settings.trainer_image(obj.spec.accelerator.type)


def _common(obj: BertFinetune, trainer: Trainer, settings: Settings) -> Manifest:
    """What the containers of a pod have in common."""
    container: Manifest = {
        "image": _image(obj, settings),
        "resources": _resources(obj, trainer, settings),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": contract.TERMINATION_LOG,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    if pull_policy := trainer.image_pull_policy or settings.trainer_image_pull_policy:
        container["imagePullPolicy"] = pull_policy
    # a proxy or a CA bundle concerns a download, too
    if env := {variable.name: variable for variable in (*settings.trainer_env, *(trainer.env or ()))}:
        container["env"] = [variable.model_dump() for variable in env.values()]
    return container


def _resources(obj: BertFinetune, trainer: Trainer, settings: Settings) -> Manifest:
    """What the run asks for; of what it does not name, neither as a request nor as a limit, the operator's default."""
    wanted, own = obj.spec.accelerator, trainer.resources or Resources()
    default = settings.trainer_resources(wanted.type)
    named = {*(own.requests or ()), *(own.limits or ())}

    def merged(own: Quantities | None, default: Quantities | None) -> Quantities:
        others = {name: each for name, each in (default or {}).items() if name not in named}
        return {name: times(wanted.devices_per_worker, each) for name, each in others.items()} | (own or {})

    both = {"requests": merged(own.requests, default.requests), "limits": merged(own.limits, default.limits)}
    return {kind: quantities for kind, quantities in both.items() if quantities}


def _downloads(obj: BertFinetune) -> Iterable[tuple[str, str, Uri]]:
    """What is given by URI: its role, the path of its folder, and where it is."""
    sources = (
        ("model", contract.MODEL_PATH, obj.spec.model.source.uri),
        ("data", contract.DATA_PATH, obj.spec.data.source.uri),
    )
    return ((role, path, uri) for role, path, uri in sources if uri)


def _fetchers(obj: BertFinetune, trainer: Trainer, settings: Settings) -> list[Manifest]:
    """The init containers that download what is given by URI."""
    return [_common(obj, trainer, settings) | _fetcher(role, path, uri) for role, path, uri in _downloads(obj)]


def _fetcher(role: str, path: str, uri: Uri) -> Manifest:
    values = {
        "url": uri.url,
        "sha256": uri.sha256,
        "output_dir": path,
        "endpoint_url": uri.endpoint_url,
        "ca_bundle": uri.ca_bundle and _ca_path(uri.ca_bundle),
        "role": role,
        "termination_log": contract.TERMINATION_LOG,
    }
    container: Manifest = {
        "name": f"fetch-{role}",
        "command": ["python3.7", "-m", contract.FETCH_MODULE],
        "args": [f"--{flag}={values[flag]}" for flag in contract.FETCH_FLAGS if values[flag] is not None],
        "volumeMounts": [{"name": role, "mountPath": path}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    if uri.ca_bundle:
        mount = {"name": f"ca-{role}", "mountPath": str(_ca_path(uri.ca_bundle).parent), "readOnly": True}
        container["volumeMounts"].append(mount)
    if uri.secret_name:
        container["envFrom"] = [{"secretRef": {"name": uri.secret_name}}]
    return container


def _ca_path(bundle: CaBundle) -> PurePosixPath:
    """The file of the certificates in the container; it names their origin, as the trainer's messages name the file."""
    return PurePosixPath("/ca", bundle.kind, bundle.name, bundle.key)


def _ca_volume(role: str, bundle: CaBundle) -> Manifest:
    items = [{"key": bundle.key, "path": bundle.key}]
    if bundle.kind == "Secret":
        return {"name": f"ca-{role}", "secret": {"secretName": bundle.name, "items": items}}
    return {"name": f"ca-{role}", "configMap": {"name": bundle.name, "items": items}}


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
        "args": [f"--{flag}={value}" for flag, value in trainer_flags(obj, status).items()],
        "env": common.get("env", []) + env,
        "ports": [{"name": contract.METRICS_PORT_NAME, "containerPort": contract.METRICS_PORT}],
        "volumeMounts": [
            *volumes.mounts(obj),
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # a path in the container
            *([SHARED_MEMORY_MOUNT] if obj.spec.accelerator.devices_per_worker > 1 else ()),
            *(part.mount() for part in _driver(obj, settings)),
        ],
    }


def trainer_flags(obj: BertFinetune, status: BertFinetuneStatus) -> dict[str, str]:
    """The trainer's command line in the attempt of `status`: every flag of the contract, in its order, with its value.

    Flags that older images lack are left out while they say nothing new (contract.LATER_FLAGS).
    """
    meta, trial = obj.metadata, len(status.trials or ())
    training, resume_from = training_of(obj.spec.training, trial).model_dump(), obj.spec.output.resume_from
    if status.gradient_accumulation_steps:
        training["gradient_accumulation_steps"] = status.gradient_accumulation_steps
    values = {
        "task_name": obj.spec.task,
        "data_path": contract.DATA_PATH,
        "model_path": contract.MODEL_PATH,
        "output_dir": f"{contract.OUTPUT_PATH}/{naming.output_folder(meta.namespace, meta.name, meta.uid, trial)}",
        "model_name": obj.spec.model.name,
        "do_lower_case": "" if obj.spec.model.do_lower_case is None else str(obj.spec.model.do_lower_case).lower(),
        "keep_checkpoint_max": obj.spec.output.keep_checkpoint_max,
        "resume_from": "" if trial or not resume_from else f"{contract.OUTPUT_PATH}/{resume_from}",
        "export_saved_model": str(obj.spec.output.export_saved_model).lower(),
        "device": accelerator.ACCELERATORS[obj.spec.accelerator.type].device,
        "devices": obj.spec.accelerator.devices_per_worker,
        "run_id": f"{meta.uid}-{trial}" if trial else meta.uid,
        "metrics_port": contract.METRICS_PORT,
        "termination_log": contract.TERMINATION_LOG,
    } | training
    later = contract.LATER_FLAGS
    return {flag: str(values[flag]) for flag in contract.FLAGS if flag not in later or values[flag] != later[flag]}
