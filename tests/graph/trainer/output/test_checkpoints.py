"""Checkpoints hold the variables and nothing else, and a damaged one costs only the steps since the one before."""

import logging
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import tensorflow.compat.v1 as tf

from bert_trainer.config import Config
from bert_trainer.output import checkpoints
from bert_trainer.reporting.clock import PhaseClock

Train = Callable[..., None]


@pytest.fixture
def train(make_config: Callable[..., Config], tmp_path: Path) -> Train:
    """Trains one variable in the test's folder up to a step, saving every second step and keeping three checkpoints."""
    config = make_config(output_dir=str(tmp_path), keep_checkpoint_max=3)

    def model_fn(features: tf.Tensor, mode: str) -> tf.estimator.EstimatorSpec:
        checkpoints.use_weights_saver(config)
        weight = tf.get_variable("weight", initializer=tf.zeros([1000]))
        step = tf.train.get_global_step()
        update = tf.group(tf.assign_add(weight, tf.fill([1000], features)), tf.assign_add(step, 1))
        return tf.estimator.EstimatorSpec(mode, loss=tf.reduce_sum(weight), train_op=update)

    def up_to(step: int, *listeners: tf.train.CheckpointSaverListener) -> None:
        options: Dict[str, Any] = {"save_checkpoints_steps": None, "save_checkpoints_secs": None}
        run = tf.estimator.RunConfig(str(tmp_path), save_summary_steps=None, log_step_count_steps=None, **options)
        hook = checkpoints.CheckpointHook(str(tmp_path), save_steps=2)
        estimator = tf.estimator.Estimator(model_fn, config=run)
        data = lambda: tf.data.Dataset.from_tensors(1.0).repeat()  # noqa: E731
        estimator.train(data, hooks=[hook], max_steps=step, saving_listeners=listeners)

    return up_to


def steps(folder: Path) -> List[int]:
    return sorted(int(path.stem.split("-")[1]) for path in folder.glob("model.ckpt-*.index"))


def weight(checkpoint: str) -> float:
    return tf.train.load_variable(checkpoint, "weight")[0]


def test_what_is_saved(train: Train, tmp_path: Path) -> None:
    train(9)
    assert steps(tmp_path) == [6, 8, 9]
    kinds = {path.name.split(".")[-1].split("-")[0] for path in tmp_path.iterdir()}
    assert kinds == {"checkpoint", "index", "data"}  # no graph, no events, no meta graph
    train(12)  # from step 9, saving after the 11th, 2 steps later, and at the end
    assert steps(tmp_path) == [9, 11, 12]
    assert weight(str(tmp_path / "model.ckpt-12")) == 12.0


def test_every_saving_is_timed_and_announced(train: Train, tmp_path: Path) -> None:
    clock, asked, seen = PhaseClock(0.0), [], []
    listener = checkpoints.SavingListener(
        clock, lambda: asked.append(steps(tmp_path)), lambda: seen.append(clock.seconds())
    )
    train(3, listener)
    assert asked == [[], [2]]  # before each
    assert len(seen) == len(steps(tmp_path)) == 2
    assert 0 < seen[0]["checkpoint"] < seen[1]["checkpoint"] == clock.seconds()["checkpoint"]


def test_a_checkpoint_that_may_not_be_saved_is_not(train: Train, tmp_path: Path) -> None:
    def refuse() -> None:
        raise PermissionError

    with pytest.raises(PermissionError):
        train(3, checkpoints.SavingListener(PhaseClock(0.0), refuse, lambda: None))
    assert steps(tmp_path) == []


def truncated_data(folder: Path) -> None:
    path = folder / "model.ckpt-8.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:100])


def flipped_bit(folder: Path) -> None:
    path = folder / "model.ckpt-8.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[700] ^= 1
    path.write_bytes(bytes(content))


DAMAGES = {
    "truncated data": truncated_data,
    "flipped bit": flipped_bit,
    "no data": lambda folder: (folder / "model.ckpt-8.data-00000-of-00001").unlink(),
    "truncated index": lambda folder: (folder / "model.ckpt-8.index").write_bytes(b"\0" * 20),
    "empty index": lambda folder: (folder / "model.ckpt-8.index").write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_newest_sound_checkpoint_is_taken(
    train: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    train(8)
    assert checkpoints.recover(tmp_path) == str(tmp_path / "model.ckpt-8")
    assert not caplog.records
    damage(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert checkpoints.recover(tmp_path) == str(tmp_path / "model.ckpt-6")
    assert "model.ckpt-8: damaged (" in caplog.text
    train(10)
    assert steps(tmp_path) == [6, 8, 10]  # the damaged one is written again, and the oldest still makes room
    assert weight(str(tmp_path / "model.ckpt-10")) == 10.0
    assert checkpoints.recover(tmp_path) == str(tmp_path / "model.ckpt-10")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'model_checkpoint_path: "model.ckpt-2"\n', None])
def test_a_damaged_list_of_checkpoints_loses_none(train: Train, tmp_path: Path, content: bytes) -> None:
    train(6)
    path = tmp_path / "checkpoint"
    path.unlink() if content is None else path.write_bytes(content)
    assert checkpoints.recover(tmp_path) == str(tmp_path / "model.ckpt-6") == tf.train.latest_checkpoint(str(tmp_path))


def test_nothing_sound_and_nothing_at_all(train: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert checkpoints.recover(tmp_path / "missing") is None
    train(2)
    (tmp_path / "model.ckpt-2.data-00000-of-00001").unlink()
    assert checkpoints.recover(tmp_path) is None
    assert "model.ckpt-2: damaged" in caplog.text
    assert tf.train.latest_checkpoint(str(tmp_path)) is None


def test_leftovers_of_an_interrupted_saving_are_removed(train: Train, tmp_path: Path) -> None:
    train(2)
    leftover = tmp_path / "model.ckpt-4_temp_0123abcd"
    leftover.mkdir()
    (leftover / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"x")
    checkpoints.recover(tmp_path)
    assert not leftover.exists()
    assert steps(tmp_path) == [2]
