"""What tests of the operator's process share: a namespace as a person sees it, and outages of the API server."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from lab.cluster import components, processes
from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import API_PORT, NODE_IP
from lab.operator.played import Namespace
from lab.operator.process import until
from lab.operator.proxy import Proxy
from support import builders as make


class World(Namespace):
    """A namespace with several BertFinetunes in it."""

    def create(self, *names: str) -> None:
        raw = yaml.safe_load(make.MINIMAL)
        items = [raw | {"metadata": {"name": name}} for name in names]
        self.call("create", "--filename=-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def phase(self, name: str) -> str:
        return self.call("get", "bft", name, "--output=jsonpath={.status.phase}")


def through(proxy: Proxy, kubeconfig: str, folder: Path) -> Path:
    """The kubeconfig of somebody who reaches the API server through the proxy only."""
    raw = yaml.safe_load(Path(kubeconfig).read_text())
    for cluster in raw["clusters"]:
        cluster["cluster"] |= {"server": f"https://127.0.0.1:{proxy.port}", "tls-server-name": NODE_IP}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(raw))
    return path


@contextmanager
def temporary(kubectl: RunKubectl, namespace: str) -> Iterator[None]:
    kubectl("create", "namespace", namespace)
    try:
        yield
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")


def restart_api_server(kubectl: RunKubectl) -> None:
    """Kill the API server and start it again, after which it keeps no history of changes."""
    server = components.kube_apiserver()
    pid = processes.running_pid(server)
    assert pid
    os.kill(pid, signal.SIGKILL)
    processes.stop(server)
    until(lambda: not _listens(NODE_IP, API_PORT), lambda: "the API server is not dead")
    processes.start(server)
    processes.wait_ready(server, lambda: kubectl("get", "--raw=/readyz").returncode == 0, 60)


def _listens(host: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((host, port)) == 0
