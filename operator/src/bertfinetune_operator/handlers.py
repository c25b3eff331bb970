"""What kopf watches. A watch event only updates the index and asks for a pass: nothing is decided here.

Low-level `on.event` handlers leave no finalizer and no annotation behind: objects can be deleted without the operator.
"""

from typing import Any

import kopf

from bertfinetune_operator import naming
from bertfinetune_operator.cluster import BERTFINETUNES, JOBS
from bertfinetune_operator.index import Index, Key, key_of
from bertfinetune_operator.queue import WorkQueue

PODS = ("", "v1", "pods")

LIST_CHUNK = 500
"""Objects in one page of an initial list."""


def configure(settings: kopf.OperatorSettings) -> None:
    """The framework's settings: server-side selectors, paged lists, no events and no annotations of its own."""
    for resource in (JOBS, PODS):
        settings.watching.label_selectors[resource] = naming.CHILD_SELECTOR
    settings.watching.chunk_size = LIST_CHUNK
    settings.watching.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.posting.enabled = False
    settings.scanning.disabled = True  # else kopf watches every CRD and namespace


def register(index: Index, queue: WorkQueue[Key]) -> kopf.OperatorRegistry:
    """A registry whose handlers feed `index` and `queue`.

    kopf runs every `index` handler of the initial lists before the first `event` handler, so that no pass ever sees an
    object without the children it has.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=registry)
    def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings)

    def remember(body: kopf.Body, **_: Any) -> None:
        index.put(dict(body))

    def wake(event: kopf.RawEvent, **_: Any) -> None:
        raw = event["object"]
        if event["type"] == "DELETED":
            index.discard(raw)
        if key := key_of(raw):
            queue.add(key)

    for resource in (BERTFINETUNES, JOBS, PODS):
        kopf.index(*resource, id=f"remember-{resource[2]}", registry=registry)(remember)
        kopf.on.event(*resource, id=f"wake-{resource[2]}", registry=registry)(wake)
    return registry
