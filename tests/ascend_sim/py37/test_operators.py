"""Operators, optimizers and collectives of the simulation against their formulas."""

from __future__ import annotations

import math
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


@pytest.mark.parametrize("keep_prob", [0, 0.0, -0.1, 1.1])
def test_dropout_refuses_a_probability(keep_prob: float) -> None:
    with pytest.raises(ValueError, match=r"keep_prob must be in \(0, 1\], got"):
        npu_ops.dropout(tf.ones([1]), keep_prob)


def test_dropout_refuses_integers() -> None:
    with pytest.raises(ValueError, match="floating point tensor, got int32"):
        npu_ops.dropout(tf.ones([1], tf.int32), 0.9)


def test_initialize_system_takes_the_card(session: tf.compat.v1.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    session.run([npu_ops.initialize_system(), npu_ops.shutdown_system(name="bye")])
    monkeypatch.delenv("ASCEND_VISIBLE_DEVICES")
    with pytest.raises(RuntimeError, match="names no Ascend 910"):
        npu_ops.initialize_system()


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


def test_two_cards_are_not_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = tf.compat.v1.get_variable("weight", initializer=tf.ones([4]))
    optimizer = NPUDistributedOptimizer(tf.compat.v1.train.GradientDescentOptimizer(0.5))
    monkeypatch.setenv("RANK_SIZE", "2")
    for loss in (weight * 3, tf.gather(weight, [1])):  # a dense gradient, then IndexedSlices
        with pytest.raises(NotImplementedError, match="a collective operation over 2 ranks"):
            optimizer.compute_gradients(loss)


def test_collectives_over_one_rank_return_their_input() -> None:
    tensor = tf.ones([2])
    assert hccl_ops.allreduce(tensor, "sum") is tensor
    assert hccl_ops.allgather(tensor, 1) is tensor
    assert hccl_ops.broadcast(tensor, 0) is tensor
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
