"""Creates all objects as fast as the API server takes them, and watches until the last one is done."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.bench.operator.api import Api
from lab.bench.operator.objects import DONE, Kind, Raw
from lab.cluster.errors import ClusterError

STALLED_SECONDS = 300.0  # of ten thousand, the first one is done late
SECONDS_BETWEEN_LINES = 10.0  # where the output is no terminal


@dataclass
class Tally:
    """How far the objects are; seconds count from just before the first create."""

    total: int
    start: float = field(default_factory=time.monotonic)
    done: set[str] = field(default_factory=set)
    created_seconds: float = 0.0
    seconds: float = 0.0
    """When the newest of them was done."""

    def note(self, kind: Kind, raw: Raw) -> None:
        """Take a watch event into account; ClusterError if the object went wrong."""
        name, ending = raw["metadata"]["name"], kind.ending(raw)
        if ending not in (None, DONE):
            raise ClusterError(f"{kind.plural} {name}: {ending}")
        if ending == DONE and name not in self.done:
            self.done.add(name)
            self.seconds = time.monotonic() - self.start

    def check_moving(self) -> None:
        """Raise ClusterError where nothing got done for a long time."""
        if time.monotonic() - self.start - self.seconds > STALLED_SECONDS:
            raise ClusterError(f"{len(self.done)} of {self.total} done, and no more for {STALLED_SECONDS:.0f} s")


async def run(kind: Kind, count: int, label: str, check: Callable[[], object]) -> Tally:
    """Create ``count`` objects of a kind and wait until all are done; ``check`` raises where they never will be."""
    async with Api() as api:
        events = api.watch(kind.path)
        await anext(events)
        objects = [kind.make(f"run-{number:05d}") for number in range(count)]
        tally = Tally(count)

        async def create() -> None:
            await api.create_all(kind.path, objects)
            tally.created_seconds = time.monotonic() - tally.start

        async def follow() -> None:
            async for raw in events:
                tally.note(kind, raw)
                if len(tally.done) == count:
                    return

        tasks = [asyncio.create_task(create()), asyncio.create_task(follow())]
        try:
            await _until_finished(tasks, tally, label, check)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await events.aclose()
    return tally


async def _until_finished(
    tasks: list[asyncio.Task[None]], tally: Tally, label: str, check: Callable[[], object]
) -> None:
    """Wait for all tasks and show how far they are; the first one that fails ends the others."""
    terminal = sys.stdout.isatty()
    shown = tally.start
    while not all(task.done() for task in tasks):
        await asyncio.wait(tasks, timeout=0.5, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
        check()
        tally.check_moving()
        now = time.monotonic()
        if terminal or now - shown >= SECONDS_BETWEEN_LINES:
            shown = now
            start, end = ("\r", "") if terminal else ("", "\n")
            print(f"{start}    {label}: {_state(tally, now)}", end=end, flush=True)
    print(f"{chr(13) if terminal else ''}    {label}: {_state(tally, tally.start + tally.seconds)}", flush=True)


def _state(tally: Tally, now: float) -> str:
    return f"{len(tally.done):5d}/{tally.total} done, {now - tally.start:6.1f} s"
