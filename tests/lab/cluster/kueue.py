"""The real Kueue beside this machine's control plane: what its Helm chart installs, and its controller as a process.

It differs from a user's installation in three things. The controller runs beside the control plane, with the token of
its ServiceAccount, because a control plane without a node runs no pods; so the webhooks' Service leads to the process.
The visibility API is left out, because the API server here has no front proxy for aggregated APIs. And Kueue manages
the namespaces only that carry the label MANAGED, so that it leaves the Jobs of all other tests alone.
"""

import base64
import json
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from lab.cluster import processes
from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN, KUBECONFIG, NODE_IP, STATE
from lab.cluster.local import KUBECTL
from lab.cluster.processes import Component

Raw = dict[str, Any]
CHART = BIN / "kueue-chart.tgz"
NAMESPACE = "kueue-system"
FOLDER = STATE / "kueue"
"""Configuration, kubeconfig and certificates of the process."""
MANAGED = {"kueue": "managed"}
"""Label of the namespaces whose Jobs Kueue manages."""
HEALTH = f"{NODE_IP}:18081"
CONFIGURATION: Raw = {
    "apiVersion": "config.kueue.x-k8s.io/v1beta2",
    "kind": "Configuration",
    "namespace": NAMESPACE,
    "health": {"healthProbeBindAddress": HEALTH},
    "metrics": {"bindAddress": "0"},
    # the API server calls a Service of type ExternalName on the port that the webhook configuration names, which is 443
    "webhook": {"host": NODE_IP, "port": 443, "certDir": str(FOLDER / "certificates")},
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
        _write_kubeconfig()
        processes.start(process)
        processes.wait_ready(process, _write_certificates, 60)
        processes.wait_ready(process, _is_ready, 60)
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
    for raw in objects:
        if raw["kind"] == "Service" and raw["metadata"]["name"] == "kueue-webhook-service":
            raw["spec"] = {"type": "ExternalName", "externalName": NODE_IP}
    return [raw for raw in objects if raw["kind"] not in ("Deployment", "APIService")]


def _write_kubeconfig() -> None:
    """One with the token of Kueue's ServiceAccount: its rights are those of its chart."""
    account = ("kueue-controller-manager", f"--namespace={NAMESPACE}", "--duration=24h")
    token = KUBECTL.run("create", "token", *account).stdout.strip()
    config = yaml.safe_load(KUBECONFIG.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    (FOLDER / "kubeconfig").write_text(yaml.safe_dump(config))


def _write_certificates() -> bool:
    """Put the files of the Secret that Kueue fills where it looks for them, as a kubelet would; whether it has."""
    secret = KUBECTL.get(f"--namespace={NAMESPACE}", "secret", "kueue-webhook-server-cert")
    files = secret.get("data") or {}
    folder = Path(CONFIGURATION["webhook"]["certDir"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(base64.b64decode(content))
    return {"tls.crt", "tls.key"} <= files.keys()


def _is_ready() -> bool:
    try:
        with urllib.request.urlopen(f"http://{HEALTH}/readyz", timeout=2):
            return True
    except OSError:
        return False


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
