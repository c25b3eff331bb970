"""Lets passes through while this replica may write, and waits for those under way when it is to stop."""

import asyncio
from collections.abc import Callable
from typing import Any

from bertfinetune_operator.controller.reconciler import Reconciler
from bertfinetune_operator.informer.index import Key


class GatedReconciler(Reconciler):
    """A Reconciler that begins no pass once the gate is closed or the lease has run out."""

    def __init__(self, *arguments: Any, may_write: Callable[[], bool]) -> None:
        super().__init__(*arguments)
        self._may_write = may_write
        self._under_way = 0
        self._idle = asyncio.Event()
        self._closed = False

    async def reconcile(self, key: Key) -> float | None:
        """One pass, as a Reconciler does it; a pass that comes too late waits for the end of the process."""
        if self._closed or not self._may_write():
            await asyncio.Event().wait()
        self._under_way += 1
        try:
            return await super().reconcile(key)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def close(self, seconds: float) -> bool:
        """Begin no more passes and wait for those under way, so long at most; whether all of them ended."""
        self._closed = True
        if self._under_way:
            self._idle.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._idle.wait()
            except TimeoutError:
                return False
        return True
