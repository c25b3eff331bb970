"""Why this machine cannot run the cluster, found out before anything is started."""

import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN, CONTROL_PLANE_PORTS, PORTS

PROGRAMS = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "ip", "iptables", "conntrack", "buildah")
CONTROL_PLANE_BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
BINARIES = (*CONTROL_PLANE_BINARIES, "kubelet", "kube-proxy", "helm")
CONTROLLERS = ("cpu", "memory", "pids", "cpuset")


def check_machine() -> None:
    """Raise ClusterError with the first reason why a cluster cannot start here."""
    remedy = "run as root, or use your own cluster with make demo KUBECONFIG=... IMAGE_REGISTRY=..."
    _raise_first(
        _not_root("the cluster", "kubelet and containerd mount and create cgroups", remedy),
        _missing_programs(PROGRAMS, BINARIES, "cluster-up"),
        _missing_cgroups(),
        _taken_port(PORTS),
    )


def check_control_plane(*further: str, target: str) -> None:
    """As ``check_machine``, of a control plane without a node; the make ``target`` builds the ``further`` binaries."""
    _raise_first(
        _not_root("the control plane", "it adds its address to the loopback device", "run as root"),
        _missing_programs(("ip",), (*CONTROL_PLANE_BINARIES, *further), target),
        _taken_port(CONTROL_PLANE_PORTS),
    )


def _raise_first(*reasons: str | None) -> None:
    for reason in reasons:
        if reason:
            raise ClusterError(reason)


def _not_root(what: str, why: str, remedy: str) -> str | None:
    return None if os.geteuid() == 0 else f"{what} needs root ({why}): {remedy}"


def _missing_programs(programs: Sequence[str], binaries: Sequence[str], target: str) -> str | None:
    missing = [name for name in programs if not shutil.which(name)]
    missing += [name for name in binaries if not (BIN / name).exists()]
    return f"{', '.join(missing)} not found: run `make {target}`, which installs and builds them" if missing else None


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


def _taken_port(ports: Mapping[str, int]) -> str | None:
    for component, port in ports.items():
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
