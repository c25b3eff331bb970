"""A run's metrics and progress, served as in a pod."""

import contextlib
import threading
import urllib.error
import urllib.request
from http.server import ThreadingHTTPServer
from typing import Iterator

from bert_trainer.reporting.telemetry import Telemetry, serve


@contextlib.contextmanager
def serving(run: Telemetry) -> Iterator[str]:
    """Serves the run on a free port of the loopback."""
    server = serve(run, 0)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=_end, args=[server], daemon=True).start()  # it takes half a second, which no test waits for


def _end(server: ThreadingHTTPServer) -> None:
    server.shutdown()
    server.server_close()


def fetch(url: str, **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
        return answer.read().decode()
