"""The simulated npu_bridge on the path, the environment of a pod with one card, and the flags of a run of two."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from bert_trainer.processes import parent
from bert_trainer.reporting.stop import StopRequest
from support.trainer import small_task
from support.trainer.places import NPU_SIMULATION
from support.trainer.two_cards import Flags

sys.path.insert(0, str(NPU_SIMULATION))
ONE_CARD = {"ASCEND_VISIBLE_DEVICES": "4", "JOB_ID": "a-uid", "ASCEND_DEVICE_ID": "0", "RANK_ID": "0", "RANK_SIZE": "1"}
SIMULATION = {"ASCEND_SIM_CARDS": "4", "ASCEND_SIM_SHUTDOWN": "0"}


@pytest.fixture(autouse=True)
def one_card(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every test has a card, unless it takes it away, and a place where its compilers may write."""
    for name, value in {**ONE_CARD, **SIMULATION}.items():
        monkeypatch.setenv(name, value)
    place = tmp_path_factory.mktemp("place")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setattr(importlib.import_module("npu_bridge._card"), "_opened", False)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer trains in the test's process: for what needs no parent."""
    monkeypatch.setattr(parent, "is_needed", lambda _config: False)
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)


@pytest.fixture(scope="session")
def flags(model_folder: Path, data_folder: Path) -> Flags:
    """Returns the flags of a run of two cards with eight pairs each: five steps."""

    def make(output: Path, **changes: Any) -> dict[str, Any]:
        common = {"device": "npu", "devices": 2, "run_id": "uid", "termination_log": output.with_suffix(".log")}
        return small_task.flags(model_folder, data_folder, output, **{**common, **changes})

    return make
