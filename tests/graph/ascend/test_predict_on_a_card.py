"""Predictions of a run that was trained on a card are made on a card, below a parent as a training is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bert_trainer import __main__ as entry
from bert_trainer import contract
from support.trainer import small_task
from support.trainer.places import NPU_SIMULATION


@pytest.fixture
def finished(model_folder: Path, tmp_path: Path, in_this_process: None) -> Path:  # noqa: ARG001
    """A folder with a task's files in "data" and a run that has finished in "run"."""
    (tmp_path / "data").mkdir()
    small_task.write_glue(tmp_path / "data", "MRPC")
    flags = small_task.flags(model_folder, tmp_path / "data", tmp_path / "run", device="npu", num_train_epochs=0.2)
    assert entry.main(small_task.arguments(flags)) == 0
    return tmp_path


def predicting(finished: Path, output: str, **environment: str) -> subprocess.Popen[str]:
    """Starts it in the folder of the run, from which every path is named."""
    outer = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # of the tests' own
    return subprocess.Popen(
        [sys.executable, "-m", "bert_trainer.predict", "--run=run", "--data_path=data", f"--output={output}"],
        cwd=str(finished),
        env={**outer, "PYTHONPATH": os.pathsep.join([str(NPU_SIMULATION), *sys.path]), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )


def test_two_at_once_in_one_folder(finished: Path) -> None:
    """The compilers write into the current folder and take nothing that another process has made there."""
    outputs = ("first", "second")
    cards = {"ASCEND_SIM_CARDS": "4,5"}  # one process a card, as the manuals tell
    processes = [predicting(finished, output, ASCEND_DEVICE_ID=str(n), **cards) for n, output in enumerate(outputs)]
    for number, process in enumerate(processes):
        log, _ = process.communicate(timeout=300)
        assert process.returncode == 0, log
        assert f"simulated Ascend 910: device {number} is card {number + 4}" in log
    first, second = ((finished / output / "MRPC.tsv").read_text() for output in outputs)
    assert first == second
    assert {path.name for path in finished.iterdir()} == {"data", "run", *outputs}


@pytest.mark.parametrize(("adapter", "words"), [("r1.2.0", "(ended by SIGABRT)"), ("r1.5.0", "fault (graph); start")])
def test_a_fault_of_the_card(finished: Path, adapter: str, words: str) -> None:
    process = predicting(finished, "output", ASCEND_SIM_FAULT="graph", ASCEND_SIM_ADAPTER=adapter)
    log, _ = process.communicate(timeout=300)
    assert process.returncode == contract.EXIT_DEVICE_FAULT, log
    last = log.splitlines()[-1]
    assert "--device=npu: [GEOP] call ge session add graph failed - simulated device fault (graph)" in last
    assert words in last
