"""A second API server with its controllers on the etcd of the first, for a test that takes away what others need."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from lab.cluster import components, processes
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import API_URL, KUBECONFIG, LOGS, NODE_IP, PKI, RUN

PORT, CONTROLLERS_PORT = 6444, 10261
URL = f"https://{NODE_IP}:{PORT}"


@contextmanager
def control_plane() -> Iterator[Kubectl]:
    """An empty cluster without a node while the first is up; what a killed test leaves of it, `local.down` stops."""
    kubectl = Kubectl(RUN / "beside.kubeconfig")
    kubectl.kubeconfig.write_text(KUBECONFIG.read_text().replace(API_URL, URL))
    of_controllers = RUN / "beside-controllers.kubeconfig"
    of_controllers.write_text((PKI / "kube-controller-manager.kubeconfig").read_text().replace(API_URL, URL))
    server = components.kube_apiserver(
        f"--secure-port={PORT}", "--etcd-prefix=/beside", f"--audit-log-path={LOGS}/audit-beside.log"
    )
    controllers = components.kube_controller_manager(
        f"--secure-port={CONTROLLERS_PORT}",
        *(f"--{use}kubeconfig={of_controllers}" for use in ("", "authentication-", "authorization-")),
        "--node-monitor-grace-period=1h",  # a node that a test has made sends no signs of life
    )
    both = [replace(component, name=f"{component.name}-beside") for component in (server, controllers)]
    ready = ("get", "--raw=/readyz", "--request-timeout=2s")
    try:
        processes.start(both[0])
        processes.wait_ready(both[0], lambda: kubectl.run(*ready, check=False).returncode == 0, 90)
        processes.start(both[1])
        yield kubectl
    finally:
        for component in reversed(both):
            processes.stop(component)
