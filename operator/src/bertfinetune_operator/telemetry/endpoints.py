"""The process's HTTP endpoints: whether it is alive and ready, and its metrics."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics


class Endpoints:
    """The process's HTTP servers: /healthz on one port, /readyz and /metrics on the other."""

    def __init__(self, registry: CollectorRegistry, dead: Callable[[], str], unready: Callable[[], str]) -> None:
        self._health = _runner({"/healthz": _probe(dead)})
        self._metrics = _runner({"/readyz": _probe(unready), "/metrics": _scrape(registry)})

    async def open(self, health_port: int, metrics_port: int) -> None:
        """Answer on all addresses."""
        for runner, port in ((self._health, health_port), (self._metrics, metrics_port)):
            await runner.setup()
            await web.TCPSite(runner, None, port).start()

    async def close(self) -> None:
        """Answer nobody any more; may be called again."""
        for runner in (self._health, self._metrics):
            await runner.cleanup()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _probe(failure: Callable[[], str]) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        text = failure()
        return web.Response(status=503 if text else 200, text=f"{text or 'ok'}\n")

    return answer


def _scrape(registry: CollectorRegistry) -> Handler:
    """The metrics, as text or OpenMetrics, made on a thread: thousands of objects would keep the event loop busy."""

    async def answer(request: web.Request) -> web.Response:
        if "application/openmetrics-text" in request.headers.get(hdrs.ACCEPT, ""):
            # our names need no escaping, and to look for that at each letter takes the library a third of its time
            encode, content_type = (
                partial(openmetrics.generate_latest, escaping=openmetrics.ALLOWUTF8),
                openmetrics.CONTENT_TYPE_LATEST,
            )
        else:
            encode, content_type = partial(exposition.generate_latest), exposition.CONTENT_TYPE_PLAIN_0_0_4
        body = await asyncio.to_thread(encode, registry)
        response = web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})
        response.enable_compression()
        return response

    return answer


def _runner(handlers: dict[str, Handler]) -> web.AppRunner:
    app = web.Application()
    app.add_routes([web.get(path, handler) for path, handler in handlers.items()])
    return web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
