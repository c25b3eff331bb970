"""Whole runs of the program on a tiny model and task: results, exit codes, interruption, repetition."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, List
from unittest import mock

import numpy as np
import pytest
import small_bert
import tensorflow.compat.v1 as tf

from bert_trainer import __main__ as entry
from bert_trainer import contract, train
from bert_trainer.config import Config
from bert_trainer.errors import InterruptedRunError
from bert_trainer.stop import StopRequest

Arguments = Callable[..., List[str]]


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves pytest's signal handlers alone."""
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)


class StopAfter(StopRequest):
    """A stop request that arrives during the given step of the process."""

    def __init__(self, step: int) -> None:
        self._left = step

    @property
    def signal(self) -> str:
        self._left -= 1
        return "SIGTERM" if self._left <= 0 else ""


def weights(output: Path) -> Dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(output))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def result_of(output: Path) -> Dict[str, Any]:
    return json.loads((output / contract.RESULT_FILE).read_text())


def test_a_whole_run(
    make_arguments: Arguments, tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    log, output = tmp_path / "termination-log", tmp_path / "output"
    assert entry.main(make_arguments(termination_log=log, save_checkpoints_steps=3, keep_checkpoint_max=2)) == 0
    outcome = result_of(output)
    assert tuple(outcome) == contract.RESULT_KEYS
    assert json.loads(log.read_text()) == outcome
    exact = ("outcome", "task", "evalExamples", "trainExamples", "steps", "seed", "backend", "checkpoint")
    assert [outcome[key] for key in exact] == ["Succeeded", "MRPC", 13, 40, 10, 1, "cpu", "model.ckpt-10"]
    assert outcome["accuracy"] * 13 == pytest.approx(
        round(outcome["accuracy"] * 13), abs=1e-5
    )  # the whole dev set, its tail included
    assert outcome["msPerStep"] > 0
    assert outcome["examplesPerSecond"] == pytest.approx(8000 / outcome["msPerStep"], rel=0.01)
    assert capsys.readouterr().out.splitlines()[-4:] == [
        "---------Final Result--------",
        "Final Precision Accuracy : {}".format(outcome["accuracy"]),
        "Final Performance ms/step : {}".format(outcome["msPerStep"]),
        "Final Training Duration sec : {}".format(outcome["durationSeconds"]),
    ]
    for name in ("vocab.txt", "bert_config.json"):
        assert (output / name).read_bytes() == (model_folder / name).read_bytes()
    assert sorted(path.name for path in output.glob("model.ckpt-*.index")) == [
        "model.ckpt-10.index",
        "model.ckpt-9.index",
    ]
    assert set(small_bert.random_weights()) <= set(weights(output))  # with the names of the published checkpoints


def run_with(make_config: Callable[..., Config], stop: StopRequest, **flags: Any) -> Dict[str, Any]:
    return train.run(make_config(**flags), stop, started=time.monotonic())


def assert_same_run(tmp_path: Path, one: str, other: str) -> None:
    first, second = weights(tmp_path / one), weights(tmp_path / other)
    assert set(first) == set(second)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_interrupted_and_resumed_is_the_uninterrupted_run(make_config: Callable[..., Config], tmp_path: Path) -> None:
    whole = run_with(make_config, StopRequest(), output_dir=str(tmp_path / "whole"))
    parts = {"output_dir": str(tmp_path / "parts")}
    with pytest.raises(InterruptedRunError, match=r"stopped by SIGTERM with .*model.ckpt-4 saved"):
        run_with(make_config, StopAfter(4), **parts)
    assert result_of(tmp_path / "parts")["class"] == "Interrupted"
    with pytest.raises(InterruptedRunError, match=r"model.ckpt-10"):  # during the evaluation
        run_with(make_config, StopAfter(8), **parts)
    resumed = run_with(make_config, StopRequest(), **parts)
    assert_same_run(tmp_path, "whole", "parts")
    for key in ("accuracy", "f1", "evalLoss", "steps", "checkpoint"):
        assert resumed[key] == whole[key]


def test_another_seed_is_another_run(make_config: Callable[..., Config], tmp_path: Path) -> None:
    losses = [
        run_with(make_config, StopRequest(), seed=seed, output_dir=str(tmp_path / str(seed)))["evalLoss"]
        for seed in (1, 2)
    ]
    assert losses[0] != losses[1]


def test_it_learns_its_training_pairs(make_config: Callable[..., Config], tmp_path: Path) -> None:
    data = small_bert.write_task(tmp_path)
    shutil.copy(str(data / "train.tsv"), str(data / "dev.tsv"))
    outcome = run_with(make_config, StopRequest(), data_path=str(data), num_train_epochs=40.0, optimizer="AdamW")
    assert outcome["accuracy"] > 0.9


def test_a_finished_run_reports_again(make_arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = make_arguments(run_id="uid-1", termination_log=tmp_path / "log")
    assert entry.main(arguments) == 0
    first, stored = capsys.readouterr().out.splitlines()[-4:], (tmp_path / "output" / "result.json").read_bytes()
    (tmp_path / "log").unlink()
    assert entry.main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-4:] == first
    assert json.loads((tmp_path / "log").read_text()) == json.loads(stored.decode())
    assert entry.main(make_arguments(termination_log=tmp_path / "log")) == contract.EXIT_BAD_CONFIG
    assert "run_id was 'uid-1'" in json.loads((tmp_path / "log").read_text())["message"]
    assert (tmp_path / "output" / "result.json").read_bytes() == stored


@pytest.mark.parametrize(
    ("flags", "exit_code", "message"),
    [
        ({"train_batch_size": 0}, contract.EXIT_BAD_CONFIG, "--train_batch_size=0"),
        ({"seed": "x"}, contract.EXIT_BAD_CONFIG, "--seed"),
        (
            {"train_batch_size": 100, "num_train_epochs": 2},
            contract.EXIT_BAD_CONFIG,
            "40 examples in 2.0 epochs are less than one batch",
        ),
        ({"max_seq_length": 41}, contract.EXIT_BAD_CONFIG, "has 40 positions"),
        ({"device": "npu"}, contract.EXIT_BAD_CONFIG, "use the trainer's Ascend image"),
        ({"data_path": "/nowhere"}, contract.EXIT_BAD_DATA, "/nowhere/train.tsv: No such file"),
        ({"model_path": "/nowhere"}, contract.EXIT_BAD_MODEL, "/nowhere/vocab.txt: No such file"),
        ({"model_name": "bert-base-uncased"}, contract.EXIT_BAD_MODEL, "those of bert-base-uncased"),
        ({"output_dir": "/dev/null/output"}, contract.EXIT_STORAGE, "/dev/null/output"),
    ],
)
def test_failures(
    make_arguments: Arguments, tmp_path: Path, flags: Dict[str, Any], exit_code: int, message: str
) -> None:
    log = tmp_path / "log"
    assert entry.main(make_arguments(termination_log=log, **flags)) == exit_code
    outcome = json.loads(log.read_text())
    assert (outcome["outcome"], outcome["class"]) == ("Failed", contract.EXIT_CLASSES[exit_code])
    assert message in outcome["message"]


def test_a_failure_in_the_data_is_recorded_in_the_folder(make_arguments: Arguments, tmp_path: Path) -> None:
    data = small_bert.write_task(tmp_path)
    (data / "dev.tsv").write_text(small_bert.HEADER + "7\t1\t2\ta\tb\n", encoding="utf-8")
    assert entry.main(make_arguments(data_path=data)) == contract.EXIT_BAD_DATA
    assert "dev.tsv, line 2: column 'Quality' holds '7'" in result_of(tmp_path / "output")["message"]


def test_a_bug_is_recorded(make_arguments: Arguments, tmp_path: Path) -> None:
    with mock.patch.object(train, "run", side_effect=ZeroDivisionError("oops")):
        assert entry.main(make_arguments(termination_log=tmp_path / "log")) == contract.EXIT_UNKNOWN
    assert json.loads((tmp_path / "log").read_text()) == {
        "outcome": "Failed",
        "class": "Unknown",
        "message": "ZeroDivisionError: oops",
    }


def test_a_loss_that_is_no_number(make_arguments: Arguments, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with mock.patch("bert_trainer.model_fn.learning_rate_at", return_value=tf.constant(float("inf"))) as rate:
        rate.side_effect = lambda *_arguments: tf.constant(float("inf"))
        assert entry.main(make_arguments(termination_log=log)) == contract.EXIT_BAD_CONFIG
    assert "--learning_rate=0.001: the loss is not a number at step" in json.loads(log.read_text())["message"]


def start(arguments: List[str], **options: Any) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "bert_trainer", *arguments], stdout=subprocess.PIPE, universal_newlines=True, **options
    )


def test_sigterm_saves_a_checkpoint_and_the_next_start_resumes(make_arguments: Arguments, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = make_arguments(num_train_epochs=80.0, run_id="uid", metrics_port=port, termination_log=tmp_path / "log")
    process = start(arguments)
    try:
        while progress(port).get("step", 0) < 5:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == contract.EXIT_INTERRUPTED
    finally:
        process.kill()
        process.communicate()
    outcome = json.loads((tmp_path / "log").read_text())
    assert outcome["class"] == "Interrupted"
    saved = weights(tmp_path / "output")["global_step"]
    assert f"model.ckpt-{saved} saved" in outcome["message"]
    assert 5 <= saved < 400
    assert entry.main(arguments) == 0
    assert weights(tmp_path / "output")["global_step"] == 400


def progress(port: int) -> Dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/progress", timeout=5) as answer:
            return json.loads(answer.read().decode())
    except OSError:
        return {}


def test_a_full_disk_is_a_storage_failure(make_arguments: Arguments, tmp_path: Path) -> None:
    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    process = start(make_arguments(termination_log=tmp_path / "log"), preexec_fn=small_files)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == contract.EXIT_STORAGE, output
    assert "make the output folder writable and large enough" in json.loads((tmp_path / "log").read_text())["message"]


def test_a_run_on_the_simulated_npu(make_arguments: Arguments, tmp_path: Path) -> None:
    simulation = str(Path(__file__).resolve().parents[1] / "ascend_sim" / "npu_bridge_sim")
    card = {
        "ASCEND_VISIBLE_DEVICES": "0",
        "ASCEND_DEVICE_ID": "0",
        "DEVICE_ID": "0",
        "RANK_ID": "0",
        "RANK_SIZE": "1",
        "JOB_ID": "1",
    }
    path = os.pathsep.join([simulation, os.environ.get("PYTHONPATH", "")])
    process = start(make_arguments(device="npu"), env={**os.environ, **card, "PYTHONPATH": path})
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert result_of(tmp_path / "output")["backend"] == "npu-simulated"


def test_help_leaves_with_0() -> None:
    process = start(["--help"])
    assert "--learning_rate FLOAT" in process.communicate(timeout=60)[0]
    assert process.returncode == 0
