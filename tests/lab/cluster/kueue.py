"""The real Kueue beside this machine's control plane: what its Helm chart installs, and its controller as a process.

Besides running as a process, it differs from a user's installation in two things. The visibility API is left out,
because the API server here has no front proxy for aggregated APIs. And Kueue manages the namespaces only that carry
the label MANAGED, so that it leaves the Jobs of all other tests alone.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from lab.cluster import installed, processes
from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN, NODE_IP, STATE
from lab.cluster.local import KUBECTL
from lab.cluster.processes import Component

Raw = dict[str, Any]
CHART = BIN / "kueue-chart.tgz"
NAMESPACE = "kueue-system"
FOLDER = STATE / "kueue"
"""Configuration, kubeconfig and certificates of the process."""
CERTIFICATES = FOLDER / "certificates"
SECRET = "kueue-webhook-server-cert"
MANAGED = {"kueue": "managed"}
"""Label of the namespaces whose Jobs Kueue manages."""
HEALTH = f"{NODE_IP}:18081"
CONFIGURATION: Raw = {
    "apiVersion": "config.kueue.x-k8s.io/v1beta2",
    "kind": "Configuration",
    "namespace": NAMESPACE,
    "health": {"healthProbeBindAddress": HEALTH},
    "metrics": {"bindAddress": "0"},
    "webhook": {"host": NODE_IP, "port": 443, "certDir": str(CERTIFICATES)},
    "leaderElection": {"leaderElect": False},
    "managedJobsNamespaceSelector": {"matchLabels": MANAGED},
    "integrations": {"frameworks": ["batch/job"]},
    "featureGates": {"VisibilityOnDemand": False},
}


@contextmanager
def running() -> Iterator[None]:
    """Kueue is installed and ready inside; who asks for it deletes the namespaces that used it before the end."""
    manifests = _manifests()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "config.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    KUBECTL.run("create", "namespace", NAMESPACE)
    process = Component(
        "kueue",
        (str(BIN / "kueue"), f"--config={FOLDER}/config.yaml", "--zap-log-level=2"),
        {"KUBECONFIG": str(FOLDER / "kubeconfig")},
    )
    try:
        KUBECTL.apply(yaml.safe_dump_all(manifests))
        installed.write_kubeconfig(FOLDER / "kubeconfig", NAMESPACE, "kueue-controller-manager")
        processes.start(process)
        processes.wait_ready(process, lambda: installed.mount(NAMESPACE, SECRET, CERTIFICATES), 60)
        processes.wait_ready(process, lambda: installed.is_ready(HEALTH), 60)
        yield
    finally:
        _uninstall(process, manifests)


def manage(namespace: str) -> None:
    """Have Kueue manage a namespace's Jobs."""
    labels = [f"{key}={value}" for key, value in MANAGED.items()]
    KUBECTL.run("label", "--overwrite", "namespace", namespace, *labels)


def queue(name: str, quota: Raw, **spec: Any) -> list[Raw]:
    """A ClusterQueue with a flavor and this quota, by resource; `spec` are further fields of the queue."""
    resources = [{"name": resource, "nominalQuota": amount} for resource, amount in quota.items()]
    group = {"coveredResources": list(quota), "flavors": [{"name": name, "resources": resources}]}
    api = {"apiVersion": "kueue.x-k8s.io/v1beta2", "metadata": {"name": name}}
    spec = {"namespaceSelector": {}, "resourceGroups": [group]} | spec
    return [api | {"kind": "ResourceFlavor"}, api | {"kind": "ClusterQueue", "spec": spec}]


def local_queue(name: str, cluster_queue: str) -> Raw:
    """A LocalQueue that leads to a ClusterQueue."""
    api = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "metadata": {"name": name}}
    return api | {"spec": {"clusterQueue": cluster_queue}}


def _manifests() -> list[Raw]:
    """What the chart installs, but for the Deployment and what only a pod can serve."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    values = FOLDER / "values.yaml"
    values.write_text(yaml.safe_dump({"managerConfig": {"controllerManagerConfigYaml": yaml.safe_dump(CONFIGURATION)}}))
    command = [BIN / "helm", "template", "kueue", CHART, f"--namespace={NAMESPACE}", f"--values={values}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ClusterError(f"helm template of Kueue's chart: {done.stderr.strip()}")
    objects = [raw for raw in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if raw]
    served = [raw for raw in objects if raw["kind"] != "APIService"]
    return installed.without_pods(served, "kueue-webhook-service", NODE_IP)


def _uninstall(process: Component, manifests: Iterable[Raw]) -> None:
    """Its objects first, while it can still take its finalizers off them."""
    kinds = "workloads,localqueues,clusterqueues,resourceflavors"
    if processes.running_pid(process):
        KUBECTL.run("delete", kinds, "--all", "--all-namespaces", "--timeout=60s", check=False)
    processes.stop(process)
    KUBECTL.run("delete", "--filename=-", "--ignore-not-found", "--timeout=60s", stdin=json.dumps(_list(manifests)))
    KUBECTL.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=60s")


def _list(manifests: Iterable[Raw]) -> Raw:
    return {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
