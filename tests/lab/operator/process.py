"""The operator as a process of its own beside the test, and a way to cut it off from the API server."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(condition: Callable[[], object], explain: Callable[[], object], seconds: float = 30) -> float:
    """Wait for a condition; the seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, explain()
        time.sleep(0.1)
    return time.monotonic() - began


class Answer(NamedTuple):
    """What an HTTP server says; 0 and no text where nobody answers."""

    status: int
    text: str


class Operator:
    """The operator's process, which may be killed and started again. `settings` are BERTFINETUNE_... variables."""

    def __init__(self, kubeconfig: str | Path, log: Path, **settings: str) -> None:
        self.log = log
        self.health, self.metrics = free_port(), free_port()
        self._environ = os.environ | {
            "KUBECONFIG": str(kubeconfig),
            "BERTFINETUNE_TRAINER_IMAGE_ASCEND910": "trainer:ascend910",
            "BERTFINETUNE_TRAINER_IMAGE_CPU": "trainer:cpu",
            "BERTFINETUNE_HEALTH_PORT": str(self.health),
            "BERTFINETUNE_METRICS_PORT": str(self.metrics),
            "BERTFINETUNE_PROGRESS_INTERVAL": "0.2",
            **{f"BERTFINETUNE_{name.upper()}": value for name, value in settings.items()},
        }

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._kill()  # an __exit__ does not follow
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left of it, however the test ended."""
        self._kill()

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self.log.open("a") as log:
            command = [sys.executable, "-m", "bertfinetune_operator"]
            self.process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)
        until(lambda: self.get("/readyz").status == 200, self.log.read_text)

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and return its exit code."""
        self.process.send_signal(sign)
        return self.process.wait(30)

    def get(self, path: str) -> Answer:
        """What one of its HTTP servers answers."""
        port = self.health if path == "/healthz" else self.metrics
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())
        except OSError:
            return Answer(0, "")

    def metric(self, series: str) -> float:
        """The value of a series, written as it is in /metrics; NaN if it is not there."""
        lines = self.get("/metrics").text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{series} ")), float("nan"))

    def leads(self) -> bool:
        return self.metric("bertfinetune_operator_leader") == 1
