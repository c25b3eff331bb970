"""What a device gives: cores, and a clear refusal where there is no NPU adapter."""

import os
from pathlib import Path
from typing import Dict

import pytest

from bert_trainer.devices.by_name import open_device
from bert_trainer.devices.cpu import available_cores
from bert_trainer.errors import BadConfigError


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "5000 100000\n"}, 1),
        ({"cpu.max": "900000 100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "300000\n"}, 4),
    ],
)
def test_available_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Dict[str, str], cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2, 5})
    (tmp_path / "cpu").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert available_cores(tmp_path) == cores


def test_npu_without_its_adapter() -> None:
    with pytest.raises(
        BadConfigError, match="--device=npu: No module named 'npu_bridge'; use the trainer's Ascend image"
    ):
        open_device("npu")
