"""Where kopf hands over an object: each event of a BertFinetune goes to the informer.

A low-level `on.event` handler leaves no finalizer and no annotation behind: objects can be deleted without the
operator. Jobs and pods come by `reflector.py`.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, repeat
from typing import Any

import kopf

from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.source import LIST_CHUNK, WATCH_SECONDS
from bertfinetune_operator.kinds import BERTFINETUNES


class Endless(Iterable[float]):
    """Pauses between attempts, in seconds, that never run out.

    kopf ends the process when its pauses do, and so would serve no namespace because one of several is forbidden.
    """

    def __iter__(self) -> Iterator[float]:
        return chain((1.0, 2.0, 4.0, 8.0, 16.0), repeat(30.0))


def configure(settings: kopf.OperatorSettings, silence: float) -> None:
    """The framework's settings: paged lists, endless patience, no events and no annotations of its own."""
    settings.watching.chunk_size = LIST_CHUNK
    settings.watching.connect_timeout = settings.networking.connect_timeout = 10
    settings.watching.inactivity_timeout = silence
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 60
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = Endless()
    settings.queueing.idle_timeout = 0.1  # else a burst keeps a worker for each of its objects
    settings.posting.enabled = False
    settings.scanning.disabled = True  # else kopf watches every CRD and namespace


def register(informer: Informer, silence: float) -> kopf.OperatorRegistry:
    """A registry of handlers that tell the informer; a watch that is silent for so many seconds is begun again."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=registry)
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings, silence)

    @kopf.on.event(BERTFINETUNES.group, BERTFINETUNES.version, BERTFINETUNES.plural, registry=registry)
    async def bertfinetune(event: kopf.RawEvent, **_: Any) -> None:
        informer.take(event["type"] or "ADDED", dict(event["object"]))

    return registry
