"""Compares the index with the BertFinetunes that exist: kopf tells neither what is gone after a gap, nor of silence."""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from bertfinetune_operator.errors import ClusterError, RefusedError
from bertfinetune_operator.informer.index import Index
from bertfinetune_operator.informer.informer import Informer
from bertfinetune_operator.informer.source import Source
from bertfinetune_operator.kinds import BERTFINETUNES

RETRY_SECONDS = 2.0
"""Pause after a look that failed, unless it may not look."""

logger = logging.getLogger(__name__)


class Resync:
    """Lists the metadata of the BertFinetunes in one namespace, or in all for None, again and again."""

    def __init__(
        self,
        source: Source,
        index: Index,
        informer: Informer,
        namespace: str | None,
        *,
        hear: Callable[[str], None],
    ) -> None:
        """`hear` is told the path each time kopf's watch is found to have missed nothing."""
        self._source = source
        self._index = index
        self._informer = informer
        self._namespace = namespace
        self._path = BERTFINETUNES.path(namespace)
        self._hear = hear
        self._newer: dict[str, int] = {}
        """Versions by uid of which kopf had not told at the last look, as it may not yet have."""

    async def run(self, period: float) -> NoReturn:
        """Look every `period` seconds, and soon again after a look that failed."""
        while True:
            pause = period
            try:
                await self.look()
            except ClusterError as error:
                if isinstance(error, RefusedError):
                    self._hear(self._path)  # what answers is not silent
                else:
                    pause = max(error.retry_after, RETRY_SECONDS)
                logger.warning("%s: %s; next attempt in %.0f s", self._path, error, pause)
            await asyncio.sleep(pause)

    async def look(self) -> None:
        """Forget what is gone; and hear that the watch lives if it has brought all that the last look found.

        Raises:
            ClusterError: the list cannot be read.
        """
        listed: dict[str, int] = {}
        async for page in self._source.list_pages(BERTFINETUNES, self._namespace, only_metadata=True):
            listed |= {item["metadata"]["uid"]: int(item["metadata"]["resourceVersion"]) for item in page["items"]}
        self._informer.retain(BERTFINETUNES, self._namespace, set(listed), int(page["metadata"]["resourceVersion"]))
        known = self._index.versions(self._namespace)
        missed = [uid for uid, version in self._newer.items() if uid in listed and known.get(uid, 0) < version]
        self._newer = {uid: version for uid, version in listed.items() if known.get(uid, 0) < version}
        if not missed:
            self._hear(self._path)
