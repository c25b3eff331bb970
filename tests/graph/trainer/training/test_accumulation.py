"""A step in lots: the numbers of the step as a whole, from the memory of one lot."""

import itertools
import json
import time
from pathlib import Path
from typing import Any, Callable, List

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bert_trainer.config import Config
from bert_trainer.data.tasks import Classification
from bert_trainer.devices.cpu import CpuDevice
from bert_trainer.errors import InterruptedRunError
from bert_trainer.model import bert
from bert_trainer.reporting.stop import StopRequest
from bert_trainer.training import run as room
from support.trainer import small_bert, small_task
from support.trainer.outputs import assert_same_numbers, curves_of, last_step, result_of

MakeConfig = Callable[..., Config]


@pytest.fixture(scope="module")
def undropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, of which nothing is dropped."""
    folder = small_bert.write_model(tmp_path_factory.mktemp("undropped"))
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "bert_config.json").write_text(json.dumps({**small_bert.CONFIG.__dict__, **rates}))
    return folder


@pytest.fixture
def run(
    undropped: Path, make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Runs the trainer without dropout and returns the output folder."""
    monkeypatch.setattr(bert, "CLASSIFIER_DROPOUT", 0.0)

    def run(name: str, stop: StopRequest = StopRequest(), **flags: Any) -> Path:  # noqa: B008 - it is never told to stop
        config = make_config(model_path=str(undropped), output_dir=str(tmp_path / name), **flags)
        room.run(config, stop, started=time.monotonic())
        return tmp_path / name

    return run


@pytest.mark.parametrize("lots", [2, 4, 8])
def test_lots_change_no_number(run: Callable[..., Path], lots: int) -> None:
    whole, in_lots = run("whole"), run("lots", gradient_accumulation_steps=lots)
    assert_same_numbers(in_lots, whole, rtol=1e-5)
    ours, theirs = result_of(in_lots), result_of(whole)
    for key in ("steps", "trainExamples", "checkpoint"):
        assert ours[key] == theirs[key]
    assert len(ours["evaluations"]) == len(theirs["evaluations"])
    for evaluation, other in zip(ours["evaluations"], theirs["evaluations"]):
        assert evaluation == pytest.approx(other, rel=1e-5)
    rates, others = (curves_of(folder)["train/learning_rate"] for folder in (in_lots, whole))
    assert rates == others


@pytest.mark.parametrize("task", ["STS-B", "MNLI"])
def test_every_kind_of_loss(run: Callable[..., Path], tmp_path: Path, task: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    small_task.write_glue(data, task)
    flags = {"task_name": task, "data_path": str(data), "optimizer": "AdamW", "num_train_epochs": 1.0}
    in_lots, whole = (
        [loss for _, loss in curves_of(run(str(lots), gradient_accumulation_steps=lots, **flags))["train/loss"]]
        for lots in (4, 1)
    )
    assert len(whole) == 5
    assert in_lots == pytest.approx(whole, rel=1e-5)


class StopAt(StopRequest):
    """A stop request that arrives during the given step."""

    def __init__(self, output: Path, step: int) -> None:
        self._output, self._step = output, step

    @property
    def signal(self) -> str:
        return "SIGTERM" if last_step(self._output) >= self._step else ""


def test_a_run_goes_on_with_another_number_of_lots(run: Callable[..., Path], tmp_path: Path) -> None:
    for step, lots in ((3, 1), (6, 4)):
        with pytest.raises(InterruptedRunError):
            run("parts", StopAt(tmp_path / "parts", step), gradient_accumulation_steps=lots)
    assert_same_numbers(run("parts", gradient_accumulation_steps=2), run("whole"), rtol=1e-5)


def test_each_lot_of_each_step_drops_other_units(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pairs are the same, and the weights hardly move: what differs between the losses of two lots is dropout."""
    seen: List[np.ndarray] = []
    losses = Classification.losses

    def spied(*arguments: Any) -> tf.Tensor:
        values = losses(*arguments)
        with tf.control_dependencies([tf.py_func(lambda x: seen.append(x.copy()), [values], [])]):
            return tf.identity(values)

    data = tmp_path / "data"
    data.mkdir()
    small_task.write_task(data)
    header, row = (data / "train.tsv").read_text(encoding="utf-8").splitlines()[:2]
    (data / "train.tsv").write_text("\n".join([header, *[row] * 16]) + "\n", encoding="utf-8")
    monkeypatch.setattr(Classification, "losses", spied)
    flags = {"data_path": str(data), "learning_rate": 1e-9, "num_train_epochs": 1.0}
    room.run(make_config(gradient_accumulation_steps=4, **flags), StopRequest(), started=time.monotonic())
    assert [len(values) for values in seen] == [2] * 8
    assert len({values.tobytes() for values in seen}) == 8


class PeakHook(tf.train.SessionRunHook):
    """Finds the most bytes that the tensors of a training step take at one time."""

    bytes = 0

    def before_run(self, run_context: Any) -> tf.train.SessionRunArgs:  # noqa: ARG002
        return tf.train.SessionRunArgs(None, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE))

    def after_run(self, run_context: Any, run_values: Any) -> None:  # noqa: ARG002
        nodes = (node for device in run_values.run_metadata.step_stats.dev_stats for node in device.node_stats)
        records = (record for node in nodes for memory in node.memory for record in memory.allocation_records)
        changes = sorted((record.alloc_micros, record.alloc_bytes) for record in records)  # negative where it is freed
        self.bytes = max(self.bytes, *itertools.accumulate(change for _, change in changes))


def test_a_step_needs_the_memory_of_a_lot(make_config: MakeConfig, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    small_task.write_task(data, train=256)
    peaks = []
    for lots in (1, 2, 4, 8):
        config = make_config(
            data_path=str(data),
            output_dir=str(tmp_path / str(lots)),
            train_batch_size=256,
            gradient_accumulation_steps=lots,
        )
        recipe = room._recipe(config, CpuDevice())
        train_set, dev = room._datasets(recipe)
        hook = PeakHook()
        room._take_steps(recipe, train_set, dev.dataset, range(1), hooks=[hook])
        peaks.append(hook.bytes)
    # The weights' gradients and the word embeddings of all lots do not shrink.
    assert all(fewer < 0.75 * more for more, fewer in zip(peaks, peaks[1:])), peaks
