"""What `kubectl describe` tells of an object: its events, and the manifest of each. Pure."""

import hashlib
from datetime import datetime
from typing import Literal, NamedTuple

from bertfinetune_operator import contract, naming
from bertfinetune_operator.kinds import Manifest, Object

MAX_NOTE = 1024
"""Longest note of an event the API server takes, in characters."""


class Event(NamedTuple):
    """A line for `kubectl describe`."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    attempt: int = 0
    """One event a reason and attempt, however often its message changes."""


def event_manifest(obj: Object, event: Event, at: datetime) -> Manifest:
    """An events.k8s.io/v1 Event. Its name follows from what happened in which attempt: it is posted once only."""
    meta, why = obj["metadata"], event.message.partition(":")[0]
    identity = (meta["uid"], str(event.attempt), event.type, event.reason, why)
    digest = hashlib.sha256("/".join(identity).encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{digest}", "namespace": meta["namespace"]},
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{contract.GROUP}/operator",
        "reportingInstance": naming.MANAGER,
        "action": event.reason,
        "reason": event.reason,
        "type": event.type,
        "note": event.message[:MAX_NOTE],
        "regarding": {
            "apiVersion": naming.API_VERSION,
            "kind": contract.KIND,
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
        },
    }
