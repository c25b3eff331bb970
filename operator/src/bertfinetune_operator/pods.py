"""What a user may say about the pods: a small typed choice, since a whole PodSpec would make a schema of 400 kB."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from bertfinetune_operator.accelerator import RESERVED_ENV, VENDOR
from bertfinetune_operator.model import DnsName, Model, cel, rules


class Toleration(Model):
    """A taint the pods tolerate, as in a pod's spec."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.operator) || self.operator != 'Exists' || !has(self.value) || self.value == ''",
                "operator Exists takes no value: remove value or use operator Equal",
            ),
            cel(
                "has(self.key) && self.key != '' || has(self.operator) && self.operator == 'Exists'",
                "without a key the operator must be Exists: set key, or operator: Exists to tolerate every taint",
            ),
            cel(
                "!has(self.tolerationSeconds) || has(self.effect) && self.effect == 'NoExecute'",
                "tolerationSeconds works with effect NoExecute only: set effect: NoExecute or remove tolerationSeconds",
            ),
        )
    )

    key: Annotated[str | None, Field(max_length=317)] = None
    """Key of the taint. Default: every key, with operator Exists."""
    operator: Literal["Exists", "Equal"] | None = None
    """Exists matches any value, Equal the value given. Default: Equal."""
    value: Annotated[str | None, Field(max_length=63)] = None
    """Value of the taint. Default: empty."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Default: every effect."""
    toleration_seconds: int | None = None
    """Seconds a pod stays on a node after a NoExecute taint appeared. Default: for ever."""


class Scheduling(Model):
    """How the pods are placed."""

    scheduler_name: DnsName | None = None
    """Scheduler that places the pods, for instance volcano. Default: the operator's setting, else the cluster's."""
    queue: DnsName | None = None
    """Queue the run waits in: Volcano's if the scheduler is volcano, else Kueue's LocalQueue. Default: the operator's
    setting, else none."""
    priority_class_name: DnsName | None = None
    """PriorityClass of the pods. Default: the cluster's."""
    node_selector: Annotated[dict[str, Annotated[str, Field(max_length=63)]] | None, Field(max_length=32)] = None
    """Labels a node must have, beside those that the operator's settings ask for. Default: none."""
    tolerations: Annotated[list[Toleration] | None, Field(max_length=32)] = None
    """Taints the pods tolerate. Default: none."""


class EnvVar(Model):
    """An environment variable of the trainer."""

    name: Annotated[str, Field(pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$", max_length=253)]
    """Name. Required."""
    value: Annotated[str, Field(max_length=8192)] = ""
    """Value, taken literally. Default: empty."""


class SecretName(Model):
    """A Secret of the object's own namespace."""

    name: DnsName
    """Name of the Secret. Required."""


QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
QuantityValue = Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=QUANTITY, max_length=32)]
Quantities = Annotated[
    dict[str, QuantityValue],
    Field(
        max_length=16,
        json_schema_extra=rules(
            cel(
                f"self.all(name, !name.startsWith('{VENDOR}'))",
                f"cards are set by spec.accelerator.type: remove what begins with {VENDOR}",
            )
        ),
    ),
]


class Resources(Model):
    """Compute resources of the trainer's container, apart from its card."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.requests) || !has(self.limits) || self.requests.all(name, !(name in self.limits) || "
                "quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
                "a request is greater than its limit: lower requests or raise limits",
            )
        )
    )

    requests: Quantities | None = None
    """What the scheduler reserves, for instance cpu: "2", memory: 4Gi. Default: the limits."""
    limits: Quantities | None = None
    """What the container may use. Default: none."""


class Trainer(Model):
    """The trainer's container, where it must differ from the operator's settings."""

    image: Annotated[str | None, Field(pattern=r"^\S+$", max_length=1024)] = None
    """Image. Default: the operator's image for the accelerator type."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled. Default: Kubernetes' rule (Always for :latest, else IfNotPresent)."""
    image_pull_secrets: Annotated[list[SecretName] | None, Field(max_length=16)] = None
    """Secrets with the registry's credentials. Default: the operator's setting, else none."""
    resources: Resources | None = None
    """CPU and memory. Default: none set."""
    env: Annotated[
        list[EnvVar] | None,
        Field(
            max_length=64,
            json_schema_extra=rules(
                cel(
                    f"self.all(e, !(e.name in {list(RESERVED_ENV)}))",
                    f"set by the operator: remove {', '.join(RESERVED_ENV)}",
                )
            )
            | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = None
    """Further environment variables, of the downloads, too. Default: none."""
