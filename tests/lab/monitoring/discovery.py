"""Kubernetes service discovery for a Prometheus without it: Debian's is built with file and HTTP discovery only.

Targets and their `__meta_kubernetes_` labels are those of Prometheus's role `pod`, so that the chart's relabelling is
used unchanged: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#pod.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PREFIX = "__meta_kubernetes_"
FRESH = 2  # seconds for which an answer of the API server serves all jobs of all servers
Pod = Mapping[str, Any]


def targets(pods: Sequence[Pod], namespaces: Sequence[str] = ()) -> list[dict[str, Any]]:
    """A target for each port that a pod with an address declares, in these namespaces or in all."""
    return [
        {"targets": [f"{pod['status']['podIP']}:{port['containerPort']}"], "labels": _labels(pod, container, port)}
        for pod in pods
        if pod["status"].get("podIP") and (not namespaces or pod["metadata"]["namespace"] in namespaces)
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
    ]


def _labels(pod: Pod, container: Mapping[str, Any], port: Mapping[str, Any]) -> dict[str, str]:
    labels = {
        "namespace": pod["metadata"]["namespace"],
        "pod_name": pod["metadata"]["name"],
        "pod_ip": pod["status"]["podIP"],
        "pod_phase": pod["status"]["phase"],
        "pod_node_name": pod["spec"].get("nodeName", ""),
        "pod_container_name": container["name"],
        "pod_container_port_name": port.get("name", ""),
        "pod_container_port_number": str(port["containerPort"]),
    }
    for kind in ("label", "annotation"):
        for name, value in pod["metadata"].get(f"{kind}s", {}).items():
            key = re.sub(r"\W", "_", name)
            labels |= {f"pod_{kind}_{key}": value, f"pod_{kind}present_{key}": "true"}
    return {PREFIX + name: value for name, value in labels.items()}


@contextmanager
def serve(pods: Callable[[], Sequence[Pod]]) -> Iterator[str]:
    """Answer HTTP discovery from what `pods` returns, until the block ends; namespaces are appended to the URL."""
    known, seen, lock = pods(), time.monotonic(), threading.Lock()

    def recent() -> Sequence[Pod]:
        nonlocal known, seen
        with lock:
            if time.monotonic() - seen > FRESH:
                known, seen = pods(), time.monotonic()
            return known

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(targets(recent(), [name for name in self.path.strip("/").split(",") if name])).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):  # a Prometheus that ends does not wait for its answers
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
