"""The kinds that the operator reads and writes, and the shapes in which their objects come and go."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bertfinetune_operator import contract

Object = Mapping[str, Any]
"""An object as the API server stores it."""

Manifest = dict[str, Any]
"""An object, or a part of one, as it is sent to the API server."""


class Resource(NamedTuple):
    """A kind as the API server's paths name it; kopf takes it as the three strings it is."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None = None, *parts: str) -> str:
        """The path of the collection, or of what `parts` name in it."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{namespace}" if namespace else ""
        return "/".join((f"{root}{inside}/{self.plural}", *parts))


BERTFINETUNES = Resource(contract.GROUP, contract.VERSION, contract.PLURAL)
JOBS = Resource("batch", "v1", "jobs")
PODS = Resource("", "v1", "pods")
EVENTS = Resource("events.k8s.io", "v1", "events")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies")
POD_GROUPS = Resource("scheduling.volcano.sh", "v1beta1", "podgroups")

KINDS = {BERTFINETUNES: contract.KIND, JOBS: "Job", PODS: "Pod"}
"""What is watched, and the name of its kind, which the items of a list lack."""
