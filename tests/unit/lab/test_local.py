from pathlib import Path

import pytest

from lab.cluster import local


def test_programs_started_beside_the_cluster_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "RUN", tmp_path)
    for name in ("kubelet", "kwok", "a-controller"):
        (tmp_path / f"{name}.pid").write_text("1 1\n")
    assert [component.name for component in local.started_beside()] == ["a-controller", "kwok"]
