"""The operator's process against a real API server. Pods are placed nowhere; the test plays kubelet and trainer."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from bertfinetune_operator import contract
from golden import builders as make

pytestmark = pytest.mark.cluster

Raw = dict[str, Any]
Kubectl = Callable[..., subprocess.CompletedProcess[str]]
CRD = Path(__file__).parents[2] / "crds" / "bertfinetunes.bertfinetune.dev.yaml"
TRAINER_IP = "127.0.0.9"
RESULT = {
    "outcome": "Succeeded",
    "accuracy": 0.8627,
    "f1": 0.9,
    "collapsed": False,
    "steps": 343,
    "msPerStep": 83.29,
    "checkpoint": "m-343",
}
STARTED = {"startedAt": "2026-01-02T03:00:00Z"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Operator:
    """The operator's process, which may be killed and started again."""

    def __init__(self, kubeconfig: str, log: Path) -> None:
        self.metrics = free_port()
        self._log = log
        self._environ = os.environ | {
            "KUBECONFIG": kubeconfig,
            "BERTFINETUNE_TRAINER_IMAGE_ASCEND910": "trainer:ascend910",
            "BERTFINETUNE_TRAINER_IMAGE_CPU": "trainer:cpu",
            "BERTFINETUNE_HEALTH_PORT": str(free_port()),
            "BERTFINETUNE_METRICS_PORT": str(self.metrics),
            "BERTFINETUNE_PROGRESS_INTERVAL": "0.2",
        }

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with self._log.open("a") as log:
            command = [sys.executable, "-m", "bertfinetune_operator"]
            self.process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)
        until(lambda: self.get("/readyz") is not None, self._log.read_text)

    def stop(self, sign: signal.Signals) -> int:
        """Send it a signal and return its exit code."""
        self.process.send_signal(sign)
        return self.process.wait(30)

    def get(self, path: str) -> str | None:
        """What its HTTP server answers, if it answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}{path}", timeout=2) as answer:
                return str(answer.read().decode())
        except OSError:
            return None


@pytest.fixture(scope="module")
def operator(kubeconfig: str, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    kubectl("apply", "--server-side", "--force-conflicts", f"--filename={CRD}")
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/bertfinetunes.bertfinetune.dev")
    with installed_operators_paused(kubectl):
        process = Operator(kubeconfig, tmp_path_factory.mktemp("operator") / "log")
        process.start()
        yield process
        assert process.stop(signal.SIGTERM) == 0


@contextmanager
def installed_operators_paused(kubectl: Kubectl) -> Iterator[None]:
    """Two operators would contradict each other: only one of them sees the trainer that the test plays."""
    selector = "--selector=app.kubernetes.io/name=bertfinetune-operator"
    found = json.loads(kubectl("get", "deployments", "--all-namespaces", selector, "--output=json").stdout)["items"]
    namespaces = {f"--namespace={deployment['metadata']['namespace']}" for deployment in found}
    for namespace in namespaces:
        kubectl("scale", namespace, "deployment", selector, "--replicas=0")
        kubectl("wait", namespace, "pod", selector, "--for=delete", "--timeout=60s")
    yield
    for namespace in namespaces:
        kubectl("scale", namespace, "deployment", selector, "--replicas=1")


@contextmanager
def trainer(report: Raw) -> Iterator[None]:
    """A trainer that serves `report` as its progress."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(report).encode()
            self.send_response(200 if self.path == contract.PROGRESS_PATH else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((TRAINER_IP, contract.METRICS_PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


def until(condition: Callable[[], bool], explain: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.1)


class Run:
    """One BertFinetune in a namespace of its own."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.kubectl, self.namespace = kubectl, namespace

    def call(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.kubectl(f"--namespace={self.namespace}", *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(self, backoff_limit: int = 3) -> None:
        raw = yaml.safe_load(make.MINIMAL)
        raw["metadata"] = {"name": "minimal"}
        raw["spec"] |= {"scheduling": {"nodeSelector": {"nowhere": "true"}}, "backoffLimit": backoff_limit}
        self.call("create", "--filename=-", stdin=json.dumps(raw))

    def get(self) -> Raw:
        return dict(json.loads(self.call("get", "bertfinetune", "minimal", "--output=json")))

    def items(self, kind: str) -> list[Raw]:
        return list(json.loads(self.call("get", kind, "--output=json"))["items"])

    def becomes(self, **expected: Any) -> Raw:
        """Wait until the status holds all of `expected` and return it."""

        def status() -> Raw:
            return dict(self.get().get("status", {}))

        until(lambda: expected.items() <= status().items(), lambda: f"{expected} expected, {status()} seen")
        return status()

    def pod(self) -> str:
        """The name of the newest pod, once there is one that has not ended."""
        self.becomes(phase="Pending")
        names: list[str] = []

        def found() -> bool:
            names[:] = [p["metadata"]["name"] for p in self.items("pods") if p["status"]["phase"] == "Pending"]
            return bool(names)

        until(found, lambda: "no pod")
        return names[0]

    def report(self, pod: str, phase: str, state: Raw) -> None:
        """Play the kubelet: report the trainer's container in this state."""
        container = {"name": "trainer", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        status = {"phase": phase, "podIP": TRAINER_IP, "containerStatuses": [container]}
        self.call(
            "patch", "pod", pod, "--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}"
        )

    def end(self, pod: str, code: int, message: Raw) -> None:
        ended = STARTED | {"exitCode": code, "finishedAt": "2026-01-02T03:06:12Z", "message": json.dumps(message)}
        self.report(pod, "Failed" if code else "Succeeded", {"terminated": ended})


@pytest.fixture
def run(operator: Operator, kubectl: Kubectl, namespace: str) -> Run:
    assert operator.process.poll() is None
    return Run(kubectl, namespace)


def test_a_run_from_start_to_result_across_restarts(operator: Operator, run: Run) -> None:
    run.create()
    pod = run.pod()
    progress = {"phase": "Training", "step": 143, "totalSteps": 343, "percent": 41, "loss": 0.43, "msPerStep": 83.2}
    with trainer(progress | {"etaSeconds": 17}):
        run.report(pod, "Running", {"running": STARTED})
        status = run.becomes(phase="Running", reason="Training")
        del progress["phase"]
        assert status["progress"] == progress | {"summary": "143/343 (41%)", "etaSeconds": 17}
        row = run.call("get", "bft", "minimal", "--no-headers").split()
        assert row[:5] == ["minimal", "Running", "143/343", "(41%)", "83.2"]

        operator.stop(signal.SIGKILL)
        operator.start()
        time.sleep(1)
        assert run.get()["status"]["phase"] == "Running"
    operator.stop(signal.SIGKILL)
    run.end(pod, 0, RESULT)
    operator.start()

    status = run.becomes(phase="Succeeded", message="accuracy 0.8627, F1 0.9000")
    assert status["progress"]["summary"] == "343/343 (100%)"
    assert status["result"]["checkpoint"] == f"{run.namespace}-minimal-{run.get()['metadata']['uid'][:8]}/m-343"
    run.call("wait", "--for=condition=Succeeded", "bft/minimal", "--timeout=5s")
    assert len(run.items("jobs")) == 1
    series = f'bertfinetune_accuracy{{name="minimal",namespace="{run.namespace}"}} 0.8627'
    until(lambda: series in str(operator.get("/metrics")), lambda: operator.get("/metrics"))

    version = run.get()["metadata"]["resourceVersion"]
    run.call("delete", "pods,jobs", "--all")
    operator.stop(signal.SIGTERM)
    operator.start()
    time.sleep(2)
    after = run.get()
    assert after["metadata"]["resourceVersion"] == version
    assert run.items("jobs") == []
    assert not {"annotations", "finalizers"} & set(after["metadata"])
    reasons = {
        event["reason"] for event in run.items("events.events.k8s.io") if event["regarding"]["kind"] == "BertFinetune"
    }
    assert {"Pending", "Running", "Succeeded"} <= reasons


def test_bad_data_fails_at_once_with_the_trainers_sentence(run: Run) -> None:
    run.create()
    run.end(
        run.pod(),
        contract.EXIT_BAD_DATA,
        {"outcome": "Failed", "class": "BadData", "message": "/data/train.tsv, line 7"},
    )
    status = run.becomes(phase="Failed", reason="BadData", retries=0)
    assert status["message"].endswith("exited 65: /data/train.tsv, line 7")
    assert len(run.items("pods")) == 1


def test_an_interrupted_attempt_is_followed_by_another(run: Run) -> None:
    run.create()
    first = run.pod()
    run.end(first, contract.EXIT_INTERRUPTED, {"outcome": "Failed", "message": "SIGTERM"})
    status = run.becomes(phase="Retrying", reason="Interrupted")
    assert status["lastFailure"]["pod"] == first
    until(lambda: len(run.items("pods")) == 2, lambda: "no second pod", 60)
    assert run.becomes(retries=1)["phase"] == "Retrying"


def test_a_refused_job_is_created_once_the_quota_allows_it(run: Run) -> None:
    run.call("create", "quota", "none", "--hard=count/jobs.batch=0")
    until(lambda: "hard" in run.items("resourcequotas")[0].get("status", {}), lambda: "the quota is not in force")
    run.create()
    status = run.becomes(phase="Pending", reason="JobRefused")
    assert "exceeded quota: none" in status["message"]
    run.call("delete", "quota", "none")
    run.becomes(reason="Unschedulable")  # the Job is there, and so is its pod, which no node takes
    assert len(run.items("jobs")) == 1


def test_somebody_elses_change_at_the_same_time_delays_a_status_only(run: Run) -> None:
    run.create()
    pod = run.pod()
    for number in range(5):
        run.call("label", "bft", "minimal", f"changed={number}", "--overwrite")
        run.report(pod, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": f"attempt {number}"}})
    run.becomes(phase="Pending", reason="ImagePullBackOff", message="attempt 4")


def test_deleting_the_object_leaves_nothing(run: Run) -> None:
    run.create()
    run.pod()
    run.call("delete", "bft", "minimal", "--cascade=foreground", "--timeout=60s")
    assert run.items("jobs") == []
    assert run.items("pods") == []


def test_a_deleted_job_is_created_again(run: Run) -> None:
    run.create()
    run.pod()
    before = run.items("jobs")[0]["metadata"]["uid"]
    run.call("delete", "jobs", "--all")
    until(lambda: [job["metadata"]["uid"] for job in run.items("jobs")] not in ([], [before]), lambda: "no new Job")
