"""One queue of keys: a key waits in it at most once and is never worked on twice at the same time."""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)

FIRST_BACKOFF = 0.5
LONGEST_BACKOFF = 60.0
"""Seconds: a key that keeps failing is tried again after 0.5, 1, 2, ... up to 60 s."""


class WorkQueue(Generic[KeyT]):
    """A deduplicating queue with back-off, after the work queue of Kubernetes' own controllers (client-go)."""

    def __init__(self, observe_wait: Callable[[float], object] = lambda _: None) -> None:
        """Without keys. `observe_wait` is told of each key how many seconds it waited for its pass."""
        self._observe_wait = observe_wait
        self._ready: asyncio.Queue[KeyT] = asyncio.Queue()
        self._waiting: dict[KeyT, float] = {}
        """Since when."""
        self._working: set[KeyT] = set()
        self._failures: dict[KeyT, int] = {}
        self._timers: dict[KeyT, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: KeyT) -> None:
        """Ask for a pass over `key`; while one is under way, for another one after it."""
        if key in self._waiting:
            return
        self._waiting[key] = time.monotonic()
        if key not in self._working:
            self._ready.put_nowait(key)

    async def get(self) -> KeyT:
        """The next key; finish it with done() or retry()."""
        key = await self._ready.get()
        self._observe_wait(time.monotonic() - self._waiting.pop(key))
        self._working.add(key)
        return key

    def done(self, key: KeyT) -> None:
        """The pass over `key` went well."""
        self._failures.pop(key, None)
        self._release(key)

    def retry(self, key: KeyT, at_least: float = 0.0) -> float:
        """The pass over `key` failed: add it again after the back-off, returned in seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, min(FIRST_BACKOFF * 2.0 ** min(failures - 1, 10), LONGEST_BACKOFF))
        self._release(key)
        self.add_after(key, delay)
        return delay

    def add_after(self, key: KeyT, seconds: float | None) -> None:
        """Ask for a pass over `key` after `seconds`, in place of an earlier such request; None takes that one back."""
        if timer := self._timers.pop(key, None):
            timer.cancel()
        if seconds is not None:  # the event loop's own heap of timers is the one heap of deadlines
            self._timers[key] = asyncio.get_running_loop().call_later(seconds, self._due, key)

    def _due(self, key: KeyT) -> None:
        del self._timers[key]
        self.add(key)

    def _release(self, key: KeyT) -> None:
        self._working.discard(key)
        if key in self._waiting:
            self._ready.put_nowait(key)
