"""The operator's process: `python -m bertfinetune_operator`."""

import asyncio
import logging
import sys

import kopf
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from bertfinetune_operator.cluster import Cluster
from bertfinetune_operator.errors import ClusterError, SettingsError
from bertfinetune_operator.handlers import register
from bertfinetune_operator.index import Index, Key
from bertfinetune_operator.metrics import Metrics, ObjectsCollector
from bertfinetune_operator.perform import Reconciler, work
from bertfinetune_operator.progress import poll
from bertfinetune_operator.queue import WorkQueue
from bertfinetune_operator.settings import Settings

logger = logging.getLogger("bertfinetune_operator")


async def serve(metrics: Metrics, ready: asyncio.Event, port: int) -> web.AppRunner:
    """Serve /metrics and /readyz on all addresses; /readyz is 200 once the watches are being set up."""

    async def readyz(_: web.Request) -> web.Response:
        return web.Response(status=200 if ready.is_set() else 503)

    app = web.Application()
    app.add_routes([web.get("/metrics", make_aiohttp_handler(metrics.registry)), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, None, port).start()
    return runner


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; whichever part fails ends all of them, and Kubernetes starts the process again."""
    index, queue, metrics, ready = Index(), WorkQueue[Key](), Metrics(), asyncio.Event()
    metrics.registry.register(ObjectsCollector(index))
    metrics.queue_depth.set_function(lambda: len(queue))
    cluster = await Cluster.connect(metrics)
    await cluster.require_crd()
    server = await serve(metrics, ready, settings.metrics_port)
    reconciler = Reconciler(index, cluster, settings)
    operator = kopf.operator(
        registry=register(index, queue),
        clusterwide=True,
        standalone=True,
        liveness_endpoint=f"http://0.0.0.0:{settings.health_port}/healthz",
        ready_flag=ready,
    )
    try:
        async with asyncio.TaskGroup() as group:
            helpers = [group.create_task(work(queue, reconciler, metrics)) for _ in range(settings.workers)]
            helpers.append(group.create_task(poll(index, queue, settings.progress_interval)))
            await operator
            for helper in helpers:
                helper.cancel()
    finally:
        await server.cleanup()
        await cluster.close()


def main() -> int:
    """Read the settings and run; 0 after a stop signal, 1 with one line on stderr where the cause lies outside."""
    kopf.configure(log_format=kopf.LogFormat.JSON)
    for chatty in ("kopf.objects", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        asyncio.run(run(Settings.from_environ()))
    except (SettingsError, ClusterError) as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
