"""What a run shows of itself while it runs: Prometheus metrics and a progress document, over HTTP."""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, Optional

from bert_trainer import __version__, contract
from bert_trainer.errors import BadConfigError

os.environ["PROMETHEUS_DISABLE_CREATED_SERIES"] = "true"  # read by prometheus_client when it is imported
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, Histogram, generate_latest

STEP_BUCKETS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)  # seconds
GAUGES = {
    contract.METRIC_GLOBAL_STEP: "Training steps taken, those before a restart included.",
    contract.METRIC_STEPS: "Training steps planned.",
    contract.METRIC_LOSS: "Training loss of the last step.",
    contract.METRIC_EXAMPLES_PER_SECOND: "Sentence pairs trained per second.",
    contract.METRIC_EVAL_ACCURACY: "Accuracy on the development set.",
    contract.METRIC_EVAL_F1: "F1 of the positive class on the development set.",
}
UNTIMED_STEPS = 2  # the first steps of a process compile the graph or warm caches


class StepTimes:
    """Mean time and throughput of a process's steps, the first UNTIMED_STEPS left out."""

    def __init__(self) -> None:
        self._seen = self._steps = self._examples = 0
        self._seconds = 0.0

    def add(self, seconds: float, examples: int) -> None:
        self._seen += 1
        if self._seen > UNTIMED_STEPS:
            self._steps, self._examples, self._seconds = (
                self._steps + 1,
                self._examples + examples,
                self._seconds + seconds,
            )

    @property
    def ms_per_step(self) -> Optional[float]:
        """Milliseconds; None until a step counts."""
        return round(1000 * self._seconds / self._steps, 2) if self._steps else None

    @property
    def examples_per_second(self) -> Optional[float]:
        """Sentence pairs per second; None until a step counts."""
        return round(self._examples / self._seconds, 2) if self._steps else None


class Telemetry:
    """The run's state as others see it: written by the training thread, read by HTTP threads."""

    def __init__(self, backend: str, task: str) -> None:
        self.times = StepTimes()
        self.progress: Dict[str, Any] = dict.fromkeys(contract.PROGRESS_KEYS)
        self.progress.update(phase="Preparing", step=0, totalSteps=0, percent=0)
        self.registry = CollectorRegistry()
        self._backend = backend
        self._gauges = {name: Gauge(name, text, ["backend"], registry=self.registry) for name, text in GAUGES.items()}
        duration = Histogram(
            contract.METRIC_STEP_DURATION,
            "Duration of a training step.",
            ["backend"],
            buckets=STEP_BUCKETS,
            registry=self.registry,
        )
        self._duration = duration.labels(backend)
        info = Gauge(
            contract.METRIC_INFO,
            "The running trainer, always 1.",
            ["backend", "task", "version"],
            registry=self.registry,
        )
        info.labels(backend, task, __version__).set(1)

    def enter(self, phase: str) -> None:
        """Notes that the run entered one of contract.PROGRESS_PHASES."""
        self._update(phase=phase)

    def start(self, step: int, total_steps: int) -> None:
        """Notes the steps taken before this process, and those planned in all."""
        self._set(contract.METRIC_STEPS, total_steps)
        self._set(contract.METRIC_GLOBAL_STEP, step)
        self._update(phase="Training", step=step, totalSteps=total_steps, percent=100 * step // total_steps)

    def step(self, step: int, loss: float, seconds: float, examples: int) -> None:
        """Notes a finished training step: its number, its loss, its duration and the sentence pairs in it."""
        self.times.add(seconds, examples)
        self._duration.observe(seconds)
        self._set(contract.METRIC_GLOBAL_STEP, step)
        self._set(contract.METRIC_LOSS, loss)
        ms, rate, total = self.times.ms_per_step, self.times.examples_per_second, self.progress["totalSteps"]
        if rate is not None:
            self._set(contract.METRIC_EXAMPLES_PER_SECOND, rate)
        self._update(
            step=step,
            percent=100 * step // total,
            etaSeconds=None if ms is None else round((total - step) * ms / 1000),
            loss=round(loss, 4),
            msPerStep=ms,
        )

    def evaluated(self, accuracy: float, f1: float) -> None:
        """Notes the scores on the development set."""
        self._set(contract.METRIC_EVAL_ACCURACY, accuracy)
        self._set(contract.METRIC_EVAL_F1, f1)

    def _set(self, gauge: str, value: float) -> None:
        self._gauges[gauge].labels(self._backend).set(value)

    def _update(self, **changes: Any) -> None:
        self.progress = dict(self.progress, **changes)  # replaced as a whole: a reader sees one step's values


def serve(telemetry: Telemetry, port: int) -> ThreadingHTTPServer:
    """Serves the contract's paths on all addresses; raises BadConfigError when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == contract.METRICS_PATH:
                self._answer(CONTENT_TYPE_LATEST, generate_latest(telemetry.registry))
            elif self.path == contract.PROGRESS_PATH:
                self._answer("application/json", json.dumps(telemetry.progress).encode())
            else:
                self.send_error(404, "Try {} or {}".format(contract.METRICS_PATH, contract.PROGRESS_PATH))

        def _answer(self, content_type: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keeps requests out of the training log."""

    try:
        server = ThreadingHTTPServer(("", port), Handler)
    except OSError as reason:
        message = "--metrics_port={}: {}; pass a free port, or 0 for none"
        raise BadConfigError(message.format(port, reason.strerror)) from reason
    threading.Thread(target=server.serve_forever, name="telemetry", daemon=True).start()
    return server
