"""Lets passes through while this replica may write, and waits for those under way when it is to stop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Gate:
    """What each pass goes through: closed when this replica stops, and while it may not write."""

    def __init__(self, may_write: Callable[[], bool]) -> None:
        self._may_write = may_write
        self._under_way = 0
        self._idle = asyncio.Event()
        self._closed = False

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Count the block as a pass under way; one that comes too late waits for the end of the process."""
        if self._closed or not self._may_write():
            await asyncio.Event().wait()
        self._under_way += 1
        try:
            yield
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
