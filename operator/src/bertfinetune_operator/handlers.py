"""What kopf watches. A watch event only updates the index and asks for a pass: nothing is decided here.

Low-level `on.event` handlers leave no finalizer and no annotation behind: objects can be deleted without the operator.
"""

import functools
from collections.abc import Sequence
from typing import Any

import aiohttp
import kopf
from aiohttp import ClientMiddlewareType
from kopf._core.reactor import inventory  # the type of a public parameter, which kopf does not export

from bertfinetune_operator import naming
from bertfinetune_operator.cluster import BERTFINETUNES, JOBS, PODS
from bertfinetune_operator.index import Index, Key, key_of
from bertfinetune_operator.queue import WorkQueue

WATCHED = (BERTFINETUNES, JOBS, PODS)

LIST_CHUNK = 100
"""Objects in one page of a list: a page is in memory as a whole, twice, and a pod is a large document."""

WORKER_SECONDS = 0.1
"""How long kopf keeps a worker for an object without events: a handler here takes no time, and a task takes memory."""

SERVER_TIMEOUT = 300
"""Seconds after which the API server ends a watch and kopf resumes it where it was: no connection lives for ever."""


def configure(settings: kopf.OperatorSettings, watch_timeout: float) -> None:
    """The framework's settings: server-side selectors, paged lists, no events and no annotations of its own."""
    for resource in (JOBS, PODS):
        settings.watching.label_selectors[resource] = naming.CHILD_SELECTOR
    settings.watching.chunk_size = LIST_CHUNK
    settings.watching.connect_timeout = settings.networking.connect_timeout = 10
    settings.watching.inactivity_timeout = watch_timeout
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.client_timeout = SERVER_TIMEOUT + 60
    settings.networking.request_timeout = 30
    settings.queueing.idle_timeout = WORKER_SECONDS
    settings.persistence.diffbase_storage = NoDiffs()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # else kopf watches every CRD and namespace


class NoDiffs(kopf.DiffBaseStorage):
    """No last-handled state: kopf would copy each object for it at each event, although nobody asks for differences."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


class NoMemories(inventory.ResourceMemories):
    """No memory of an object between its events: kopf would keep one for its daemons, timers, retries and indices."""

    async def recall(self, raw_body: kopf.RawBody, **options: Any) -> inventory.ResourceMemory:
        return await super().recall(raw_body, **(options | {"ephemeral": True}))


def register(
    index: Index, queue: WorkQueue[Key], listeners: Sequence[ClientMiddlewareType], watch_timeout: float
) -> kopf.OperatorRegistry:
    """A registry whose handlers feed `index` and `queue`, with a connection that `listeners` listen to."""
    registry = kopf.OperatorRegistry()

    @functools.cache  # the same credentials are the same session, which kopf does not try again once it was refused
    def connect(credentials: kopf.ConnectionInfo) -> kopf.AiohttpSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=credentials.as_ssl_context()),
            headers=credentials.as_http_headers(),
            proxy=credentials.proxy_url,
            middlewares=listeners,
        )
        return kopf.AiohttpSession(
            server=credentials.server, default_namespace=credentials.default_namespace, aiohttp_session=session
        )

    @kopf.on.login(registry=registry)
    async def login(**kwargs: Any) -> kopf.AiohttpSession | None:
        credentials = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
        return connect(credentials) if credentials else None

    @kopf.on.startup(registry=registry)
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings, watch_timeout)

    # a coroutine: kopf runs plain functions on threads, and index and queue belong to the event loop
    async def wake(event: kopf.RawEvent, **_: Any) -> None:
        raw = event["object"]
        if event["type"] == "DELETED":
            index.discard(raw)
        elif event["type"] is not None and not index.put(raw):
            return  # what the operator wrote itself, or what nobody reads
        if key := key_of(raw):
            queue.add(key)

    for resource in WATCHED:
        kopf.on.event(*resource, id=f"wake-{resource.plural}", registry=registry)(wake)
    return registry
