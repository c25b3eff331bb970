"""A card's fault aborts the process, as the adapter of CANN 20.2 does: the run still says what happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Sequence

import pytest

from bert_trainer import contract
from support.trainer import small_task
from support.trainer.outputs import weights
from support.trainer.places import NPU_SIMULATION

Flags = Callable[..., "dict[str, Any]"]


@pytest.fixture
def one(model_folder: Path, data_folder: Path, tmp_path: Path) -> Flags:
    """The flags of a run of ten steps on one card."""
    common = {"device": "npu", "run_id": "uid", "termination_log": tmp_path / "log", "save_checkpoints_steps": 2}
    return lambda **changes: small_task.flags(model_folder, data_folder, tmp_path / "output", **{**common, **changes})


PATH = os.pathsep.join([str(NPU_SIMULATION), *sys.path])


def run(
    flags: dict[str, Any], folder: str = ".", before: Sequence[str] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the trainer in a folder, behind the words `before`, with some of the environment changed."""
    outer = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # of the tests' own
    return subprocess.run(
        [*before, sys.executable, "-m", "bert_trainer", *small_task.arguments(flags)],
        check=False,
        cwd=folder,
        env={**outer, "PYTHONPATH": PATH, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


OPEN = "[GePlugin] Initialize ge failed, ret : failed"
GRAPH = "[GEOP] call ge session add graph failed"
STEP = "GeOp1_0GEOP::::DoRunAsync Failed"


@pytest.mark.parametrize(("place", "words"), [("open", OPEN), ("graph", GRAPH), ("5", STEP)])
def test_a_fault_of_the_card(one: Flags, tmp_path: Path, place: str, words: str) -> None:
    ended = run(one(), ASCEND_SIM_FAULT=place)
    assert ended.returncode == contract.EXIT_DEVICE_FAULT, ended.stderr
    outcome = {
        "outcome": "Failed",
        "class": "DeviceFault",
        "message": f"--device=npu: {words} - simulated device fault ({place}) (ended by SIGABRT); start again, best on "
        "another card, and look at this one with npu-smi info",
    }
    assert json.loads((tmp_path / "log").read_text()) == outcome
    assert json.loads((tmp_path / "output" / "result.json").read_text()) == outcome
    assert f"] {words}\n" in ended.stderr  # what the adapter wrote stays readable
    assert "[ERROR] GE(" in ended.stdout  # the driver's log, which else ends with the container
    if place == "5":
        assert weights(tmp_path / "output")["global_step"] == 4
        assert run(one()).returncode == 0
        assert json.loads((tmp_path / "output" / "result.json").read_text())["steps"] == 10


def test_a_finished_run_s_result_outlives_a_fault_before_the_folder_is_claimed(one: Flags, tmp_path: Path) -> None:
    assert run(one()).returncode == 0
    result = (tmp_path / "output" / "result.json").read_text()
    crash = tmp_path / "crash"
    (crash / "npu_bridge").mkdir(parents=True)
    (crash / "npu_bridge" / "__init__.py").write_text("import os; os.abort()")
    ended = run(one(), PYTHONPATH=os.pathsep.join([str(crash), *sys.path]))
    assert ended.returncode == contract.EXIT_DEVICE_FAULT, ended.stderr
    assert json.loads((tmp_path / "log").read_text())["message"].startswith("--device=npu: ended by SIGABRT; start")
    assert (tmp_path / "output" / "result.json").read_text() == result


@pytest.mark.parametrize("devices", [1, 2])
def test_nowhere_to_write_and_no_home(one: Flags, tmp_path: Path, devices: int) -> None:
    """As in a pod: its root is read-only, its folder /, HOME unset, and ranks would share the folder."""
    cards = "4,5"[: 2 * devices - 1]
    nowhere = "/proc"  # where not even root may make a file
    without_home = ["env", "--unset=HOME"]
    given = {"ASCEND_VISIBLE_DEVICES": cards, "ASCEND_SIM_CARDS": cards}
    ended = run(one(devices=devices), nowhere, without_home, **given)
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "output" / "result.json").read_text())["steps"] == 10 // devices


def test_paths_of_the_flags_are_those_of_the_folder_it_was_started_in(one: Flags, tmp_path: Path) -> None:
    relative = {name: os.path.relpath(one()[name], str(tmp_path)) for name in ("model_path", "data_path")}
    ended = run(one(output_dir="output", termination_log="log", **relative), str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "output" / "result.json").exists()
    assert json.loads((tmp_path / "log").read_text())["outcome"] == "Succeeded"


def test_an_empty_environment_runs_on_card_0(one: Flags, tmp_path: Path) -> None:
    ended = run(one(), ".", ["env", "-i", f"PYTHONPATH={PATH}", "ASCEND_SIM_CARDS=2,3"])
    assert ended.returncode == 0, ended.stderr
    assert "simulated Ascend 910: device 0 is card 2" in ended.stderr + ended.stdout
    assert json.loads((tmp_path / "log").read_text())["backend"] == "npu-simulated"


def test_a_rank_table_of_others_is_nothing_to_one_card(one: Flags, tmp_path: Path) -> None:
    ended = run(one(num_train_epochs=0.2), RANK_TABLE_FILE=str(tmp_path / "of-another-run.json"))
    assert ended.returncode == 0, ended.stderr


def test_a_card_without_an_integer_division_trains(one: Flags) -> None:
    """Neither training nor evaluation divide integers there."""
    ended = run(one(num_train_epochs=0.4), ASCEND_SIM_UNSUPPORTED="FloorDiv,FloorMod")
    assert ended.returncode == 0, ended.stderr
