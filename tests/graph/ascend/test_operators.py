"""Operators, optimizers and collectives of the simulation against their formulas."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pytest
import tensorflow as tf

from hccl.manage import api as ranks
from npu_bridge.npu_init import (
    ExponentialUpdateLossScaleManager,
    FixedLossScaleManager,
    NPUDistributedOptimizer,
    NPULossScaleOptimizer,
    NPUOptimizer,
    hccl_ops,
    npu_ops,
    npu_unary_ops,
    set_split_strategy_by_idx,
    set_split_strategy_by_size,
    util,
)
from support.trainer.places import NPU_SIMULATION


@pytest.fixture(autouse=True)
def session() -> Iterator[tf.compat.v1.Session]:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        yield session


def test_gelu_and_its_gradient(session: tf.compat.v1.Session) -> None:
    points = np.linspace(-6, 6, 101)
    formula = [0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) for x in points]
    x = tf.constant(points, tf.float32)
    y = npu_unary_ops.gelu(x)
    value, slope = session.run([y, tf.gradients(y, x)[0]])
    np.testing.assert_allclose(value, formula, atol=1e-6)
    np.testing.assert_allclose(slope, np.gradient(formula, points), atol=2e-2)


def test_gelu_refuses_float64() -> None:
    with pytest.raises(TypeError, match="got float64"):
        npu_unary_ops.gelu(tf.zeros([1], tf.float64))


def test_dropout_keeps_the_mean_and_follows_its_seed(session: tf.compat.v1.Session) -> None:
    ones = tf.ones([100_000])
    first, second, other = session.run([npu_ops.dropout(ones, 0.9, seed=seed) for seed in (1, 1, 2)])
    assert first.mean() == pytest.approx(1, abs=0.01)
    assert set(np.unique(first)) == {np.float32(0), np.float32(1 / 0.9)}
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()
    np.testing.assert_array_equal(session.run(npu_ops.dropout(ones, 1.0)), np.ones(100_000))


def test_dropout_can_be_turned_off(session: tf.compat.v1.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASCEND_SIM_DROPOUT", "off")
    np.testing.assert_array_equal(session.run(npu_ops.dropout(tf.ones([1000]), 0.5)), np.ones(1000))


@pytest.mark.parametrize("keep_prob", [0, 0.0, -0.1, 1.1])
def test_dropout_refuses_a_probability(keep_prob: float) -> None:
    with pytest.raises(ValueError, match=r"keep_prob must be in \(0, 1\], got"):
        npu_ops.dropout(tf.ones([1]), keep_prob)


def test_dropout_refuses_integers() -> None:
    with pytest.raises(ValueError, match="floating point tensor, got int32"):
        npu_ops.dropout(tf.ones([1], tf.int32), 0.9)


def test_initialize_system_takes_the_card_when_it_is_run(session: tf.compat.v1.Session) -> None:
    opening, closing = npu_ops.initialize_system(), npu_ops.shutdown_system(name="bye")
    assert not Path("kernel_meta").exists()
    session.run([opening, closing])
    assert Path("kernel_meta").is_dir()


SCALED = {
    "NPULossScaleOptimizer": NPULossScaleOptimizer,
    "around the distributed": lambda opt, manager: NPULossScaleOptimizer(NPUDistributedOptimizer(opt), manager, True),
    "NPUOptimizer": lambda opt, manager: NPUOptimizer(opt, manager, is_distributed=True, is_loss_scale=True),
}


@pytest.mark.parametrize("wrap", SCALED.values(), ids=SCALED)
def test_loss_scaling(session: tf.compat.v1.Session, wrap: Callable[..., Any]) -> None:
    weight = tf.compat.v1.get_variable("weight", initializer=2.0)
    step = tf.compat.v1.train.get_or_create_global_step()
    factor = tf.compat.v1.placeholder(tf.float32)
    manager = ExponentialUpdateLossScaleManager(1024.0, incr_every_n_steps=2, decr_every_n_nan_or_inf=1)
    optimizer = wrap(tf.compat.v1.train.GradientDescentOptimizer(0.5), manager)
    gradients = optimizer.compute_gradients(factor * weight)
    train = optimizer.apply_gradients(gradients, global_step=step)
    session.run(tf.compat.v1.global_variables_initializer())
    assert session.run(gradients[0][0], {factor: 3.0}) == 3.0  # un-scaled before clipping can see it
    state = []
    for value in (1.0, 3e38, 1.0, 1.0):  # the second overflows when it is multiplied by 1024
        session.run(train, {factor: value})
        state.append(session.run([weight, step, manager.get_loss_scale()]))
    np.testing.assert_allclose(state, [[1.5, 1, 1024], [1.5, 1, 819.2], [1.0, 2, 819.2], [0.5, 3, 1638.4]], rtol=1e-6)


def test_loss_scale_needs_a_manager_and_at_least_one() -> None:
    with pytest.raises(ValueError, match="loss_scale_manager must not be None"):
        NPUOptimizer(tf.compat.v1.train.GradientDescentOptimizer(0.5), is_loss_scale=True)
    with pytest.raises(ValueError, match="at least 1"):
        FixedLossScaleManager(0.5)


@pytest.mark.parametrize("wrap", [NPUDistributedOptimizer, NPUOptimizer])
def test_one_card_changes_nothing(session: tf.compat.v1.Session, wrap: type) -> None:
    weight = tf.compat.v1.get_variable("weight", initializer=2.0)
    inner = tf.compat.v1.train.MomentumOptimizer(0.5, 0.9)
    optimizer = wrap(inner)
    train = optimizer.minimize(weight * 3)
    session.run(tf.compat.v1.global_variables_initializer())
    session.run(train)
    assert session.run(weight) == 0.5
    assert optimizer.get_slot_names() == ["momentum"]
    assert optimizer.get_slot(weight, "momentum") is inner.get_slot(weight, "momentum")
    assert optimizer.variables() == inner.variables()


COLLECTIVES = """
import json, sys
import tensorflow as tf
from npu_bridge.npu_init import NPUDistributedOptimizer, get_rank_id, get_rank_size, hccl_ops

rank, size = get_rank_id(), get_rank_size()
x = tf.constant([[1.0 + rank, 2.0 - rank]])
weight = tf.compat.v1.get_variable("weight", initializer=tf.zeros([4]))
optimizer = NPUDistributedOptimizer(tf.compat.v1.train.GradientDescentOptimizer(1.0))
(dense, _), = optimizer.compute_gradients(tf.reduce_sum(weight * x[0, 0]))
(sparse, _), = optimizer.compute_gradients(tf.gather(weight, [rank, 3]) * x[0])
tensors = {
    **{name: hccl_ops.allreduce(x, name) for name in ("sum", "max", "min", "prod")},
    "gathered": hccl_ops.allgather(x, size),
    "from 1": hccl_ops.broadcast([x], 1)[0],
    "mine": hccl_ops.reduce_scatter(tf.range(size) * (rank + 1), "sum", size),
    "dense": dense,
    "sparse": tf.convert_to_tensor(sparse),
}
assert tensors["gathered"].shape == (size, 2), tensors["gathered"].shape
with tf.compat.v1.Session() as session:
    session.run(tf.compat.v1.global_variables_initializer())
    for _ in range(3):
        values = session.run(tensors)
print(json.dumps({name: value.tolist() for name, value in values.items()}))
"""


def ranks_running(code: str, folder: Path, **environment: str) -> list[subprocess.Popen]:
    """Starts code as each of three ranks."""
    devices = [{"device_id": str(rank), "rank_id": str(rank)} for rank in range(3)]
    table = {"status": "completed", "version": "1.0", "server_count": "1", "server_list": [{"device": devices}]}
    (folder / "table.json").write_text(json.dumps(table))
    common = {
        **os.environ,
        "PYTHONPATH": str(NPU_SIMULATION),
        "RANK_TABLE_FILE": str(folder / "table.json"),
        "RANK_SIZE": "3",
    }
    return [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**common, "RANK_ID": str(rank), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        for rank in range(3)
    ]


def test_collectives_over_three_ranks(tmp_path: Path) -> None:
    processes = ranks_running(COLLECTIVES, tmp_path)
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ended
    for rank, (output, _) in enumerate(ended):
        assert json.loads(output) == {
            "sum": [[6.0, 3.0]],
            "max": [[3.0, 2.0]],
            "min": [[1.0, 0.0]],
            "prod": [[6.0, 0.0]],
            "gathered": [[1.0, 2.0], [2.0, 1.0], [3.0, 0.0]],
            "from 1": [[2.0, 1.0]],
            "mine": [6 * rank],
            "dense": [2.0] * 4,
            "sparse": pytest.approx([1 / 3, 2 / 3, 1.0, 1.0]),
        }


BROADCAST = """
import tensorflow as tf
from npu_bridge.estimator.npu.npu_hook import NPUBroadcastGlobalVariablesHook
from npu_bridge.npu_init import get_rank_id

tf.compat.v1.get_variable("weight", initializer=float(get_rank_id()))
with tf.compat.v1.train.MonitoredSession(hooks=[NPUBroadcastGlobalVariablesHook(1, get_rank_id())]) as session:
    print(session.run("weight:0"))
"""


def test_all_ranks_begin_with_the_variables_of_one(tmp_path: Path) -> None:
    processes = ranks_running(BROADCAST, tmp_path)
    ended = [process.communicate(timeout=120) for process in processes]
    assert [output for output, _ in ended] == ["1.0\n"] * 3, ended


LOST = """
import os, sys, tensorflow as tf
from npu_bridge.npu_init import hccl_ops
if os.environ["RANK_ID"] == "2":
    sys.exit()
with tf.compat.v1.Session() as session:
    session.run(hccl_ops.allreduce(tf.ones([1]), "sum"))
"""


def test_a_rank_that_does_not_come_is_waited_for_until_the_timeout(tmp_path: Path) -> None:
    processes = ranks_running(LOST, tmp_path, HCCL_CONNECT_TIMEOUT="2", HCCL_EXEC_TIMEOUT="3")
    words = [process.communicate(timeout=120)[1] for process in processes]
    assert "not all ranks came within HCCL_CONNECT_TIMEOUT" in words[0]
    assert "a rank did not answer within HCCL_EXEC_TIMEOUT" in words[1]


def test_collectives_over_a_group_are_not_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK_SIZE", "2")
    with pytest.raises(NotImplementedError, match="a collective operation over group 'odd'"):
        hccl_ops.allreduce(tf.ones([1]), "sum", group="odd")
    with pytest.raises(ValueError, match="rank_size=3: the world has 2 ranks"):
        hccl_ops.allgather(tf.ones([1]), 3)


def test_collectives_over_one_rank_return_their_input() -> None:
    tensor = tf.ones([2])
    assert hccl_ops.allreduce(tensor, "sum") is tensor
    assert hccl_ops.allgather(tensor, 1) is tensor
    assert hccl_ops.broadcast([tensor], 0) == [tensor]
    assert hccl_ops.reduce_scatter(tensor, "max", 1) is tensor
    with pytest.raises(ValueError, match="reduction='mean': choose one of max, min, prod, sum"):
        hccl_ops.allreduce(tensor, "mean")


def test_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK_SIZE", "4")
    monkeypatch.setenv("RANK_ID", "2")
    assert (ranks.get_rank_size(), ranks.get_local_rank_size(), ranks.get_rank_id()) == (4, 4, 2)
    ranks.create_group("odd", 2, [2, 3])
    try:
        assert (ranks.get_rank_size("odd"), ranks.get_rank_id("odd"), ranks.get_local_rank_id("odd")) == (2, 0, 0)
        assert ranks.get_world_rank_from_group_rank("odd", 1) == 3
        with pytest.raises(ValueError, match="exists already"):
            ranks.create_group("odd", 1, [0])
        with pytest.raises(ValueError, match=r"world_rank_id=0 is not in group 'odd' of ranks \[2, 3\]"):
            ranks.get_group_rank_from_world_rank(0, "odd")
        with pytest.raises(ValueError, match="has ranks 0 to 1"):
            ranks.get_world_rank_from_group_rank("odd", 2)
    finally:
        ranks.destroy_group("odd")
    with pytest.raises(ValueError, match="group 'odd' does not exist"):
        ranks.get_rank_size("odd")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ranks.create_group("g", 2, [0]), "rank_num=2, but rank_ids has 1 members"),
        (lambda: ranks.create_group("g", 1, [1]), "the world has ranks 0 to 0"),
        (lambda: ranks.create_group("", 1, [0]), "1 to 127 characters"),
        (lambda: ranks.get_rank_size("g" * 128), "1 to 127 characters"),
        (lambda: ranks.destroy_group("hccl_world_group"), "cannot be destroyed"),
        (lambda: set_split_strategy_by_idx([3, 2]), r"idxList=\[3, 2\]: give 1 to 8 rising indices"),
        (lambda: set_split_strategy_by_size([60, 20]), r"dataSizeList=\[60, 20\].*sum to 100"),
        (lambda: util.set_iteration_per_loop(None, tf.zeros([]), 1), "train_op must be an Operation, got Tensor"),
    ],
)
def test_illegal_calls(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_legal_splits_and_loops() -> None:
    set_split_strategy_by_idx([20, 100, 159])
    set_split_strategy_by_size([60, 20, 20])
    train_op = tf.no_op()
    assert util.set_iteration_per_loop(None, train_op) is train_op
    with pytest.raises(NotImplementedError, match="iterations_per_loop=10"):
        util.set_iteration_per_loop(None, train_op, 10)
    with pytest.raises(TypeError, match="hcom_parallel must be True or False, got 1"):
        util.check_bool_type(1, "hcom_parallel")
