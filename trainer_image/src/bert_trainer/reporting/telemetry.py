"""What a run shows of itself while it runs: Prometheus metrics and a progress document, over HTTP."""

import contextlib
import errno
import json
import os
import resource
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Type, TypeVar

from bert_trainer import __version__, contract
from bert_trainer.errors import BadConfigError
from bert_trainer.reporting.clock import PHASES, PhaseClock

os.environ["PROMETHEUS_DISABLE_CREATED_SERIES"] = "true"  # read by prometheus_client when it is imported
from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

STEP_BUCKETS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 60.0)  # seconds
GAUGES = {
    contract.METRIC_GLOBAL_STEP: "Training steps taken, those before a restart included.",
    contract.METRIC_STEPS: "Training steps planned.",
    contract.METRIC_LOSS: "Training loss of the last step.",
    contract.METRIC_EXAMPLES_PER_SECOND: "Sentence pairs trained per second.",
    contract.METRIC_LEARNING_RATE: "Learning rate of the last step.",
    contract.METRIC_EPOCH: "Passes over the training set so far.",
    contract.METRIC_EVAL_ACCURACY: "Accuracy on the development set.",
    contract.METRIC_EVAL_F1: "F1 of the positive class on the development set.",
    contract.METRIC_EVAL_MATTHEWS: "Matthews correlation on the development set.",
    contract.METRIC_COLLAPSED: "1 when the last evaluation shows a run that learned nothing, else 0.",
}
# The scores among an evaluation's that have a gauge.
SCORE_GAUGES = {
    "accuracy": contract.METRIC_EVAL_ACCURACY,
    "f1": contract.METRIC_EVAL_F1,
    "matthews": contract.METRIC_EVAL_MATTHEWS,
}
NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)  # of a kernel without IPv6, and of one in which it is turned off
Batch = TypeVar("Batch")
# Of the container, where it has a cgroup of version 2 or of version 1.
PEAK_MEMORY_FILES = (Path("/sys/fs/cgroup/memory.peak"), Path("/sys/fs/cgroup/memory/memory.max_usage_in_bytes"))
UNTIMED_STEPS = 2  # the first steps of a process compile the graph or warm caches


class StepTimes:
    """Mean time and throughput of a run's steps, the first UNTIMED_STEPS of each process left out."""

    def __init__(self) -> None:
        self._untimed = UNTIMED_STEPS
        self._sums = {"steps": 0, "examples": 0, "seconds": 0.0}

    def add(self, seconds: float, examples: int) -> None:
        """Notes a step of this process."""
        if self._untimed:
            self._untimed -= 1
        else:
            self.resume({"steps": 1, "examples": examples, "seconds": seconds})

    def resume(self, sums: Mapping[str, Any]) -> None:
        """Adds what `sums` returned, in an earlier process of the same run."""
        self._sums = {name: value + sums.get(name, 0) for name, value in self._sums.items()}

    @property
    def sums(self) -> Dict[str, Any]:
        """Steps, examples and seconds that count."""
        return dict(self._sums)

    @property
    def ms_per_step(self) -> Optional[float]:
        """Milliseconds; None until a step counts."""
        return round(1000 * self._sums["seconds"] / self._sums["steps"], 2) if self._sums["steps"] else None

    @property
    def examples_per_second(self) -> Optional[float]:
        """Examples per second; None until a step counts."""
        return round(self._sums["examples"] / self._sums["seconds"], 2) if self._sums["steps"] else None


class Telemetry(Collector):
    """The run's state as others see it: written by the training thread, read by HTTP threads."""

    def __init__(self, backend: str, task: str, started: float) -> None:
        """Begins with the phase "import" at the time `started`, by time.monotonic."""
        self.clock = PhaseClock(started)
        self.times = StepTimes()
        self.progress: Dict[str, Any] = dict.fromkeys(contract.PROGRESS_KEYS)
        self.progress.update(phase="Preparing", step=0, totalSteps=0, percent=0, epoch=0.0, evalBatches=0)
        self.registry = CollectorRegistry()
        self._backend = backend
        self._epochs = 0.0
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
        self.registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yields the phases' seconds up to the moment of the scrape, as a collector of prometheus_client does."""
        family = GaugeMetricFamily(
            contract.METRIC_PHASE_SECONDS,
            "Time of the run by phase ({}), that of the processes it resumed included.".format(", ".join(PHASES)),
            labels=["backend", "phase"],
        )
        for phase, seconds in self.clock.seconds().items():
            family.add_metric([self._backend, phase], seconds)
        yield family

    def resume(self, times: Mapping[str, Any]) -> None:
        """Adds what `spent` returned in an earlier process of the same run, {} if that is lost."""
        self.clock.add(times.get("phases", {}))
        self.times.resume(times.get("timed", {}))

    def spent(self) -> Dict[str, Any]:
        """Returns the run's times, for the process that resumes it."""
        return {"phases": self.clock.seconds(), "timed": self.times.sums}

    def enter(self, phase: str) -> None:
        """Notes that the run entered one of contract.PROGRESS_PHASES."""
        self._update(phase=phase)

    def start(self, step: int, total_steps: int, epochs: float) -> None:
        """Notes the steps taken before this process, and the steps and epochs planned in all."""
        self._epochs = epochs
        self._set(contract.METRIC_STEPS, total_steps)
        self._update(phase="Training", totalSteps=total_steps)
        self._reach(step)

    def step(self, step: int, loss: float, seconds: float, examples: int, learning_rate: float) -> None:
        """Notes a finished training step: its number, its loss, its duration and the examples in it."""
        self.times.add(seconds, examples)
        self._duration.observe(seconds, {"step": str(step)})  # which step was that slow
        self._set(contract.METRIC_LOSS, loss)
        self._set(contract.METRIC_LEARNING_RATE, learning_rate)
        if self.times.examples_per_second is not None:
            self._set(contract.METRIC_EXAMPLES_PER_SECOND, self.times.examples_per_second)
        self._reach(step, loss=round(loss, 4))

    @contextlib.contextmanager
    def evaluating(self) -> Iterator[None]:
        """Notes that the block evaluates, and that the run then goes on where it was."""
        before = self.progress["phase"]
        self.enter("Evaluating")
        with self.clock.during("evaluation"):
            yield
        self.enter(before)

    def evaluation_batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yields the batches of an evaluation, and notes each of them once it is there."""
        for batch in batches:
            self._update(evalBatches=self.progress["evalBatches"] + 1)
            yield batch

    def evaluated(self, evaluation: Mapping[str, Any]) -> None:
        """Notes an evaluation on the development set: its scores by name, None where undefined, and "collapsed"."""
        for name, gauge in SCORE_GAUGES.items():
            if evaluation.get(name) is not None:
                self._set(gauge, evaluation[name])
        self._set(contract.METRIC_COLLAPSED, evaluation["collapsed"])
        self._update(collapsed=evaluation["collapsed"])

    def _reach(self, step: int, **changes: Any) -> None:
        total, ms = self.progress["totalSteps"], self.times.ms_per_step
        epoch = round(self._epochs * step / total, 2)
        self._set(contract.METRIC_GLOBAL_STEP, step)
        self._set(contract.METRIC_EPOCH, epoch)
        eta = None if ms is None else round((total - step) * ms / 1000)
        self._update(step=step, percent=100 * step // total, epoch=epoch, etaSeconds=eta, msPerStep=ms, **changes)

    def _set(self, gauge: str, value: float) -> None:
        self._gauges[gauge].labels(self._backend).set(value)

    def _update(self, **changes: Any) -> None:
        self.progress = dict(self.progress, **changes)  # replaced as a whole: a reader sees one step's values


def peak_memory() -> int:
    """Returns the most memory that the container has used, in bytes; without a cgroup of its own, the process."""
    for file in PEAK_MEMORY_FILES:
        with contextlib.suppress(OSError, ValueError):
            return int(file.read_text())
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class DualStackServer(ThreadingHTTPServer):
    """Listens on all addresses, of IPv6 and of IPv4."""

    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)  # HTTPServer's asks the name servers for its own name, for CGI


def listen(port: int, handler: Type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Returns a server on a port of all addresses, those of IPv4 alone on a machine without IPv6; raises OSError."""
    try:
        return DualStackServer(("::", port), handler)
    except OSError as reason:
        if reason.errno not in NO_IPV6:
            raise
    return ThreadingHTTPServer(("", port), handler)


def serve(telemetry: Telemetry, port: int) -> ThreadingHTTPServer:
    """Serves the contract's paths on all addresses; raises BadConfigError when the port is taken."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]  # kubectl --request-timeout adds a query, and so may a Prometheus
            if path == contract.METRICS_PATH:
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(content_type, encode(telemetry.registry))
            elif path == contract.PROGRESS_PATH:
                progress = dict(telemetry.progress, peakMemoryBytes=peak_memory())
                self._answer("application/json", json.dumps(progress).encode())
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
        server = listen(port, Handler)
    except OSError as reason:
        message = "--metrics_port={}: {}; pass a free port, or 0 for none"
        raise BadConfigError(message.format(port, reason.strerror)) from reason
    threading.Thread(target=server.serve_forever, name="telemetry", daemon=True).start()
    return server
