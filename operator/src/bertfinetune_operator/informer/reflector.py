"""Keeps the index's Jobs or pods as the API server has them: list once, then watch, and list again after a gap.

After client-go's reflector, which every controller in Go has. kopf could watch these kinds, too, but after a gap in a
watch's history it lists again without telling what is gone (ADR 23).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from bertfinetune_operator.errors import ClusterError, GoneError, RefusedError
from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.source import Source
from bertfinetune_operator.kinds import KINDS, Resource

PAUSE_SECONDS = 0.1
"""Between two looks at a watch: what happens to an object meanwhile is one pass and not several."""

MANY_CHANGES = 20
"""Changes after which there is no pause: so much is waiting that the connection would be held up."""

FIRST_BACKOFF = 1.0
LONGEST_BACKOFF = 30.0
"""Seconds: what fails again and again is tried after 1, 2, 4, ... up to 30 s."""

logger = logging.getLogger(__name__)


class Reflector:
    """Lists and watches one kind in one namespace, or in all for None."""

    def __init__(
        self,
        source: Source,
        informer: Informer,
        resource: Resource,
        namespace: str | None,
        *,
        silence: float,
        hear: Callable[[str], None],
    ) -> None:
        """A watch that is silent for `silence` seconds is begun again.

        `hear` is told the path whenever something arrives on it, a bookmark included.
        """
        self._source = source
        self._informer = informer
        self._resource = resource
        self._namespace = namespace
        self._silence = silence
        self._path = resource.path(namespace)
        self._hear = hear
        self._version = ""
        """The version up to which the index has all changes; "" before the first list, and after a gap."""
        self._failures = 0

    async def run(self) -> NoReturn:
        """Never ends: a namespace that is forbidden or deleted may come back."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except GoneError as error:
                logger.info("%s: listing again: %s", self._path, error)
                self._version = ""
                await asyncio.sleep(FIRST_BACKOFF)  # a server that ends each watch so is not listed without a pause
            except ClusterError as error:
                if isinstance(error, RefusedError):
                    self._hear(self._path)  # what answers is not silent
                    self._informer.refused(self._resource, self._namespace)
                self._failures += 1
                pause = max(error.retry_after, min(FIRST_BACKOFF * 2.0 ** (self._failures - 1), LONGEST_BACKOFF))
                logger.warning("%s: %s; next attempt in %.0f s", self._path, error, pause)
                await asyncio.sleep(pause)

    async def _list(self) -> None:
        listed: set[str] = set()
        async for page in self._source.list_pages(self._resource, self._namespace):
            self._heard()
            for item in page["items"]:
                self._informer.take("ADDED", {"kind": KINDS[self._resource]} | item)
                listed.add(item["metadata"]["uid"])
        version = page["metadata"]["resourceVersion"]
        self._informer.retain(self._resource, self._namespace, listed, int(version))
        self._version = version

    async def _watch(self) -> None:
        """Take what one watch brings, until the API server ends it, which it does after some minutes."""
        watch = self._source.watch(self._resource, self._namespace, self._version, self._silence)
        async for changes in watch:
            self._heard()
            for change in changes:
                if change["type"] != "BOOKMARK":
                    self._informer.take(change["type"], change["object"])
                self._version = change["object"]["metadata"]["resourceVersion"]
            if len(changes) < MANY_CHANGES:
                await asyncio.sleep(PAUSE_SECONDS)

    def _heard(self) -> None:
        self._failures = 0
        self._hear(self._path)
