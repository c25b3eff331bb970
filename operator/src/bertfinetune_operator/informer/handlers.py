"""What kopf watches, and how: the objects themselves are read from its connection (`streams.py`).

Low-level `on.event` handlers leave no finalizer and no annotation behind: objects can be deleted without the operator.
"""

import functools
from typing import Any

import aiohttp
import kopf
from aiohttp import ClientMiddlewareType

from bertfinetune_operator import naming
from bertfinetune_operator.kinds import JOBS, KINDS, PODS

WATCHED = tuple(KINDS)

LIST_CHUNK = 100
"""Objects in one page of a list: a page is in memory as a whole, twice, and a pod is a large document."""

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
    settings.posting.enabled = False
    settings.scanning.disabled = True  # else kopf watches every CRD and namespace


def register(listener: ClientMiddlewareType, watch_timeout: float) -> kopf.OperatorRegistry:
    """A registry that makes kopf watch, by a connection that `listener` listens to."""
    registry = kopf.OperatorRegistry()

    @functools.cache  # the same credentials are the same session, which kopf does not try again once it was refused
    def connect(credentials: kopf.ConnectionInfo) -> kopf.AiohttpSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=credentials.as_ssl_context()),
            headers=credentials.as_http_headers(),
            proxy=credentials.proxy_url,
            middlewares=(listener,),
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

    async def watched(**_: Any) -> None:
        """What makes kopf watch; it gets no objects."""

    for resource in WATCHED:
        kopf.on.event(*resource, id=f"watched-{resource.plural}", registry=registry)(watched)
    return registry
