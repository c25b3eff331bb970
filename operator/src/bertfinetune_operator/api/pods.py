"""What a user may say about the pods: a small typed choice, since a whole PodSpec would make a schema of 400 kB."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from bertfinetune_operator import naming
from bertfinetune_operator.api.accelerator import RESERVED_ENV
from bertfinetune_operator.api.base import DnsName, Model, cel, rules


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
    """PriorityClass of the pods. Default: the operator's setting, else the cluster's."""
    runtime_class_name: DnsName | None = None
    """RuntimeClass of the pods. Default: with Ascend910 the operator's setting, else none."""
    node_selector: Annotated[dict[str, Annotated[str, Field(max_length=63)]] | None, Field(max_length=32)] = None
    """Labels a node must have, beside those that the operator's settings ask for. Default: none."""
    tolerations: Annotated[list[Toleration] | None, Field(max_length=32)] = None
    """Taints the pods tolerate, beside those of the operator's settings. Default: none."""


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
                f"self.all(name, !name.startsWith('{naming.VENDOR}'))",
                f"cards are set by spec.accelerator.type: remove what begins with {naming.VENDOR}",
            )
        ),
    ),
]


OVERCOMMITTED = ["cpu", "memory", "ephemeral-storage"]
"""What may be requested below its limit; of all else both must be equal, which the API server says of the Job.

Kubernetes 1.31 takes a comparison of any longer list for too costly.
"""


def times(count: int, quantity: int | str) -> int | str:
    """So many times a quantity, in its own unit: 8 times "1.5Gi" are "12Gi"."""
    if isinstance(quantity, int):
        return count * quantity
    number = quantity.rstrip("mkMGTPEi")
    return f"{(count * Decimal(number)).normalize():f}{quantity.removeprefix(number)}"


class Resources(Model):
    """Compute resources of the trainer's container, apart from its card."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            cel(
                "!has(self.requests) || !has(self.limits) || "
                f"{OVERCOMMITTED}.all(name, !(name in self.requests) || !(name in self.limits) || "
                "quantity(string(self.requests[name])).compareTo(quantity(string(self.limits[name]))) <= 0)",
                "a request is greater than its limit: lower requests or raise limits",
            )
        )
    )

    requests: Quantities | None = None
    """What the scheduler reserves, for instance cpu: "2", memory: 4Gi. Default: the limits."""
    limits: Quantities | None = None
    """What the container may use. Default: none."""


QUALIFIED_NAME = "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
LABEL_VALUE = "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"
METADATA_KEYS = rules(
    cel(
        f"self.all(key, key.matches('{QUALIFIED_NAME}'))",
        "a key is [domain/]name, the name of at most 63 letters, digits, '-', '_' and '.': write for instance team or "
        "example.com/team",
    ),
    cel(
        f"self.all(key, !(key in {list(naming.RESERVED_KEYS)}) && "
        + " && ".join(f"!key.startsWith('{prefix}')" for prefix in naming.RESERVED_PREFIXES)
        + ")",
        f"set by the operator, by Kubernetes and by schedulers: remove {', '.join(naming.RESERVED_KEYS)} and what "
        f"begins with {' or '.join(naming.RESERVED_PREFIXES)}",
    ),
    cel(
        f"self.all(key, !(key in {list(naming.QUEUES)}))",
        f"the queue is set by spec.scheduling.queue: use that and remove {' and '.join(naming.QUEUES)}",
    ),
)


class Metadata(Model):
    """Labels and annotations that the cluster's policies, add-ons and bills ask for."""

    labels: Annotated[
        dict[str, Annotated[str, Field(pattern=LABEL_VALUE, max_length=63)]] | None,
        Field(max_length=32, json_schema_extra=METADATA_KEYS),
    ] = None
    """Labels, beside the operator's own and those of its settings. Default: none."""
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=4096)]] | None,
        Field(max_length=32, json_schema_extra=METADATA_KEYS),
    ] = None
    """Annotations, beside those of the operator's settings. Default: none."""


class Trainer(Model):
    """The trainer's container, where it must differ from the operator's settings."""

    image: Annotated[str | None, Field(pattern=r"^\S+$", max_length=1024)] = None
    """Image. Default: the operator's image for the accelerator type."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled. Default: the operator's setting, else Kubernetes' rule (Always for :latest, else
    IfNotPresent)."""
    image_pull_secrets: Annotated[list[SecretName] | None, Field(max_length=16)] = None
    """Secrets with the registry's credentials. Default: the operator's setting, else none."""
    resources: Resources | None = None
    """CPU and memory. Default: the operator's settings, of each that is named neither as a request nor as a limit."""
    metadata: Metadata | None = None
    """Labels and annotations of the run's Jobs and of their pods. Default: the operator's settings, else none."""
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
    """Further environment variables, of the downloads, too. Each replaces the operator's setting of its name.
    Default: none."""
