"""The simulated npu-exporter of this node: a process beside the cluster that discovery takes for a DaemonSet's pod."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.cluster.layout import NODE_IP, NODE_NAME, PROJECT, STATE
from lab.monitoring.discovery import Pod

POD_RESOURCES = STATE / "kubelet/pod-resources/kubelet.sock"
PORT = 8082
POD: Pod = {
    "metadata": {"namespace": "npu-exporter", "name": "npu-exporter-sim", "labels": {"app": "npu-exporter"}},
    "spec": {"nodeName": NODE_NAME, "containers": [{"name": "npu-exporter", "ports": [{"containerPort": PORT}]}]},
    "status": {"phase": "Running", "podIP": NODE_IP},
}


@contextmanager
def exporter(faults: Path) -> Iterator[None]:
    """Serve the node's cards until the block ends; the file names the unhealthy ones, one a line."""
    options = (f"--pod-resources={POD_RESOURCES}", f"--faults={faults}", f"--address={NODE_IP}", f"--port={PORT}")
    process = subprocess.Popen([sys.executable, "-m", "lab.ascend.npu_exporter", *options], cwd=PROJECT / "tests")
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=15)
