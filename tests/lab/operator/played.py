"""One BertFinetune on the real API server whose pods no node takes: the test plays kubelet, trainer and queue."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

from bertfinetune_operator import contract
from lab.cluster.kubectl import RunKubectl
from lab.operator.process import until
from support import builders as make

Raw = dict[str, Any]
TRAINER_IP = "127.0.0.9"
STARTED = {"startedAt": "2026-01-02T03:00:00Z"}
RESULT = {
    "outcome": "Succeeded",
    "accuracy": 0.8627,
    "f1": 0.9,
    "collapsed": False,
    "steps": 343,
    "msPerStep": 83.29,
    "checkpoint": "m-343",
}


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

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((TRAINER_IP, contract.METRICS_PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


class Namespace:
    """A namespace as a person with kubectl sees it."""

    def __init__(self, kubectl: RunKubectl, namespace: str) -> None:
        self.kubectl, self.namespace = kubectl, namespace

    def call(self, *arguments: str, stdin: str | None = None) -> str:
        done = self.kubectl(f"--namespace={self.namespace}", *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def items(self, kind: str) -> list[Raw]:
        return list(json.loads(self.call("get", kind, "--output=json"))["items"])


class Run(Namespace):
    """One BertFinetune in a namespace of its own."""

    def create(self, **spec: Any) -> None:
        """Create the object with these fields of its spec."""
        raw = yaml.safe_load(make.MINIMAL)
        raw["metadata"] = {"name": "minimal"}
        scheduling = {"nodeSelector": {"nowhere": "true"}} | spec.pop("scheduling", {})
        raw["spec"] |= {"scheduling": scheduling} | spec
        self.call("create", "--filename=-", stdin=json.dumps(raw))

    def change(self, **spec: Any) -> None:
        """Change fields of its spec."""
        self.patch("bft", "minimal", {"spec": spec})

    def get(self) -> Raw:
        return dict(json.loads(self.call("get", "bertfinetune", "minimal", "--output=json")))

    def patch(self, kind: str, name: str, patch: Raw, *flags: str) -> None:
        self.call("patch", kind, name, "--type=merge", f"--patch={json.dumps(patch)}", *flags)

    def becomes(self, seconds: float = 30, **expected: Any) -> Raw:
        """Wait until the status holds all of `expected` and return it."""

        def status() -> Raw:
            return dict(self.get().get("status", {}))

        until(lambda: expected.items() <= status().items(), lambda: f"{expected} expected, {status()} seen", seconds)
        return status()

    def pod(self, attempt: int = 0) -> str:
        """The name of the newest pod of an attempt, once there is one that waits."""
        names: list[str] = []

        def found() -> bool:
            names[:] = [
                pod["metadata"]["name"]
                for pod in self.items("pods")
                if pod["status"]["phase"] == "Pending"
                and pod["metadata"]["labels"].get("bertfinetune.dev/attempt") == str(attempt)
            ]
            return bool(names)

        until(found, lambda: f"no pod of attempt {attempt}", 60)
        return names[0]

    def report(self, pod: str, phase: str, state: Raw, **status: Any) -> None:
        """Play the kubelet: report the trainer's container in this state."""
        container = {"name": "trainer", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        status |= {"phase": phase, "podIP": TRAINER_IP, "containerStatuses": [container]}
        self.patch("pod", pod, {"status": status}, "--subresource=status")

    def end(self, pod: str, code: int, message: Raw, reason: str = "Error", **status: Any) -> None:
        """Play the kubelet: report that the trainer has ended."""
        ended = {"exitCode": code, "reason": reason, "finishedAt": "2026-01-02T03:06:12Z"}
        state = {"terminated": STARTED | ended | {"message": json.dumps(message)}}
        self.report(pod, "Failed" if code else "Succeeded", state, **status)

    def events(self) -> list[tuple[str, str]]:
        """Reason and note of the object's events."""
        return [
            (event["reason"], event["note"])
            for event in self.items("events.events.k8s.io")
            if event["regarding"]["kind"] == contract.KIND
        ]
