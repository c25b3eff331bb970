"""The operator's own settings, read once from the environment at the start."""

import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, Json, TypeAdapter, ValidationError

from bertfinetune_operator import naming
from bertfinetune_operator.api.accelerator import RESERVED_ENV, VIRTUAL_DEVICES
from bertfinetune_operator.api.pods import EnvVar, Resources, Toleration
from bertfinetune_operator.api.spec import MAX_SECONDS
from bertfinetune_operator.errors import SettingsError

PREFIX = "BERTFINETUNE_"

NAMESPACE = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
NAME = "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
RESOURCE = "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"


def _fits(pattern: str, otherwise: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} is {otherwise}")
        return text

    return AfterValidator(check)


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))


def _bool(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("neither true nor false")
    return text.lower() == "true"


Bool = Annotated[bool, BeforeValidator(_bool)]
Namespace = Annotated[str, _fits(NAMESPACE, "not the name of a namespace: use lower-case letters, digits and -")]
Name = Annotated[str, _fits(NAME, "not the name of an object: use lower-case letters, digits, - and .")]
NameOrNone = Annotated[
    str, _fits(f"({NAME})?", "not a name: use lower-case letters, digits, - and ., or leave it empty")
]
Resource = Annotated[str, _fits(RESOURCE, "no extended resource: write domain/name, such as huawei.com/Ascend910")]
Group = Annotated[int, Field(ge=0, le=2**31 - 1)]
Share = Literal[VIRTUAL_DEVICES]  # type: ignore[valid-type]  # a tuple of literals, known at run time
Labels = Json[dict[str, str]]


def _not_reserved(chosen: dict[str, str]) -> dict[str, str]:
    for key in filter(naming.is_reserved, chosen):
        raise ValueError(
            f"{key} is set by the operator, by Kubernetes, by a scheduler or by a setting of its own: remove it"
        )
    return chosen


def _settable(variables: tuple[EnvVar, ...]) -> tuple[EnvVar, ...]:
    names = [variable.name for variable in variables]
    for name in names:
        if name in RESERVED_ENV:
            raise ValueError(f"{name} is set by the operator: remove it")
        if names.count(name) > 1:
            raise ValueError(f"{name} is given twice: remove one of them")
    return variables


def _without_nulls(chosen: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in chosen.items() if value is not None}


ChosenMetadata = Annotated[Labels, AfterValidator(_not_reserved)]
Tolerations = Json[tuple[Toleration, ...]]
SecondsOrNone = Annotated[
    Annotated[int, Field(ge=0, le=MAX_SECONDS)] | None, BeforeValidator(lambda text: text or None)
]

TRAINER_USER = 65532
TRAINER_POD_SECURITY_CONTEXT: dict[str, Any] = {
    "runAsNonRoot": True,
    "runAsUser": TRAINER_USER,
    "runAsGroup": TRAINER_USER,
    "fsGroup": TRAINER_USER,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""Nobody in particular, as in the images; fsGroup makes volumes that support it writable for its group."""


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable BERTFINETUNE_<FIELD IN CAPITALS>; lists have commas, maps are JSON."""

    trainer_image_ascend910: str
    """Trainer image for spec.accelerator.type Ascend910."""
    trainer_image_cpu: str = ""
    """Trainer image for spec.accelerator.type CPU; empty where the site has none."""
    trainer_image_pull_secrets: Annotated[tuple[Name, ...], BeforeValidator(_split)] = ()
    """Secrets with which images are pulled where spec.trainer.imagePullSecrets is not set, in the run's namespace."""
    trainer_image_pull_policy: Literal["Always", "IfNotPresent", "Never", ""] = ""
    """When images are pulled where spec.trainer.imagePullPolicy is not set; empty means Kubernetes' rule."""
    trainer_node_selector_ascend910: Labels = field(default_factory=dict)
    """Labels a node must have for Ascend910; what spec.scheduling.nodeSelector says of the same label wins."""
    trainer_node_selector_cpu: Labels = field(default_factory=dict)
    """The same for CPU."""
    trainer_tolerations_ascend910: Tolerations = ()
    """Taints that Ascend910 runs tolerate, beside those of spec.scheduling.tolerations."""
    trainer_tolerations_cpu: Tolerations = ()
    """The same for CPU."""
    trainer_priority_class_name: NameOrNone = ""
    """PriorityClass of runs whose spec.scheduling.priorityClassName is not set; empty means the cluster's default."""
    trainer_env: Annotated[Json[tuple[EnvVar, ...]], AfterValidator(_settable)] = ()
    """Environment variables of the runs; one of the same name in spec.trainer.env wins."""
    trainer_ttl_seconds_after_finished: SecondsOrNone = None
    """Seconds after the end until Jobs and pods are deleted where spec.ttlSecondsAfterFinished is not set; empty means
    that they are kept."""
    trainer_labels: ChosenMetadata = field(default_factory=dict)
    """Labels of the runs' Jobs and pods; what spec.trainer.metadata.labels says of the same key wins."""
    trainer_annotations: ChosenMetadata = field(default_factory=dict)
    """The same, of annotations."""
    trainer_pod_security_context: Annotated[Json[dict[str, Any]], AfterValidator(_without_nulls)] = field(
        default_factory=TRAINER_POD_SECURITY_CONTEXT.copy
    )
    """Security context of the runs' pods; user and group are left out where the cluster chooses them."""
    trainer_resources_ascend910: Json[Resources] = field(default_factory=Resources)
    """CPU and memory for each card of a run or its share, but for what spec.trainer.resources names."""
    trainer_resources_cpu: Json[Resources] = field(default_factory=Resources)
    """The same for CPU, for the run."""
    ascend_resource: Resource = "huawei.com/Ascend910"
    """Extended resource of a card."""
    ascend_virtual_devices: Json[dict[Share, Resource]] = field(default_factory=dict)
    """Extended resources of shares of a card, where they are not <ascend_resource>-<share>."""
    ascend_driver: Literal["runtime", "hostPath"] = "runtime"
    """Who mounts the Ascend driver: the container runtime, or the pod itself by hostPath volumes."""
    ascend_runtime_class_name: NameOrNone = ""
    """RuntimeClass of Ascend runs whose spec.scheduling.runtimeClassName is not set; empty means none."""
    ascend_device_groups: Annotated[tuple[Group, ...], BeforeValidator(_split)] = (1000,)
    """Groups, by their numbers on the nodes, of which the trainer must be a member to open a card's device files."""
    ascend_card_addresses: Bool = True
    """Whether a run on several cards mounts /etc/hccn.conf of its node, which holds the addresses for HCCL."""
    default_scheduler_name: NameOrNone = ""
    """Scheduler of runs whose spec.scheduling.schedulerName is not set; empty means the cluster's."""
    default_queue: NameOrNone = ""
    """Queue of runs whose spec.scheduling.queue is not set: Volcano's if default_scheduler_name is volcano, else
    Kueue's."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe messages that are logged; debug has every request to the API server."""
    log_format: Literal["json", "text"] = "json"
    """A JSON object or a line of text for each message."""
    health_port: int = 8080
    """Port of the liveness endpoint /healthz."""
    metrics_port: int = 9090
    """Port of /metrics and of the readiness endpoint /readyz."""
    workers: int = 4
    """Objects reconciled at the same time; a worker mostly waits for the API server."""
    progress_interval: float = 3.0
    """Seconds between two looks at a running trainer's progress."""
    scrape_annotations: Bool = False
    """Whether trainer pods carry prometheus.io/scrape annotations, for a Prometheus without PodMonitors."""
    trainer_network_policies: Json[dict[Name, dict[str, Any]]] = field(default_factory=dict)
    """Specs of NetworkPolicies, by name, to apply in each namespace where a Job is created. Set by the chart."""
    watch_namespaces: Annotated[tuple[Namespace, ...], BeforeValidator(_split)] = ()
    """Namespaces to serve; none means all of them, which takes rights in the whole cluster."""
    watch_timeout: float = 70.0
    """Seconds without an event or a bookmark (the API server sends one a minute) after which a watch is begun anew.
    After three times as many, /healthz fails."""
    leader_election: Bool = False
    """Whether several replicas run, of which one leads and the others stand by. Set by the chart."""
    namespace: str = ""
    """Namespace of the Lease by which they elect the leader."""
    lease_name: str = "bertfinetune-operator"
    """Name of that Lease."""
    pod_name: str = "bertfinetune-operator"
    """Who this replica is in the Lease; a random suffix tells it from its predecessors."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; raise SettingsError naming the variable that is missing or cannot be read."""
        values: dict[str, Any] = {}
        for setting in fields(cls):
            variable = PREFIX + setting.name.upper()
            if variable in environ:
                values[setting.name] = _parse(variable, environ[variable], setting.type)
            elif setting.default is MISSING and setting.default_factory is MISSING:
                raise SettingsError(f"{variable} is not set: set it to the trainer's image")
        settings = cls(**values)
        if settings.leader_election and not settings.namespace:
            raise SettingsError(f"{PREFIX}NAMESPACE is not set: leader election needs a namespace for its Lease")
        return settings

    def trainer_image(self, accelerator_type: str) -> str:
        """The default trainer image for a value of spec.accelerator.type, or ""."""
        return {"Ascend910": self.trainer_image_ascend910, "CPU": self.trainer_image_cpu}[accelerator_type]

    def trainer_node_selector(self, accelerator_type: str) -> dict[str, str]:
        """The labels that a node must have for a value of spec.accelerator.type."""
        selectors = {"Ascend910": self.trainer_node_selector_ascend910, "CPU": self.trainer_node_selector_cpu}
        return selectors[accelerator_type]

    def trainer_tolerations(self, accelerator_type: str) -> tuple[Toleration, ...]:
        """The taints that a run with a value of spec.accelerator.type tolerates."""
        tolerations = {"Ascend910": self.trainer_tolerations_ascend910, "CPU": self.trainer_tolerations_cpu}
        return tolerations[accelerator_type]

    def trainer_resources(self, accelerator_type: str) -> Resources:
        """The default CPU and memory for a value of spec.accelerator.type."""
        return {"Ascend910": self.trainer_resources_ascend910, "CPU": self.trainer_resources_cpu}[accelerator_type]

    def card(self, share: str | None = None) -> str:
        """The extended resource of a card, or of a share of one (spec.accelerator.virtualDevice)."""
        if share is None:
            return self.ascend_resource
        return self.ascend_virtual_devices.get(share, f"{self.ascend_resource}-{share}")

    @property
    def cards(self) -> frozenset[str]:
        """The extended resources of cards and of all their shares."""
        return frozenset(map(self.card, (None, *VIRTUAL_DEVICES)))


def _parse(variable: str, text: str, kind: Any) -> Any:
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        why = "; ".join(part["msg"].removeprefix("Value error, ") for part in error.errors())
        raise SettingsError(f"{variable}={text!r}: {why}") from error
