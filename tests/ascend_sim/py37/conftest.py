"""The simulated npu_bridge on the path, the environment of a pod with one card, and a small model and data."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "npu_bridge_sim"))
sys.path.insert(0, str(Path(__file__).parents[2] / "trainer"))

import small_bert

ONE_CARD = {"ASCEND_VISIBLE_DEVICES": "4", "JOB_ID": "a-uid", "DEVICE_ID": "0", "RANK_ID": "0", "RANK_SIZE": "1"}


@pytest.fixture(autouse=True)
def one_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a card unless it takes it away."""
    for name, value in ONE_CARD.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bert.write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bert.write_task(tmp_path_factory.mktemp("data"))
