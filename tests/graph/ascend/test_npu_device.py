"""The trainer's NpuDevice on the adapter's published interface: what it passes, what it refuses, what it computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Iterator
from unittest import mock

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.devices import npu
from bert_trainer.devices.by_name import open_device
from bert_trainer.errors import DeviceFaultError
from bert_trainer.model.optimization import AdamWeightDecayOptimizer, minimize
from npu_bridge.estimator import npu_ops
from npu_bridge.estimator.npu import npu_config
from npu_bridge.estimator.npu.npu_estimator import NPUEstimatorSpec
from npu_bridge.estimator.npu.npu_loss_scale_optimizer import NPULossScaleOptimizer
from npu_bridge.estimator.npu.npu_optimizer import NPUDistributedOptimizer
from npu_bridge.estimator.npu_unary_ops import npu_unary_ops
from support.trainer import small_task


@pytest.fixture
def flags(model_folder: Path, data_folder: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    return lambda **changes: small_task.flags(model_folder, data_folder, tmp_path / "output", device="npu", **changes)


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def model_fn(features: Any, labels: Any, mode: str) -> Any:
    raise NotImplementedError


def test_its_backend_is_named_as_simulated() -> None:
    device = open_device("npu")
    assert (device.backend, device.spec) == ("npu-simulated", NPUEstimatorSpec)
    assert device.backend in contract.BACKENDS


# The reference's and the adapter manual's; each is an argument of every adapter from r1.2.0 (February 2021) to today's.
ARGUMENTS = {
    "enable_data_pre_proc": True,
    "hcom_parallel": True,
    "iterations_per_loop": 1,
    "keep_checkpoint_max": 5,
    "log_step_count_steps": None,
    "model_dir": "/output",
    "precision_mode": "allow_mix_precision",
    "save_checkpoints_steps": 0,
    "save_summary_steps": 0,
    "tf_random_seed": 1,
}


def test_what_the_run_config_is_given(flags: Callable[..., dict[str, Any]]) -> None:
    config = Config(**{**flags(save_checkpoints_steps=5000, seed=7), "output_dir": "/output"})
    real, given = npu_config.NPURunConfig, {}
    with mock.patch.object(npu_config, "NPURunConfig", side_effect=lambda **kw: given.update(kw) or real(**kw)):
        open_device("npu").estimator(model_fn, config)
    rewriting = given.pop("session_config").graph_options.rewrite_options
    assert given == ARGUMENTS
    off = rewriting.DESCRIPTOR.enum_types_by_name["Toggle"].values_by_name["OFF"].number
    none = rewriting.DESCRIPTOR.enum_types_by_name["MemOptType"].values_by_name["NO_MEM_OPT"].number
    assert (rewriting.remapping, rewriting.memory_optimization) == (off, none)


@pytest.mark.parametrize("mode", contract.PRECISION_MODES)
def test_the_precision_mode_reaches_the_graph_compiler(flags: Callable[..., dict[str, Any]], mode: str) -> None:
    estimator = open_device("npu").estimator(model_fn, Config(**flags(precision_mode=mode)))
    (compiler,) = estimator.config.session_config.graph_options.rewrite_options.custom_optimizers
    assert compiler.name == "NpuOptimizer"
    assert compiler.parameter_map["precision_mode"].s.decode() == mode


def test_it_sets_what_the_adapter_needs(monkeypatch: pytest.MonkeyPatch, flags: Callable[..., dict[str, Any]]) -> None:
    """Without JOB_ID and RANK_SIZE the published constructor of NPUEstimator is an AttributeError."""
    for name in ("JOB_ID", "RANK_ID", "RANK_SIZE", "ASCEND_DEVICE_ID", "ASCEND_VISIBLE_DEVICES"):
        monkeypatch.delenv(name)
    open_device("npu").estimator(model_fn, Config(**flags()))


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ASCEND_DEVICE_ID", "x", "ASCEND_DEVICE_ID='x': must be a number from 0; correct it, or unset it"),
        ("ASCEND_DEVICE_ID", "-1", "ASCEND_DEVICE_ID='-1': must be a number from 0"),
        ("DEVICE_ID", "", "DEVICE_ID='': must be a number from 0"),
        (
            "RANK_SIZE",
            "8",
            "RANK_SIZE=8: the trainer starts its ranks itself; unset RANK_SIZE and RANK_ID, and pass --d",
        ),
    ],
)
def test_a_wrong_number_in_the_environment_is_a_wrong_flag(  # noqa: PLR0917 a table's columns
    flags: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_this_process: None,  # noqa: ARG001
    variable: str,
    value: str,
    message: str,
) -> None:
    """The adapter aborts on some, and the operator would look for another card."""
    monkeypatch.setenv(variable, value)
    assert run(flags(termination_log=tmp_path / "log")) == contract.EXIT_BAD_CONFIG
    assert json.loads((tmp_path / "log").read_text())["message"].startswith(message)


def test_gelu_and_dropout_are_the_card_s(session: tf.Session) -> None:
    x = tf.ones([64, 64])
    wrapped_dropout = mock.patch.object(npu_ops, "dropout", wraps=npu_ops.dropout)
    wrapped_gelu = mock.patch.object(npu_unary_ops, "gelu", wraps=npu_unary_ops.gelu)
    with wrapped_dropout as dropout, wrapped_gelu as gelu:
        training, still = (open_device("npu").operations(tf.constant(0), 5, training) for training in (True, False))
        dropped = [training.dropout(x, 0.1), training.dropout(x, 0.1)]
        training.bias_gelu(x, tf.zeros([64]))
    assert gelu.call_count == 1
    assert [(call[0][0] is x, call[0][1], call[1]) for call in dropout.call_args_list] == [
        (True, 0.9, {"seed": 1}),
        (True, 0.9, {"seed": 2}),
    ]
    first, second = session.run(dropped)
    assert (first != second).any()
    assert still.dropout(x, 0.1) is x
    assert training.dropout(x, 0.0) is x


def test_wrappers() -> None:
    optimizer = tf.train.GradientDescentOptimizer(0.1)
    device = open_device("npu")
    assert type(device.distribute(optimizer, -1)) is NPUDistributedOptimizer
    assert type(device.distribute(optimizer, 0)) is NPULossScaleOptimizer
    assert type(device.distribute(optimizer, 1024)) is NPULossScaleOptimizer


def variables(session: tf.Session) -> dict[str, np.ndarray]:
    """Returns what training has changed, without the bookkeeping of the loss scale."""
    return {
        variable.op.name: session.run(variable)
        for variable in tf.global_variables()
        if variable.op.name.startswith(("weight", "global_step"))
    }


def optimizer_step(session: tf.Session, loss_scale: int) -> Callable[[float], dict[str, np.ndarray]]:
    weight = tf.get_variable("weight", initializer=tf.constant([1.0, -2.0]))
    step, factor = tf.train.get_or_create_global_step(), tf.placeholder(tf.float32)
    adam = AdamWeightDecayOptimizer(tf.constant(0.1), step, True, open_device("npu").apply_update)
    optimizer = open_device("npu").distribute(adam, loss_scale)
    train_op = minimize(optimizer, tf.reduce_sum(factor * weight * weight), step)
    session.run(tf.global_variables_initializer())

    def take(value: float) -> dict[str, np.ndarray]:
        session.run(train_op, {factor: value})
        return variables(session)

    return take


@pytest.mark.parametrize("loss_scale", [0, 1, 1024])
def test_loss_scaling_changes_no_step(session: tf.Session, loss_scale: int) -> None:
    take = optimizer_step(session, loss_scale)
    with tf.Graph().as_default(), tf.Session() as plain:
        take_plain = optimizer_step(plain, -1)
        with plain.graph.as_default():
            expected = [take_plain(value) for value in (3.0, 0.2)]  # one step that is clipped and one that is not
    for values in expected:
        value = 3.0 if values["global_step"] == 1 else 0.2
        taken = take(value)
        assert set(taken) == set(values) == {"weight", "weight/adam_m", "weight/adam_v", "global_step"}
        for name in values:
            np.testing.assert_allclose(taken[name], values[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("loss_scale", [0, 1024])
def test_a_step_that_overflows_changes_nothing(session: tf.Session, loss_scale: int) -> None:
    take = optimizer_step(session, loss_scale)
    before = take(3.0)
    for _ in range(2):
        overflown = take(2e38)
        for name, value in before.items():
            np.testing.assert_array_equal(overflown[name], value, err_msg=name)
    after = take(3.0)
    assert after["global_step"] == 2
    assert (after["weight"] != before["weight"]).all()
    scales = [session.run(variable) for variable in tf.global_variables() if variable.op.name == "loss_scale"]
    assert scales == ([npu.FIRST_LOSS_SCALE / 2] if loss_scale == 0 else [])


def run(flags: dict[str, Any]) -> int:
    return entry.main(small_task.arguments(flags))


@pytest.mark.parametrize("place", ["graph", "4"])
def test_a_fault_that_later_adapters_raise(
    flags: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_this_process: None,  # noqa: ARG001
    place: str,
) -> None:
    """It ends the run at once, where TensorFlow would open sessions for ever, and the next start resumes."""
    arguments = flags(save_checkpoints_steps=2, run_id="uid", termination_log=tmp_path / "log")
    monkeypatch.setenv("ASCEND_SIM_ADAPTER", "r1.5.0")
    monkeypatch.setenv("ASCEND_SIM_FAULT", place)
    assert run(arguments) == contract.EXIT_DEVICE_FAULT
    outcome = json.loads((tmp_path / "log").read_text())
    assert outcome["class"] == "DeviceFault"
    assert outcome["message"].endswith(
        f"ailed - simulated device fault ({place}); start again, best on another card, and look at this one with "
        "npu-smi info"
    )
    monkeypatch.delenv("ASCEND_SIM_FAULT")
    assert run(arguments) == 0
    assert json.loads((tmp_path / "output" / "result.json").read_text())["steps"] == 10


def test_the_same_error_on_the_cpu_is_no_fault_of_a_card() -> None:
    with pytest.raises(DeviceFaultError), open_device("npu").faults():
        raise tf.errors.InternalError(None, None, "of the card")
    with pytest.raises(tf.errors.InternalError), open_device("cpu").faults():
        raise tf.errors.InternalError(None, None, "of the CPU")


def test_a_whole_run_with_a_loss_scale(
    flags: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_this_process: None,  # noqa: ARG001
) -> None:
    """Closing the card takes as long as the real adapter's did, which is no part of the steps."""
    monkeypatch.delenv("ASCEND_SIM_SHUTDOWN")
    assert run(flags(loss_scale=0, save_checkpoints_steps=4)) == 0
    result = json.loads((tmp_path / "output" / "result.json").read_text())
    assert (result["backend"], result["steps"], result["checkpoint"]) == ("npu-simulated", 10, "model.ckpt-10")
    assert result["phases"]["checkpoint"] > 0
    assert result["phases"]["shutdown"] >= 2
    assert [evaluation["step"] for evaluation in result["evaluations"]] == [5, 10]
    events = [json.loads(line) for line in (tmp_path / "output" / "history.jsonl").read_text().splitlines()]
    assert [event["step"] for event in events if "epoch" not in event] == list(range(1, 11))
    left = {path.name for path in (tmp_path / "output").iterdir() if not path.name.startswith("events.")}
    checkpoints = {f"model.ckpt-{step}{part}" for step in (4, 8, 10) for part in (".index", ".data-00000-of-00001")}
    own = {
        "leases",
        "run.json",
        "result.json",
        "history.jsonl",
        "times.json",
        "vocab.txt",
        "bert_config.json",
        "checkpoint",
    }
    assert left == checkpoints | own
    assert tf.train.load_variable(str(tmp_path / "output"), "loss_scale") == npu.FIRST_LOSS_SCALE
