"""The simulated estimator: same numbers as TensorFlow's, refusals of the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format

from npu_bridge.npu_init import (
    DumpConfig,
    DynamicInputConfig,
    NPUCheckpointSaverHook,
    NPUDistributedOptimizer,
    NPUEstimator,
    NPUEstimatorSpec,
    NPURunConfig,
    ProfilingConfig,
    npu_ops,
    npu_unary_ops,
)


def model_fn(features: dict[str, Any], labels: Any, mode: str) -> tf.estimator.EstimatorSpec:
    """A one-layer regression through the operators of the NPU."""
    hidden = npu_unary_ops.gelu(features["x"])
    if mode == tf.estimator.ModeKeys.TRAIN:
        hidden = npu_ops.dropout(hidden, keep_prob=0.9)
    output = tf.compat.v1.layers.dense(hidden, 1)
    if mode == tf.estimator.ModeKeys.PREDICT:
        return NPUEstimatorSpec(mode, predictions={"output": output})
    loss = tf.reduce_mean(tf.square(output - labels))
    optimizer = NPUDistributedOptimizer(tf.compat.v1.train.AdamOptimizer(0.05))
    train_op = optimizer.minimize(loss, tf.compat.v1.train.get_global_step())
    return NPUEstimatorSpec(mode, loss=loss, train_op=train_op)


def batches(drop_remainder: bool = True, epochs: int = 2) -> Callable[[], tf.data.Dataset]:
    x = np.random.RandomState(0).randn(40, 3).astype(np.float32)
    labels = x.sum(axis=1, keepdims=True)
    return lambda: tf.data.Dataset.from_tensor_slices(({"x": x}, labels)).repeat(epochs).batch(16, drop_remainder)


def number_of_features(features: dict[str, Any]) -> int:
    return len(features)


def estimator(folder: Path, **config: Any) -> NPUEstimator:
    return NPUEstimator(model_fn, config=NPURunConfig(model_dir=str(folder), tf_random_seed=1, **config))


def test_numbers_are_those_of_tensorflow(tmp_path: Path) -> None:
    results = []
    plain = tf.estimator.RunConfig(model_dir=str(tmp_path / "cpu"), tf_random_seed=1)
    for subject in (estimator(tmp_path / "npu"), tf.estimator.Estimator(model_fn, config=plain)):
        subject.train(batches(epochs=40))
        results.append([*subject.evaluate(batches()).values(), *(row["output"] for row in subject.predict(batches()))])
    assert results[0] == results[1]
    assert results[0][0] < 1.0  # it learns


def test_one_saver_of_the_npu_writes_the_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    begun: list[Any] = []
    monkeypatch.setattr(
        NPUCheckpointSaverHook, "begin", lambda hook: (begun.append(hook), hook.__class__.__base__.begin(hook))
    )

    class Listener(tf.estimator.CheckpointSaverListener):
        def after_save(self, session: Any, global_step_value: int) -> None:
            saved.append(int(session.run(tf.compat.v1.train.get_global_step())))
            assert global_step_value == saved[-1]

    subject = estimator(tmp_path, save_checkpoints_steps=2)
    subject.train(batches(), saving_listeners=[Listener()], max_steps=3)
    assert saved == [0, 2, 3]
    assert len(begun) == 1
    assert subject.latest_checkpoint() == str(tmp_path / "model.ckpt-3")


@pytest.mark.parametrize("mode", ["train", "evaluate", "predict"])
def test_dynamic_shapes_are_refused(tmp_path: Path, mode: str) -> None:
    subject = estimator(tmp_path)
    subject.train(batches(), max_steps=1)
    with pytest.raises(ValueError, match=r"features/x has the dynamic shape \(\?, 3\).*drop_remainder=True"):
        list(getattr(subject, mode)(batches(drop_remainder=False)) or [])


def test_dynamic_labels_are_refused_too(tmp_path: Path) -> None:
    subject = estimator(tmp_path)
    with pytest.raises(ValueError, match=r"^labels has the dynamic shape"):
        subject.train(lambda: batches()().map(lambda x, y: (x, tf.boolean_mask(y, tf.ones([16], tf.bool)))))


def test_a_list_of_shapes_and_an_exported_model_may_be_dynamic(tmp_path: Path) -> None:
    gears = DynamicInputConfig("x:-1,3", "16;8", 0)
    estimator(tmp_path / "gears", dynamic_input_config=gears).train(batches(drop_remainder=False), max_steps=1)
    subject = estimator(tmp_path / "export")
    subject.train(batches(), max_steps=1)
    with tf.Graph().as_default():
        receiver = tf.estimator.export.build_raw_serving_input_receiver_fn(
            {"x": tf.compat.v1.placeholder("float", [None, 3])}
        )
    assert Path(subject.export_saved_model(str(tmp_path), receiver).decode()).is_dir()


SESSION_OPTIONS = {
    "use_off_line": {"b": True},
    "iterations_per_loop": {"i": "1"},
    "enable_data_pre_proc": {"b": True},
    "precision_mode": {"s": "allow_mix_precision"},
    "enable_reduce_precision": {"b": False},
    "variable_format_optimize": {"b": True},
    "mix_compile_mode": {"b": False},
    "hcom_parallel": {"b": False},
    "graph_memory_max_size": {"s": "1024"},
    "is_tailing_optimization": {"b": False},
    "horovod_mode": {"b": False},
    "graph_run_mode": {"i": "1"},
    "op_debug_level": {"i": "0"},
    "enable_exception_dump": {"i": "0"},
    "buffer_optimize": {"s": "l2_optimize"},
    "enable_small_channel": {"i": "0"},
    "enable_compress_weight": {"b": False},
    "enable_dump": {"b": True},
    "dump_path": {"s": "/output"},
    "dump_mode": {"s": "output"},
    "enable_dump_debug": {"b": False},
    "dump_debug_mode": {"s": "all"},
}


def test_session_options_reach_the_graph_optimizer_and_the_users_stay(tmp_path: Path) -> None:
    users = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=2)
    options = {"precision_mode": "allow_mix_precision", "dump_config": DumpConfig(True, "/output")}
    subject = estimator(tmp_path, session_config=users, graph_memory_max_size=1024, **options)
    session = subject.config.session_config
    (optimizer,) = session.graph_options.rewrite_options.custom_optimizers
    values = {key: json_format.MessageToDict(value) for key, value in optimizer.parameter_map.items()}
    text = {key: {kind: parameter(optimizer, key, kind) for kind in value} for key, value in values.items()}
    assert optimizer.name == "NpuOptimizer"
    assert text == SESSION_OPTIONS
    assert (session.intra_op_parallelism_threads, session.inter_op_parallelism_threads) == (1, 2)
    assert not users.graph_options.rewrite_options.custom_optimizers


def parameter(optimizer: Any, key: str, kind: str) -> Any:
    value = getattr(optimizer.parameter_map[key], kind)
    return {"b": bool, "i": str, "s": bytes.decode}[kind](value)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"iterations_per_loop": 0}, ValueError, "iterations_per_loop must be positive, got 0"),
        ({"iterations_per_loop": 1.0}, TypeError, "iterations_per_loop must be int, got float 1.0"),
        ({"iterations_per_loop": 10}, NotImplementedError, "iterations_per_loop=10"),
        ({"mix_compile_mode": 1}, ValueError, "mix_compile_mode must be of type"),
        ({"mix_compile_mode": True, "iterations_per_loop": 2}, ValueError, "iterations_per_loop must be 1"),
        ({"horovod_mode": "no"}, ValueError, "horovod_mode must be of type"),
        ({"graph_run_mode": 2}, ValueError, "graph_run_mode must be 0 or 1, got 2"),
        ({"enable_exception_dump": -1}, ValueError, "enable_exception_dump must not be negative, got -1"),
        ({"dump_config": {"enable_dump": True}}, ValueError, "dump_config must be of type"),
        ({"dynamic_input_config": "x:-1"}, ValueError, "dynamic_input_config must be of type"),
        ({"distribute": object()}, NotImplementedError, "parameter-server mode"),
        ({"precision_mode": "fp16"}, ValueError, "precision_mode='fp16': choose one of allow_fp32_to_fp16, "),
        ({"op_debug_level": 3}, ValueError, "op_debug_level=3: choose one of 0, 1, 2"),
        ({"op_select_implmode": "fast"}, ValueError, "op_select_implmode='fast'"),
        ({"buffer_optimize": "l1_optimize"}, ValueError, "buffer_optimize='l1_optimize'"),
        ({"mstune_mode": "5"}, ValueError, "mstune_mode='5'"),
        ({"dump_config": DumpConfig(True, dump_mode="both")}, ValueError, "dump_mode='both'"),
        ({"dump_config": DumpConfig(dump_debug_mode="some")}, ValueError, "dump_debug_mode='some'"),
        ({"profiling_config": ProfilingConfig(True)}, ValueError, "profiling_options must be set when use profiling"),
    ],
)
def test_illegal_configuration(tmp_path: Path, arguments: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        estimator(tmp_path, **arguments)


@pytest.mark.parametrize(
    ("variable", "value", "error", "message"),
    [
        ("JOB_ID", None, AttributeError, "__job_info"),
        ("RANK_SIZE", None, AttributeError, "isdigit"),
        ("TF_CONFIG", '{"cluster": {"ps": ["a:1"]}}', NotImplementedError, "parameter-server mode"),
    ],
)
def test_what_the_published_constructor_reads(  # noqa: PLR0917 a table's columns
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str | None, error: type, message: str
) -> None:
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(error, match=message):
        estimator(tmp_path)


@pytest.mark.parametrize("variable", ["ASCEND_VISIBLE_DEVICES", "ASCEND_DEVICE_ID", "DEVICE_ID", "RANK_ID"])
def test_what_it_does_not_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv(variable, raising=False)
    estimator(tmp_path).train(batches(), max_steps=1)


def test_the_first_session_writes_where_the_compilers_do(tmp_path: Path) -> None:
    estimator(tmp_path / "model").train(batches(), max_steps=1)
    written = {path.name for path in Path.cwd().iterdir()}
    assert written == {"kernel_meta", "fusion_result.json", "check_result.tf.json", "ge_check_op.json", "ascend"}


def test_other_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="config must be an NPURunConfig, got RunConfig"):
        NPUEstimator(model_fn, config=tf.estimator.RunConfig())
    with pytest.raises(ValueError, match="model_fn must be given"):
        NPUEstimator(config=NPURunConfig())
    with pytest.raises(ValueError, match="model_dir='a' of NPUEstimator differs from 'b'"):
        NPUEstimator(model_fn, model_dir="a", config=NPURunConfig(model_dir="b"))
    with pytest.raises(NotImplementedError, match="host_call"):
        NPUEstimatorSpec("train", host_call=(print, []))
    with pytest.raises(NotImplementedError, match="job_start_file"):
        NPUEstimator(model_fn, config=NPURunConfig(), job_start_file="job.json")
    no_spec = NPUEstimator(number_of_features, config=NPURunConfig(model_dir=str(tmp_path)))
    with pytest.raises(RuntimeError, match="model_fn must return an EstimatorSpec, got int"):
        no_spec.train(batches())
    monkeypatch.chdir(tmp_path)
    assert Path(NPUEstimator(model_fn, config=NPURunConfig()).model_dir).parent.resolve() == tmp_path


def test_each_estimator_says_that_it_is_simulated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)  # as the trainer does
    estimator(tmp_path)
    assert "simulated Ascend NPU, the graph runs on the CPU" in caplog.text
