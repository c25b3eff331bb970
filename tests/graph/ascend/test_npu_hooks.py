"""The hooks of the simulated adapter do what the published ones do, the saver's extra calls and files too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from npu_bridge.estimator.npu.npu_hook import NPULogOutfeedSessionHook, NPUOutputTensorHook
from npu_bridge.npu_init import NPUEstimator, NPUEstimatorSpec, NPURunConfig

QUIET = {"save_summary_steps": 0, "log_step_count_steps": None}  # TensorFlow's own hooks


def model_fn(features: Any, mode: str) -> tf.estimator.EstimatorSpec:
    """Counts what it is fed."""
    total = tf.compat.v1.get_variable("total", initializer=0.0)
    step = tf.compat.v1.train.get_or_create_global_step()
    loss = tf.compat.v1.assign_add(total, tf.reduce_sum(features), name="counted")
    return NPUEstimatorSpec(mode, loss=loss, train_op=tf.compat.v1.assign_add(step, 1).op)


class Calls(tf.estimator.SessionRunHook):
    """Counts how often the session is run for the step's number alone."""

    count = 0

    def after_create_session(self, session: Any, coord: Any) -> None:  # noqa: ARG002
        real = session.run

        def run(fetches: Any, *arguments: Any, **options: Any) -> Any:
            self.count += getattr(fetches, "name", "").startswith("global_step")
            return real(fetches, *arguments, **options)

        session.run = run


def train(folder: Path, steps: int, *hooks: tf.estimator.SessionRunHook, **config: Any) -> None:
    subject = NPUEstimator(model_fn, config=NPURunConfig(model_dir=str(folder), **QUIET, **config))
    ones = np.ones([1], np.float32)
    # As many steps as there is data: the hook that counts them to a limit would run the session as well.
    subject.train(lambda: tf.data.Dataset.from_tensors(ones).repeat(steps), hooks=list(hooks))


@pytest.mark.parametrize(("save_steps", "calls"), [(1000, 3), (0, 0)])
def test_its_saver_runs_the_session_once_more_after_each_step(tmp_path: Path, save_steps: int, calls: int) -> None:
    few, more = Calls(), Calls()
    train(tmp_path / "few", 1, few, save_checkpoints_steps=save_steps)
    train(tmp_path / "more", 4, more, save_checkpoints_steps=save_steps)
    assert more.count - few.count == calls


@pytest.mark.parametrize("save_steps", [1000, 0])
def test_its_saver_writes_the_graph_and_untrained_weights(tmp_path: Path, save_steps: int) -> None:
    train(tmp_path, 1, save_checkpoints_steps=save_steps)
    written = {path.name for path in tmp_path.iterdir()}
    assert ({"graph.pbtxt", "model.ckpt-0.index", "model.ckpt-0.meta"} <= written) == bool(save_steps)
    assert any(name.startswith("events.") for name in written) == bool(save_steps)  # with the graph


def test_values_are_given_to_a_function_in_lots_and_at_the_end(tmp_path: Path) -> None:
    given: list[list[dict[str, Any]]] = []
    hook = NPUOutputTensorHook({"total": "counted:0"}, output_fn=given.append, output_every_n_steps=2)
    train(tmp_path, 5, hook, save_checkpoints_steps=0)
    assert given == [[{"total": 1.0}, {"total": 2.0}], [{"total": 3.0}, {"total": 4.0}], [{"total": 5.0}]]


def test_nothing_is_printed_where_no_operator_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, 1, NPULogOutfeedSessionHook(output_stream="stdout"), save_checkpoints_steps=0)
    assert capsys.readouterr().out == ""
