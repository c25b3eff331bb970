"""Schedule and optimizer against the published implementation, and the corrected one against its definition."""

from typing import Callable, Dict, List
from unittest import mock

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from bert import optimization as reference
from hypothesis import given, settings
from hypothesis import strategies as st

from bert_trainer.devices import kernels
from bert_trainer.model import optimization
from bert_trainer.model.optimization import AdamWeightDecayOptimizer, learning_rate_at, minimize

RATE = 0.01
# The reference increments the step while it computes the rate, so a step may see the next one's: here all are equal.
STEPS = 10**9
WARMUP = 0
Variables = Dict[str, np.ndarray]
TrainOp = Callable[[tf.Tensor], tf.Operation]
Apply = Callable[[optimization.Update, optimization.Gradient], tf.Operation]
# TensorFlow's kernel rounds 1 - 0.999 in single precision, which is 1.3e-5 off: v and all later steps see it.
ROUNDING = {optimization.apply_update: 2e-5, kernels.apply_update: 1e-6}
both_ways = pytest.mark.parametrize("apply", list(ROUNDING), ids=["TensorFlow's", "fused"])


def rates(learning_rate: Callable[[tf.Variable], tf.Tensor], total: int) -> List[float]:
    """Returns the learning rate at every step, the last one included."""
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.train.get_or_create_global_step()
        rate = learning_rate(step)
        session.run(tf.global_variables_initializer())
        values = []
        for number in range(total + 1):
            step.load(number, session)
            values.append(session.run(rate))
        return values


def reference_rate(total: int, warmup: int) -> tf.Tensor:
    weight = tf.get_variable("weight", initializer=1.0)
    with mock.patch.object(reference, "AdamWeightDecayOptimizer") as optimizer:
        optimizer.return_value.apply_gradients.return_value = tf.no_op()
        reference.create_optimizer(weight * 2.0, 2e-5, total, warmup, use_tpu=False)
    return optimizer.call_args[1]["learning_rate"]


@pytest.mark.parametrize(("total", "warmup"), [(343, 34), (10, 0), (10, 1), (1, 0), (7, 6)])
def test_schedule_is_the_reference_s_at_every_step(total: int, warmup: int) -> None:
    mine = rates(lambda step: learning_rate_at(step, 2e-5, total, warmup), total)
    published = rates(lambda _step: reference_rate(total, warmup), total)
    np.testing.assert_allclose(mine, published, rtol=1e-6, atol=0)
    assert mine[-1] == 0


def small_problem(train_op: TrainOp, steps: int, scale: float) -> Variables:
    """Takes some steps on a loss that reads a table, a kernel, a bias and a layer norm; returns every variable."""
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        table = tf.get_variable("embeddings", initializer=random.normal(size=(9, 4)).astype(np.float32))
        kernel = tf.get_variable("dense/kernel", initializer=random.normal(size=(4, 3)).astype(np.float32))
        bias = tf.get_variable("dense/bias", initializer=random.normal(size=3).astype(np.float32))
        gamma = tf.get_variable("LayerNorm/gamma", initializer=random.normal(size=3).astype(np.float32))
        read = tf.gather(table, [1, 2, 2, 5])
        loss = scale * tf.reduce_mean(tf.square(tf.matmul(read, kernel) * gamma + bias))
        op = train_op(loss)
        session.run(tf.global_variables_initializer())
        for _ in range(steps):
            session.run(op)
        return {variable.op.name: session.run(variable) for variable in tf.global_variables()}


def our_op(apply: Apply, bias_correction: bool) -> TrainOp:
    def train_op(loss: tf.Tensor) -> tf.Operation:
        step = tf.train.get_or_create_global_step()
        rate = learning_rate_at(step, RATE, STEPS, WARMUP)
        return minimize(AdamWeightDecayOptimizer(rate, step, bias_correction, apply), loss, step)

    return train_op


def reference_op(loss: tf.Tensor) -> tf.Operation:
    return reference.create_optimizer(loss, RATE, STEPS, WARMUP, use_tpu=False)


@pytest.mark.parametrize("scale", [1e-3, 10.0], ids=["not clipped", "clipped"])
@pytest.mark.parametrize("steps", [1, 2, 7])
@both_ways
def test_steps_are_the_reference_s(apply: Apply, steps: int, scale: float) -> None:
    mine, published = (
        small_problem(our_op(apply, bias_correction=False), steps, scale),
        small_problem(reference_op, steps, scale),
    )
    assert mine["global_step"] == published["global_step"] == steps
    assert set(mine) == set(published)  # the slots have the published names, too
    for name, value in published.items():
        tolerance = ROUNDING[apply] if steps > 1 or name.endswith("adam_v") else 1e-6
        np.testing.assert_allclose(mine[name], value, rtol=0, atol=tolerance * np.abs(value).max(), err_msg=name)


def expected_after(gradients: List[float], rate: float, decay: float) -> float:
    """Kingma and Ba 2015, section 2, last paragraph, with decoupled decay; the weight starts at 1."""
    weight, m, v = 1.0, 0.0, 0.0
    for t, gradient in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        corrected = rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        weight -= corrected * m / (np.sqrt(v) + 1e-6) + rate * decay * weight
    return weight


@both_ways
@settings(max_examples=15)
@given(
    st.lists(st.floats(-0.9, 0.9).filter(lambda g: g == 0 or abs(g) > 1e-3), min_size=1, max_size=6),
    st.sampled_from(["kernel", "bias"]),
)
def test_bias_corrected_steps_follow_the_definition(apply: Apply, gradients: List[float], name: str) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        weight = tf.get_variable(name, initializer=1.0)
        slope = tf.placeholder(tf.float32, [])
        step = tf.train.get_or_create_global_step()
        optimizer = AdamWeightDecayOptimizer(tf.constant(0.1), step, True, apply)
        op = minimize(optimizer, slope * weight, step)
        session.run(tf.global_variables_initializer())
        for gradient in gradients:
            session.run(op, {slope: gradient})
        decay = 0.01 if name == "kernel" else 0.0
        np.testing.assert_allclose(session.run(weight), expected_after(gradients, 0.1, decay), rtol=1e-4)
