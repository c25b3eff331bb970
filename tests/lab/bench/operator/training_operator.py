"""Kubeflow's training-operator, for TFJobs only."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from lab.bench.operator import controllers
from lab.bench.operator.controllers import PEER_CERTIFICATES, READY_SECONDS, Controller
from lab.bench.operator.objects import CONFIG
from lab.bench.operator.plane import CONTROLLER_KUBECONFIG
from lab.cluster import installed, processes
from lab.cluster.layout import BIN
from lab.cluster.local import KUBECTL
from lab.cluster.processes import Component
from lab.operator.process import free_port

MODULE = "github.com/kubeflow/training-operator"
NAMESPACE = "kubeflow"
SECRET = "training-operator-webhook-cert"
PROGRAM = "training-operator.v1"


@contextmanager
def running() -> Iterator[Controller]:
    """The operator serves TFJobs inside."""
    base = controllers.module_folder("training-operator", MODULE) / "manifests" / "base"
    controllers.apply_with_crds((base / "crds" / "kubeflow.org_tfjobs.yaml").read_text())
    KUBECTL.apply((CONFIG / "training-operator.yaml").read_text())
    health = f"127.0.0.1:{free_port()}"
    flags = (
        f"-kubeconfig={CONTROLLER_KUBECONFIG}",
        "-enable-scheme=tfjob",
        "-controller-threads=10",  # one by default; its limit of 20 requests/s has no flag
        f"-metrics-bind-address=127.0.0.1:{free_port()}",
        f"-health-probe-bind-address={health}",
        f"-webhook-server-port={free_port()}",
    )
    operator = Component("training-operator", (str(BIN / PROGRAM), *flags), {})
    shutil.rmtree(PEER_CERTIFICATES, ignore_errors=True)
    try:
        processes.start(operator)
        processes.wait_ready(operator, lambda: installed.mount(NAMESPACE, SECRET, PEER_CERTIFICATES), READY_SECONDS)
        processes.wait_ready(operator, lambda: installed.is_ready(health), READY_SECONDS)
        yield controllers.as_administrator(operator)
    finally:
        processes.stop(operator)
        shutil.rmtree(PEER_CERTIFICATES.parent, ignore_errors=True)
