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
import tensorflow.compat.v1 as tf

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.errors import InterruptedRunError
from bert_trainer.reporting.stop import StopRequest
from bert_trainer.training import evaluator, run
from support.trainer import small_bert, small_task
from support.trainer.outputs import curves_of, last_step, result_of, weights
from support.trainer.places import NPU_SIMULATION

Arguments = Callable[..., List[str]]
pytestmark = pytest.mark.usefixtures("signals_of_pytest")


class StopAt(StopRequest):
    """A stop request that arrives during the given step."""

    def __init__(self, output: Path, step: int) -> None:
        self._output = output
        self._step = step

    @property
    def signal(self) -> str:
        return "SIGTERM" if last_step(self._output) >= self._step else ""


class CrashAt(StopAt):
    """The end of the process during the given step, without a word."""

    @property
    def signal(self) -> str:
        if super().signal:
            raise MemoryError("the process is gone")
        return ""


TRAINING_CURVES = ("train/loss", "train/learning_rate", "train/examples_per_second")
EVALUATION_CURVES = ("eval/loss", "eval/accuracy", "eval/f1", "eval/matthews")


def test_a_whole_run(
    make_arguments: Arguments, tmp_path: Path, model_folder: Path, capsys: pytest.CaptureFixture
) -> None:
    log, output = tmp_path / "termination-log", tmp_path / "output"
    assert entry.main(make_arguments(termination_log=log, save_checkpoints_steps=3, keep_checkpoint_max=2)) == 0
    outcome = result_of(output)
    assert set(outcome) == {*contract.RESULT_KEYS, "config", "data", "model", "versions"}
    assert json.loads(log.read_text()) == {key: outcome[key] for key in contract.RESULT_KEYS}
    described = json.loads((output / "run.json").read_text())
    assert {key: outcome[key] for key in described} == described
    exact = ("outcome", "task", "evalExamples", "trainExamples", "steps", "seed", "backend", "checkpoint")
    assert [outcome[key] for key in exact] == ["Succeeded", "MRPC", 13, 40, 10, 1, "cpu", "model.ckpt-10"]
    assert outcome["accuracy"] * 13 == pytest.approx(
        round(outcome["accuracy"] * 13), abs=1e-5
    )  # the whole dev set, its tail included
    assert [outcome[key] for key in ("pearson", "spearman", "accuracyMismatched")] == [None, None, None]
    assert [(evaluation["epoch"], evaluation["step"]) for evaluation in outcome["evaluations"]] == [(1.0, 5), (2.0, 10)]
    last = outcome["evaluations"][-1]
    assert [outcome[key] for key in ("accuracy", "f1", "matthews", "evalLoss", "collapsed", "collapseReason")] == [
        last[key] for key in ("accuracy", "f1", "matthews", "loss", "collapsed", "collapseReason")
    ]
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
    curves = curves_of(output)
    assert curves.keys() == {*TRAINING_CURVES, *EVALUATION_CURVES}
    assert [step for step, _ in curves["train/examples_per_second"]] == list(range(1, 11))
    assert curves["eval/accuracy"] == [
        (evaluation["step"], pytest.approx(evaluation["accuracy"])) for evaluation in outcome["evaluations"]
    ]
    assert set(small_bert.random_weights()) <= set(weights(output))  # with the names of the published checkpoints


def run_with(make_config: Callable[..., Config], stop: StopRequest, **flags: Any) -> Dict[str, Any]:
    return run.run(make_config(**flags), stop, started=time.monotonic())


def assert_same_run(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert set(first) == set(second)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)
    curves, others = map(curves_of, (one, other))
    for tag in curves.keys() - {"train/examples_per_second"}:
        assert curves[tag] == others[tag], tag


@pytest.fixture(scope="module")
def whole(model_folder: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run that nothing happened to."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    config = Config(**small_task.flags(model_folder, data_folder, output))
    run.run(config, StopRequest(), started=time.monotonic())
    return output


SAME = (*contract.SCORE_KEYS, "evalLoss", "steps", "checkpoint", "collapsed", "collapseReason", "evaluations")


def test_interrupted_and_resumed_is_the_uninterrupted_run(
    make_config: Callable[..., Config], tmp_path: Path, whole: Path
) -> None:
    parts = tmp_path / "parts"
    for step in (4, 5, 10):  # epochs end with the steps 5 and 10, so two of the stops leave an evaluation undone
        with pytest.raises(InterruptedRunError, match=rf"stopped by SIGTERM with .*model.ckpt-{step} saved"):
            run_with(make_config, StopAt(parts, step), output_dir=str(parts))
        assert result_of(parts)["class"] == "Interrupted"
        assert last_step(parts) == step
    resumed = run_with(make_config, StopRequest(), output_dir=str(parts))
    assert_same_run(whole, parts)
    assert {key: resumed[key] for key in SAME} == {key: result_of(whole)[key] for key in SAME}
    assert (parts / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()


def test_a_run_of_a_trainer_without_the_later_flags_goes_on(
    make_config: Callable[..., Config], tmp_path: Path, whole: Path
) -> None:
    """Its run.json lacks them, as that of 0.2.0 does."""
    with pytest.raises(InterruptedRunError):
        run_with(make_config, StopAt(tmp_path / "output", 4))
    described = tmp_path / "output" / "run.json"
    run = json.loads(described.read_text())
    for flag in contract.LATER_FLAGS:
        del run["config"][flag]
    described.write_text(json.dumps(run))
    run_with(make_config, StopRequest())
    assert_same_run(whole, tmp_path / "output")


def test_a_stop_during_the_evaluation_that_a_resumed_run_makes_up_for(
    make_config: Callable[..., Config], tmp_path: Path, whole: Path
) -> None:
    """It takes no step after it, since the evaluation would then be too late."""
    parts, stop = tmp_path / "parts", StopRequest()
    with pytest.raises(InterruptedRunError):
        run_with(make_config, StopAt(parts, 5), output_dir=str(parts))

    def infer(session: tf.Session, features: Dict[str, np.ndarray]) -> np.ndarray:
        stop.signal = "SIGTERM"
        return evaluate(session, features)

    evaluate = evaluator.infer
    with mock.patch.object(evaluator, "infer", infer), pytest.raises(InterruptedRunError, match=r"model.ckpt-5 saved"):
        run_with(make_config, stop, output_dir=str(parts))
    resumed = run_with(make_config, StopRequest(), output_dir=str(parts))
    assert_same_run(whole, parts)
    assert {key: resumed[key] for key in SAME} == {key: result_of(whole)[key] for key in SAME}


def test_what_a_lost_process_did_after_its_checkpoint_happens_again(
    make_config: Callable[..., Config], tmp_path: Path, whole: Path
) -> None:
    parts = tmp_path / "parts"
    flags = {"output_dir": str(parts), "save_checkpoints_steps": 4}
    with pytest.raises(MemoryError):
        run_with(make_config, CrashAt(parts, 6), **flags)
    assert (weights(parts)["global_step"], last_step(parts)) == (4, 6)
    resumed = run_with(make_config, StopRequest(), **flags)
    assert_same_run(whole, parts)
    assert {key: resumed[key] for key in SAME} == {key: result_of(whole)[key] for key in SAME}


def test_the_seed_decides(make_config: Callable[..., Config], tmp_path: Path) -> None:
    runs = {
        name: run_with(make_config, StopRequest(), seed=seed, reinit_layers=1, output_dir=str(tmp_path / name))
        for name, seed in (("one", 1), ("other", 2), ("one again", 1))
    }
    assert runs["one"]["evaluations"] == runs["one again"]["evaluations"] != runs["other"]["evaluations"]
    assert_same_run(tmp_path / "one", tmp_path / "one again")


@pytest.mark.parametrize("learning_rate", [1e-9, 1e-3])
def test_reinitialized_layers_start_anew(
    make_config: Callable[..., Config], tmp_path: Path, model_folder: Path, learning_rate: float
) -> None:
    run_with(make_config, StopRequest(), reinit_layers=1, learning_rate=learning_rate)
    before, after = tf.train.load_checkpoint(str(model_folder / "bert_model.ckpt")), weights(tmp_path / "output")
    near = {
        name
        for name in before.get_variable_to_shape_map()
        if np.allclose(before.get_tensor(name), after[name], atol=1e-4)
    }
    anew = {name for name in small_bert.random_weights() if "/layer_1/" in name or "/pooler/" in name}
    if learning_rate < 1e-6:
        assert near == set(before.get_variable_to_shape_map()) - anew
        kernel = after["bert/encoder/layer_1/output/dense/kernel"]
        assert 0.015 < kernel.std() < 0.02  # the initializer's 0.02, truncated at two of it
        assert (after["bert/encoder/layer_1/output/LayerNorm/gamma"] == 1).all()
    else:
        assert not near & anew


def test_a_run_that_collapses_succeeds_and_says_so(
    make_arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "log"
    assert entry.main(make_arguments(termination_log=log, learning_rate=1e-9)) == 0
    outcome = json.loads(log.read_text())
    assert (outcome["outcome"], outcome["collapsed"]) == ("Succeeded", True)
    assert outcome["collapseReason"].startswith("all 13 predictions are ")
    assert capsys.readouterr().out.splitlines()[-5] == "This run has collapsed: " + outcome["collapseReason"]
    assert caplog.text.count("collapsed: all 13 predictions are ") == 2  # once at the end of each epoch
    assert caplog.text.count("a later epoch may recover") == 1


@pytest.mark.parametrize("task", ["CoLA", "STS-B", "MNLI"])
def test_other_kinds_of_tasks(make_arguments: Arguments, tmp_path: Path, task: str) -> None:
    data = small_task.write_glue(tmp_path, task)
    flags = {"num_train_epochs": 60.0, "optimizer": "AdamW"}
    assert entry.main(make_arguments(task_name=task, data_path=data, **flags)) == 0
    outcome = result_of(tmp_path / "output")
    kinds = {
        "CoLA": ("accuracy", "matthews"),
        "STS-B": ("pearson", "spearman"),
        "MNLI": ("accuracy", "matthews", "accuracyMismatched"),
    }
    assert [key for key in contract.SCORE_KEYS if outcome[key] is not None] == list(kinds[task])
    assert min(outcome[key] for key in kinds[task]) > 0.8  # Spearman's of two distinct labels is at most 0.87
    assert not outcome["collapsed"]
    assert outcome["evalExamples"] == (26 if task == "MNLI" else 13)


def test_it_learns_its_training_pairs(make_config: Callable[..., Config], tmp_path: Path) -> None:
    data = small_task.write_task(tmp_path)
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
    outcome = json.loads(stored.decode())
    assert json.loads((tmp_path / "log").read_text()) == {key: outcome[key] for key in contract.RESULT_KEYS}
    assert entry.main(make_arguments(termination_log=tmp_path / "log")) == contract.EXIT_BAD_CONFIG
    assert "run_id was 'uid-1'" in json.loads((tmp_path / "log").read_text())["message"]
    assert (tmp_path / "output" / "result.json").read_bytes() == stored


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
    card = {"ASCEND_SIM_CARDS": "0"}
    path = os.pathsep.join([str(NPU_SIMULATION), os.environ.get("PYTHONPATH", "")])
    process = start(make_arguments(device="npu"), env={**os.environ, **card, "PYTHONPATH": path})
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert result_of(tmp_path / "output")["backend"] == "npu-simulated"
    curves = curves_of(tmp_path / "output")
    assert curves.keys() == {*TRAINING_CURVES, *EVALUATION_CURVES}  # none that the adapter's estimator would add


def test_help_leaves_with_0() -> None:
    process = start(["--help"])
    assert "--learning_rate FLOAT" in process.communicate(timeout=60)[0]
    assert process.returncode == 0
