"""The operator's own settings, read once from the environment at the start."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self

from bertfinetune_operator.errors import SettingsError

PREFIX = "BERTFINETUNE_"
NAMESPACE = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _bool(text: str) -> bool:
    try:
        return {"true": True, "false": False}[text.lower()]
    except KeyError:
        raise ValueError("neither true nor false") from None


def _namespaces(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(filter(None, (name.strip() for name in text.split(",")))))
    if wrong := [name for name in names if not NAMESPACE.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} is not the name of a namespace")
    return names


PARSERS: dict[object, Callable[[str], object]] = {
    str: str,
    int: int,
    float: float,
    bool: _bool,
    tuple[str, ...]: _namespaces,
}


@dataclass(frozen=True)
class Settings:
    """Each field is the environment variable BERTFINETUNE_<FIELD IN CAPITALS>."""

    trainer_image_ascend910: str
    """Trainer image for spec.accelerator.type Ascend910."""
    trainer_image_cpu: str
    """Trainer image for spec.accelerator.type CPU."""
    health_port: int = 8080
    """Port of the liveness endpoint /healthz."""
    metrics_port: int = 9090
    """Port of /metrics and of the readiness endpoint /readyz."""
    workers: int = 4
    """Objects reconciled at the same time; a worker mostly waits for the API server."""
    progress_interval: float = 3.0
    """Seconds between two looks at a running trainer's progress."""
    scrape_annotations: bool = False
    """Whether trainer pods carry prometheus.io/scrape annotations, for a Prometheus without PodMonitors."""
    watch_namespaces: tuple[str, ...] = ()
    """Namespaces to serve, separated by commas; none means all of them, which takes rights in the whole cluster."""
    watch_timeout: float = 70.0
    """Seconds without an event or a bookmark (the API server sends one a minute) after which a watch is begun anew.
    After three times as many, /healthz fails."""
    leader_election: bool = False
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
        values: dict[str, object] = {}
        for field in fields(cls):
            variable = PREFIX + field.name.upper()
            if variable in environ:
                values[field.name] = _parse(variable, environ[variable], PARSERS[field.type])
            elif field.default is MISSING:
                raise SettingsError(f"{variable} is not set: set it to the trainer's image")
        settings = cls(**values)  # type: ignore[arg-type]  # each was parsed as its field's type
        if settings.leader_election and not settings.namespace:
            raise SettingsError(f"{PREFIX}NAMESPACE is not set: leader election needs a namespace for its Lease")
        return settings

    def trainer_image(self, accelerator_type: str) -> str:
        """The default trainer image for a value of spec.accelerator.type."""
        return {"Ascend910": self.trainer_image_ascend910, "CPU": self.trainer_image_cpu}[accelerator_type]


def _parse(variable: str, text: str, parse: Callable[[str], object]) -> object:
    try:
        return parse(text)
    except ValueError as error:
        raise SettingsError(f"{variable}={text!r}: {error}") from error
