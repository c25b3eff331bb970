"""A mutating webhook that puts a container beside the trainer, as Istio's and Vault's injectors do."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme

from lab.cluster.kubectl import Kubectl

NAME = "sidecar-injector"
NATIVE = "sidecar-native"
"""The run whose sidecar is of Kubernetes' own kind; those of the others are ordinary containers."""
UNTIL_ASKED = 'trap "exit 0" TERM; sleep infinity & wait'


def injection(pod: dict[str, Any]) -> list[dict[str, Any]]:
    """The JSON patch: a container that never ends by itself, of an image that the node has."""
    trainer = pod["spec"]["containers"][0]
    sidecar = {
        "name": "proxy",
        "image": trainer["image"],
        "command": ["sleep", "infinity"],
        "securityContext": trainer["securityContext"],
    }
    if pod["metadata"]["labels"]["app.kubernetes.io/instance"] != NATIVE:
        return [{"op": "add", "path": "/spec/containers/-", "value": sidecar}]
    native = sidecar | {"command": ["sh", "-c", UNTIL_ASKED], "restartPolicy": "Always"}
    return [{"op": "add", "path": "/spec/initContainers", "value": [native]}]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        patch = base64.b64encode(json.dumps(injection(request["object"])).encode()).decode()
        review["response"] = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def injecting(kubectl: Kubectl, namespace: str, names: list[str]) -> Iterator[None]:
    """Pods of these runs get a sidecar."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        kubectl.apply(json.dumps(_configuration(authority, server.server_port, namespace, names)))
        try:
            yield
        finally:
            kubectl.run("delete", "mutatingwebhookconfiguration", NAME)
            server.shutdown()


def _configuration(authority: trustme.CA, port: int, namespace: str, names: list[str]) -> dict[str, Any]:
    bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
    instances = {"key": "app.kubernetes.io/instance", "operator": "In", "values": names}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [
            {
                "name": "sidecars.example.com",
                "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": bundle},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "objectSelector": {"matchExpressions": [instances]},
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }
        ],
    }
