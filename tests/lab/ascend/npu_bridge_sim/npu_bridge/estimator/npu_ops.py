"""Operators of the NPU, as TensorFlow's own on the CPU."""

from __future__ import annotations

import itertools
import numbers
import os
from typing import Any

import numpy as np
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
    if how in ("repeats", "seedless"):
        drawn_by = [0, seed or 0] if how == "repeats" else [1, _number_of_the_run()]
        kept = tf.random.stateless_uniform(tf.shape(x), drawn_by) < keep_prob
        return tf.where(kept, x / keep_prob, tf.zeros_like(x))
    return tf.nn.dropout(x, rate=1 - keep_prob, noise_shape=noise_shape, seed=seed, name=name)


def _number_of_the_run() -> tf.Tensor:
    """Return the one tensor of this graph that counts how often it is run."""
    runs = tf.compat.v1.get_collection_ref("npu_bridge_simulated_runs")
    if not runs:
        counted = itertools.count()
        runs.append(tf.compat.v1.py_func(lambda: np.int32(next(counted)), [], tf.int32, stateful=True))
        runs[0].set_shape([])
    return runs[0]


def _refuse_eager(op: str) -> None:
    if tf.executing_eagerly():
        raise RuntimeError(f"{op} needs graph mode: the NPU compiles whole graphs")
