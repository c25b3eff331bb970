"""One replica of the operator: it stands by until it leads, then watches and writes until it is to stop."""

import asyncio
import gc
import logging
import secrets
import signal
from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any, NoReturn

import kopf

from bertfinetune_operator.cluster.client import Cluster
from bertfinetune_operator.controller.gate import GatedReconciler
from bertfinetune_operator.controller.progress import poll
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
    """One replica: stands by until it leads, then watches and writes until it is told to stop or loses the lease."""

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
        self._unready = "starting"
        self._stop = asyncio.Event()
        self._endpoints = Endpoints(metrics.registry, self._watches.failure, lambda: self._unready)
        metrics.queue_depth.set_function(lambda: len(self._queue))
        metrics.leader.set_function(self._leads)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; whichever part fails ends all of them, and Kubernetes starts it again."""
        self._catch_signals()
        await self._endpoints.open(self._settings.health_port, self._settings.metrics_port)
        try:
            await self._cluster.require_crd(self._settings.watch_namespaces)
            async with asyncio.TaskGroup() as group:
                stopped = group.create_task(self._stop.wait())
                leading = group.create_task(self._acquire())
                await asyncio.wait((stopped, leading), return_when=asyncio.FIRST_COMPLETED)
                stopped.cancel()
                leading.cancel()
            if not self._stop.is_set():
                await self._lead()
            elif self._leader:
                await self._leader.release()  # it may have been taken at this very moment
        finally:
            await self._endpoints.close()

    async def _acquire(self) -> None:
        if self._leader:
            self._unready = ""  # nothing to wait for: a rollout goes on to the replica that leads
            await self._leader.acquire()
            self._unready = "starting"

    async def _lead(self) -> None:
        shell = (self._index, self._cluster, self._settings, self._metrics, self._cluster.clock)
        self._watches.start()
        reconciler = GatedReconciler(*shell, may_write=self._leads)
        started, end = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            # before kopf, which at its end waits for all tasks that began after it
            parts = [
                self._become_ready(),
                poll(self._index, self._informer.wake, self._cluster.clock, self._settings.progress_interval),
                *(work(self._queue, reconciler, self._metrics) for _ in range(self._settings.workers)),
                *self._informing(),
            ]
            helpers = [group.create_task(part) for part in parts]
            holding = group.create_task(self._leader.hold()) if self._leader else None
            framework = group.create_task(self._watch(started, end))
            framework.add_done_callback(lambda _: self._stop.set())
            await started.wait()
            self._catch_signals()  # kopf has taken them
            await self._stop.wait()
            self._unready = "stopping"
            if not await reconciler.close(STOP_SECONDS):
                logger.warning("a pass did not end within %.0f s and is broken off", STOP_SECONDS)
            if self._leader and holding:
                holding.cancel()
                await asyncio.wait((holding,))
                await self._leader.release()
            for helper in helpers:
                helper.cancel()
            await self._endpoints.close()
            end.set()

    async def _become_ready(self) -> None:
        await self._informer.ready.wait()
        self._unready = ""

    def _informing(self) -> Iterator[Coroutine[Any, Any, NoReturn]]:
        """What tells the informer of Jobs and pods, and of what kopf does not."""
        silence, hear = self._settings.watch_timeout, self._watches.hear
        for where in self._settings.watch_namespaces or (None,):
            for resource in CHILDREN:
                yield Reflector(self._cluster, self._informer, resource, where, silence=silence, hear=hear).run()
            yield Resync(self._cluster, self._index, self._informer, where, hear=hear).run(silence)

    async def _watch(self, started: asyncio.Event, end: asyncio.Event) -> None:
        namespaces, timeout = self._settings.watch_namespaces, self._settings.watch_timeout
        for resource in KINDS:
            age = partial(self._watches.age, resource.plural)
            self._metrics.watch_age.labels(resource.plural).set_function(age)
        await kopf.operator(
            registry=register(self._informer, timeout),
            clusterwide=not namespaces,
            namespaces=namespaces,
            standalone=True,
            ready_flag=started,
            stop_flag=end,
        )

    def _leads(self) -> bool:
        return self._leader.leads() if self._leader else True

    def _catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)


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
