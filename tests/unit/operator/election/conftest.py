"""The tests of this folder run in an event loop whose clock jumps to the next timer instead of waiting for it."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import looptime


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"looptime": partial(looptime.new_event_loop, noop_cycles=0)}  # nothing here waits for I/O
