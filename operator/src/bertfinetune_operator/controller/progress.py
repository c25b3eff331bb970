"""Asks running trainers how far they have come: polled, not pushed, a trainer needs no credentials for the cluster."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_address

import aiohttp

from bertfinetune_operator import contract
from bertfinetune_operator.decision.views import PodView, ProgressView, view_progress
from bertfinetune_operator.informer.index import Index, Key

TIMEOUT = aiohttp.ClientTimeout(total=2.0)
"""A trainer that has not answered by then is asked again in the next round."""

MAX_OPEN = 64
"""Trainers asked at the same time."""

MAX_WRITES_PER_SECOND = 20.0
"""A longer pause between rounds keeps the status patches of all running objects below this."""

MAX_REPORT_BYTES = 4096


async def poll(index: Index, wake: Callable[[Key], None], clock: Callable[[], datetime], interval: float) -> None:
    """Ask every running trainer each `interval` seconds, for ever; a changed report wakes its object."""
    limit = aiohttp.TCPConnector(limit=MAX_OPEN, force_close=True)
    async with aiohttp.ClientSession(connector=limit, timeout=TIMEOUT) as session:

        async def ask(key: Key, pod: PodView) -> None:
            report = await fetch(session, progress_url(pod.ip))
            if report is not None and index.report(key, pod.name, replace(report, heard_at=clock())):
                wake(key)

        while True:
            running = list(index.running())
            async with asyncio.TaskGroup() as group:
                for key, pod in running:
                    group.create_task(ask(key, pod))
            await asyncio.sleep(max(interval, len(running) / MAX_WRITES_PER_SECOND))


def progress_url(pod_ip: str) -> str:
    """Where the trainer in the pod with this address tells its progress."""
    host = f"[{pod_ip}]" if ip_address(pod_ip).version == 6 else pod_ip
    return f"http://{host}:{contract.METRICS_PORT}{contract.PROGRESS_PATH}"


async def fetch(session: aiohttp.ClientSession, url: str) -> ProgressView | None:
    """The progress report at `url`, or None: nobody listens there yet or any more, or what it says is no report."""
    try:
        async with session.get(url, allow_redirects=False) as answer:
            text = await answer.content.read(MAX_REPORT_BYTES)
            report = json.loads(text) if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
    return view_progress(report) if isinstance(report, dict) else None
