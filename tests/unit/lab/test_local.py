from pathlib import Path

import pytest

from lab.cluster import local


def test_programs_started_beside_the_cluster_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "RUN", tmp_path)
    for name in ("kubelet", "kwok", "a-controller"):
        (tmp_path / f"{name}.pid").write_text("1 1\n")
    assert [component.name for component in local.started_beside()] == ["a-controller", "kwok"]


def test_a_machine_without_iptables_is_tidied_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tier without a node does not install it."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("pkill", "ip", "umount"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(local, "RUN", run)
    local._remove_leftovers()
    assert not run.exists()
