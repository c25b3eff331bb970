"""What the API server has answered, in one value: the checks look at nothing else. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
"""As `kubectl get --output=json` prints it."""

SETTING = "BERTFINETUNE_"
"""Prefix of the environment variables by which the chart tells the operator its values."""
DEFAULTS = {
    "ASCEND_RESOURCE": "huawei.com/Ascend910",
    "ASCEND_DRIVER": "runtime",
    "ASCEND_DEVICE_GROUPS": "1000",
    "ASCEND_CARD_ADDRESSES": "true",
}
"""What the chart tells by default, for a cluster without an operator; the other settings are empty."""


@dataclass(frozen=True)
class Seen:
    """Each field is the answer to one question of gather.py."""

    version: str
    """The API server's, such as v1.34.4."""
    nodes: Sequence[Object]
    workloads: Sequence[Object]
    """Deployments and DaemonSets of all namespaces."""
    crds: Sequence[Object]
    """Those that were asked for and are there."""
    runtime_classes: Sequence[Object]
    storage_classes: Sequence[Object]
    own_crd: Object
    """The one that is beside this program."""
    namespace: str = ""
    """Where runs will be; empty if none was named, and then the rest is, too."""
    namespaces: Sequence[Object] = ()
    """That one, if it is there."""
    claims: Sequence[Object] = ()
    """Its claims."""

    def named(self, kind: str, prefix: str) -> list[Object]:
        """Workloads of a kind whose name begins so."""
        return [w for w in self.workloads if w["kind"] == kind and name_of(w).startswith(prefix)]

    @property
    def operator(self) -> Object | None:
        """The operator's Deployment; of several the one that serves the namespace."""
        found = [w for w in self.workloads if f"{SETTING}ASCEND_RESOURCE" in env(w)]
        return next((w for w in found if not watched(w) or self.namespace in watched(w)), found[0] if found else None)

    def setting(self, name: str) -> str:
        """What the operator was told."""
        default = DEFAULTS.get(name, "")
        return env(self.operator).get(SETTING + name, default) if self.operator else default

    @property
    def nodes_with_cards(self) -> list[Object]:
        return [node for node in self.nodes if self.cards(node)]

    def cards(self, node: Object, part: str = "allocatable") -> dict[str, int]:
        """How many cards, and shares of cards, a node has, by resource."""
        resource = self.setting("ASCEND_RESOURCE")
        counts = {
            name: int(n) for name, n in node["status"].get(part, {}).items() if f"{name}-".startswith(f"{resource}-")
        }
        return {name: count for name, count in counts.items() if count}


def name_of(thing: Object) -> str:
    return str(thing["metadata"]["name"])


def labels(thing: Object) -> Mapping[str, str]:
    found: Mapping[str, str] = thing["metadata"].get("labels", {})
    return found


def env(workload: Object) -> dict[str, str]:
    """The variables of its containers, but for those that come from elsewhere."""
    variables = [variable for container in _containers(workload) for variable in container.get("env", ())]
    return {variable["name"]: variable["value"] for variable in variables if "value" in variable}


def watched(operator: Object) -> list[str]:
    """The namespaces that an operator serves; none means all."""
    return [name for name in env(operator).get(f"{SETTING}WATCH_NAMESPACES", "").split(",") if name]


def command_line(workload: Object) -> list[str]:
    """The words of its containers' commands, also of those that a shell is given in one string."""
    words = [
        word for container in _containers(workload) for part in ("command", "args") for word in container.get(part, ())
    ]
    return " ".join(words).split()


def _containers(workload: Object) -> Sequence[Object]:
    found: Sequence[Object] = workload["spec"]["template"]["spec"]["containers"]
    return found


def fields(schema: Object, path: str = "") -> Iterator[str]:
    """The paths of all fields in an OpenAPI schema."""
    for name, inner in schema.get("properties", {}).items():
        yield path + name
        yield from fields(inner, f"{path}{name}.")
    if "items" in schema:
        yield from fields(schema["items"], path)
