import os
import socket
from pathlib import Path

import pytest

from lab.cluster import preflight
from lab.cluster.errors import ClusterError


@pytest.fixture(autouse=True)
def a_machine_that_could(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is there; each test takes one thing away."""
    monkeypatch.setattr(preflight, "PORTS", {})
    monkeypatch.setattr(preflight, "PROGRAMS", ())
    monkeypatch.setattr(preflight, "BINARIES", ())
    monkeypatch.setattr(preflight, "CONTROL_PLANE_PORTS", {})
    monkeypatch.setattr(preflight, "CONTROL_PLANE_BINARIES", ())


def test_this_machine_can() -> None:
    preflight.check_machine()


def test_a_taken_port_is_named_with_its_component(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(preflight, "PORTS", {"kubelet": port})
        with pytest.raises(ClusterError, match=f"port {port}, which kubelet needs, is taken"):
            preflight.check_machine()


def test_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match=r"needs root .*KUBECONFIG="):
        preflight.check_machine()


def test_missing_programs_are_all_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preflight, "PROGRAMS", ("containerd-of-nowhere",))
    monkeypatch.setattr(preflight, "BINARIES", ("kubelet",))
    monkeypatch.setattr(preflight, "BIN", tmp_path)
    with pytest.raises(ClusterError, match="containerd-of-nowhere, kubelet not found: run `make cluster-up`"):
        preflight.check_machine()


def test_missing_cgroup_controllers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "CONTROLLERS", ("cpu", "quantum"))
    with pytest.raises(ClusterError, match="cgroup controllers quantum are not available"):
        preflight.check_machine()


def test_a_control_plane_needs_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(preflight, "CONTROLLERS", ("quantum",))
    monkeypatch.setattr(preflight, "PROGRAMS", ("containerd-of-nowhere",))
    monkeypatch.setattr(preflight, "BIN", tmp_path)
    preflight.check_control_plane(target="bench")
    with pytest.raises(ClusterError, match=r"^kwok not found: run `make bench`"):
        preflight.check_control_plane("kwok", target="bench")
