"""Where the cluster lives on this machine and which addresses it takes. One cluster a machine: every path is fixed."""

import os
from pathlib import Path

STATE = Path("/var/lib/bertfinetune-cluster")  # data that outlives a process: etcd, images, logs, volumes
RUN = Path("/run/bertfinetune-cluster")  # sockets and process ids; a reboot empties it
BUILDAH_RUN = Path("/run/bertfinetune-buildah")
CACHE = (
    Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertfinetune"
)  # what is built once a machine
PROJECT = Path(__file__).resolve().parents[3]
CRD = PROJECT / "crds" / "bertfinetunes.bertfinetune.dev.yaml"
SAMPLE = PROJECT / "crds" / "samples" / "bertfinetune.yaml"  # what the demo applies
BIN = PROJECT / ".build" / "bin"
KUBERNETES = PROJECT / os.environ.get("BERTFINETUNE_KUBERNETES", BIN)  # control plane and kubectl of another version

LOGS = STATE / "logs"
AUDIT_LOG = LOGS / "audit.log"
PKI = STATE / "pki"
ETCD_DATA = STATE / "etcd"
VOLUMES = STATE / "volumes"
KUBECONFIG = STATE / "kubeconfig"
CONTAINERD_SOCKET = RUN / "containerd.sock"

NODE_NAME = "ascend-sim-0"
# An address of our own on the loopback device: pods cannot reach 127.0.0.1, and the machine's others may change.
NODE_IP = "10.250.0.1"
POD_CIDR = "10.244.0.0/24"
SERVICE_CIDR = "10.96.0.0/16"
KUBERNETES_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"

API_PORT = 6443
API_SERVER_GROUP = 6443  # the id of no group that a system has
ETCD_PORT = 12379
ETCD_PEER_PORT = 12380
# Ports by the component that listens on them; a taken one is named before anything starts.
CONTROL_PLANE_PORTS = {
    "kube-apiserver": API_PORT,
    "etcd": ETCD_PORT,
    "etcd peer": ETCD_PEER_PORT,
    "kube-controller-manager": 10257,
    "kube-scheduler": 10259,
}
PORTS = CONTROL_PLANE_PORTS | {
    "kubelet": 10250,
    "kubelet healthz": 10248,
    "kube-proxy healthz": 10256,
    "kube-proxy metrics": 10249,
}
API_URL = f"https://{NODE_IP}:{API_PORT}"


def program(name: str) -> Path:
    """One of the cluster's programs: of the version that is asked for, else of the one that we build for all tests."""
    return KUBERNETES / name if (KUBERNETES / name).exists() else BIN / name
