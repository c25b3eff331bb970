"""Operators of the NPU, as TensorFlow's own on the CPU."""

from __future__ import annotations

import numbers
import os
from typing import Any

import tensorflow as tf

from npu_bridge._card import open_card


def NPUInit(name: str | None = None) -> tf.Operation:  # noqa: N802 published name
    """Return the op that opens the card; run it in a session before any collective operation."""
    _refuse_eager("NPUInit")
    return tf.compat.v1.py_func(open_card, [], [], stateful=True, name=name)


def NPUShutdown(name: str | None = None) -> tf.Operation:  # noqa: N802 published name
    """Return the op that closes the card."""
    _refuse_eager("NPUShutdown")
    return tf.no_op(name=name)


def initialize_system(name: str | None = None) -> tf.Operation:
    """Return `NPUInit`."""
    return NPUInit(name)


def shutdown_system(name: str | None = None) -> tf.Operation:
    """Return `NPUShutdown`."""
    return NPUShutdown(name)


def dropout(
    x: Any, keep_prob: Any, noise_shape: Any = None, seed: int | None = None, name: str | None = None
) -> tf.Tensor:
    """Keep each element with probability `keep_prob` and scale it by 1/keep_prob; the real op draws other numbers.

    Raises:
        ValueError: `x` is not floating point or `keep_prob` is outside (0, 1].
    """
    _refuse_eager("dropout")
    x = tf.convert_to_tensor(x, name="x")
    if not x.dtype.is_floating:
        raise ValueError(f"dropout needs a floating point tensor, got {x.dtype.name}")
    if isinstance(keep_prob, numbers.Real) and not 0 < keep_prob <= 1:
        raise ValueError(f"keep_prob must be in (0, 1], got {keep_prob}")
    how = os.environ.get("ASCEND_SIM_DROPOUT")
    if how == "off":  # for comparisons of runs that would draw other numbers
        return x
    if how == "repeats":
        kept = tf.random.stateless_uniform(tf.shape(x), [0, seed or 0]) < keep_prob
        return tf.where(kept, x / keep_prob, tf.zeros_like(x))
    return tf.nn.dropout(x, rate=1 - keep_prob, noise_shape=noise_shape, seed=seed, name=name)


def _refuse_eager(op: str) -> None:
    if tf.executing_eagerly():
        raise RuntimeError(f"{op} needs graph mode: the NPU compiles whole graphs")
