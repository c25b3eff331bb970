"""A network policy of the trainers. Pure."""

from collections.abc import Mapping
from typing import Any

from bertfinetune_operator import naming
from bertfinetune_operator.kinds import Manifest


def network_policy(namespace: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    """The NetworkPolicy of this spec in a namespace. It belongs to no object: other runs there are under it, too."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, "labels": {naming.LABEL_MANAGED_BY: naming.MANAGER}},
        "spec": spec,
    }
