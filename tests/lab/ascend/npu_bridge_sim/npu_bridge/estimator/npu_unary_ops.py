"""Fused activation functions; scripts import the object `npu_unary_ops` from this module of the same name."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf


class npu_unary_ops:  # noqa: N801 published name
    """The operator namespace."""

    @staticmethod
    def gelu(x: Any, name: str | None = None) -> tf.Tensor:
        """Return 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), which the card computes as x times a sigmoid.

        Raises:
            TypeError: `x` is neither float16 nor float32.
        """
        x = tf.convert_to_tensor(x)
        if x.dtype not in (tf.float16, tf.float32):
            raise TypeError(f"Gelu takes float16 or float32, got {x.dtype.name}")
        with tf.name_scope(name or "Gelu"):
            return 0.5 * x * (1 + tf.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
