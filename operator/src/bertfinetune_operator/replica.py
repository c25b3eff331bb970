"""One replica of the operator: it stands by until it leads, then watches and writes until it is to stop."""

import asyncio
import gc
import logging
import secrets
import signal
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

import kopf

from bertfinetune_operator.cluster.client import Cluster
from bertfinetune_operator.controller.gate import Gate
from bertfinetune_operator.controller.progress import poll
from bertfinetune_operator.controller.reconciler import Reconciler
from bertfinetune_operator.controller.worker import work
from bertfinetune_operator.election.leader import Leader
from bertfinetune_operator.informer.handlers import register
from bertfinetune_operator.informer.index import Index, Key
from bertfinetune_operator.informer.informer import CHILDREN, Informer
from bertfinetune_operator.informer.reflector import Reflector
from bertfinetune_operator.informer.resync import Resync
from bertfinetune_operator.informer.watches import Watches
from bertfinetune_operator.informer.work_queue import WorkQueue
from bertfinetune_operator.kinds import KINDS
from bertfinetune_operator.settings import Settings
from bertfinetune_operator.telemetry.counters import Metrics
from bertfinetune_operator.telemetry.endpoints import Endpoints

STOP_SECONDS = 5.0
"""How long passes under way may take to end when the process is told to stop."""

YOUNG_OBJECTS = 5_000
"""Objects made before a garbage collection, in place of 700: one watch event is made of hundreds."""

logger = logging.getLogger(__name__)


class Replica:
    """One replica, in three phases: it stands by, leads and stops."""

    def __init__(self, settings: Settings, cluster: Cluster, index: Index, metrics: Metrics) -> None:
        self._settings = settings
        self._cluster = cluster
        self._metrics = metrics
        self._index = index
        self._queue = WorkQueue[Key](metrics.queue_wait.observe)
        self._watches = Watches(KINDS, settings.watch_namespaces, settings.watch_timeout)
        self._informer = Informer(index, self._queue, settings.watch_namespaces)
        self._leader: Leader | None = None
        if settings.leader_election:
            identity = f"{settings.pod_name}_{secrets.token_hex(4)}"
            self._leader = Leader(cluster, settings.namespace, settings.lease_name, identity)
        self._reconciler = Reconciler(index, cluster, settings, metrics, cluster.clock)
        self._gate = Gate(self._leads)
        self._unready = "starting"
        self._told_to_stop = asyncio.Event()
        self._end_kopf = asyncio.Event()
        self._endpoints = Endpoints(metrics.registry, self._watches.failure, lambda: self._unready)
        metrics.queue_depth.set_function(lambda: len(self._queue))
        metrics.leader.set_function(self._leads)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; whichever part fails ends all of them, and Kubernetes starts it again."""
        self._catch_signals()
        await self._endpoints.open(self._settings.health_port, self._settings.metrics_port)
        try:
            await self._cluster.require_crd(self._settings.watch_namespaces)
            await self._stand_by()
            async with asyncio.TaskGroup() as group:
                parts = [] if self._told_to_stop.is_set() else await self._lead(group)
                await self._stop(parts)
        finally:
            await self._endpoints.close()

    async def _stand_by(self) -> None:
        """Wait until this replica holds the lease, or is told to stop."""
        if self._leader is None:
            return
        self._unready = ""  # nothing to wait for: a rollout goes on to the replica that leads
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(wait) for wait in (self._leader.acquire(), self._told_to_stop.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        self._unready = "starting"

    async def _lead(self, group: asyncio.TaskGroup) -> list[asyncio.Task[Any]]:
        """Watch and write until this replica is told to stop; returns what is at work then, apart from kopf."""
        self._watches.start()
        for resource in KINDS:
            age = partial(self._watches.age, resource.plural)
            self._metrics.watch_age.labels(resource.plural).set_function(age)
        # before kopf, which at its end waits for all tasks that began after it
        parts = [group.create_task(part) for part in self._parts()]
        group.create_task(self._run_kopf())
        await self._told_to_stop.wait()
        return parts

    async def _stop(self, parts: list[asyncio.Task[Any]]) -> None:
        """Let passes under way end, end all parts, give the lease back, and end kopf last: it takes its time."""
        self._unready = "stopping"
        if not await self._gate.close(STOP_SECONDS):
            logger.warning("a pass did not end within %.0f s and is broken off", STOP_SECONDS)
        for part in parts:
            part.cancel()
        await asyncio.gather(*parts, return_exceptions=True)  # nothing is written or renewed from here on
        if self._leader:
            await self._leader.release()  # also while standing by: it may have been taken at this very moment
        await self._endpoints.close()
        self._end_kopf.set()

    def _parts(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What is at work beside kopf while this replica leads."""
        yield self._become_ready()
        if self._leader:
            yield self._leader.hold()
        for _ in range(self._settings.workers):
            yield work(self._queue, self._gate, self._reconciler, self._metrics)
        yield poll(self._index, self._informer.wake, self._cluster.clock, self._settings.progress_interval)
        silence, hear = self._settings.watch_timeout, self._watches.hear
        for where in self._settings.watch_namespaces or (None,):
            for resource in CHILDREN:
                yield Reflector(self._cluster, self._informer, resource, where, silence=silence, hear=hear).run()
            yield Resync(self._cluster, self._index, self._informer, where, hear=hear).run(silence)

    async def _become_ready(self) -> None:
        await self._informer.ready.wait()
        self._unready = ""

    async def _run_kopf(self) -> None:
        """Let kopf watch BertFinetunes until it is to end; where it ends of its own accord, this replica stops."""
        earlier = asyncio.all_tasks()
        namespaces = self._settings.watch_namespaces
        tasks = await kopf.spawn_tasks(
            registry=register(self._informer, self._settings.watch_timeout),
            clusterwide=not namespaces,
            namespaces=namespaces,
            standalone=True,
            stop_flag=self._end_kopf,
        )
        self._catch_signals()  # kopf has just taken them, and cannot be told not to
        await kopf.run_tasks(tasks, ignored=earlier)
        self._told_to_stop.set()

    def _leads(self) -> bool:
        return self._leader.leads() if self._leader else True

    def _catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._told_to_stop.set)


async def run(settings: Settings) -> None:
    """Connect and run."""
    gc.freeze()  # modules and models stay until the end: no collection need look at them again
    gc.set_threshold(YOUNG_OBJECTS)
    index = Index()
    metrics = Metrics(index)
    cluster = await Cluster.connect(metrics)
    try:
        await Replica(settings, cluster, index, metrics).run()
    finally:
        await cluster.close()
