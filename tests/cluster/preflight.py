"""Why this machine cannot run the cluster, found out before anything is started."""

import os
import shutil
import socket
from pathlib import Path

from cluster.errors import ClusterError
from cluster.layout import BIN, PORTS

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "ip", "iptables", "conntrack", "buildah")
BINARIES = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
    "helm",
)
CONTROLLERS = ("cpu", "memory", "pids", "cpuset")


def check_machine() -> None:
    """Raise ClusterError with the first reason why a cluster cannot start here."""
    for reason in (_not_root(), _missing_programs(), _missing_cgroups(), _taken_port()):
        if reason:
            raise ClusterError(reason)


def _not_root() -> str | None:
    if os.geteuid() == 0:
        return None
    return (
        "the cluster needs root (kubelet and containerd mount and create cgroups): "
        "run as root, or use your own cluster with make demo KUBECONFIG=... IMAGE_REGISTRY=..."
    )


def _missing_programs() -> str | None:
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    missing += [name for name in BINARIES if not (BIN / name).exists()]
    return f"{', '.join(missing)} not found: run `make cluster-up`, which installs and builds them" if missing else None


def _missing_cgroups() -> str | None:
    root = Path("/sys/fs/cgroup")
    unified = root / "cgroup.controllers"
    present = set(unified.read_text().split()) if unified.exists() else {p.name for p in root.glob("*")}
    missing = [name for name in CONTROLLERS if name not in present]
    if missing:
        return (
            f"cgroup controllers {', '.join(missing)} are not available under {root}: "
            "the kubelet cannot limit pods without them (in a container, run it privileged)"
        )
    if not os.access(root, os.W_OK):
        return f"{root} is read-only: the kubelet cannot create cgroups (in a container, run it privileged)"
    return None


def _taken_port() -> str | None:
    for component, port in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                return (
                    f"port {port}, which {component} needs, is taken by another process "
                    f"(ss -ltnp 'sport = :{port}' names it): stop that process first"
                )
    return None
