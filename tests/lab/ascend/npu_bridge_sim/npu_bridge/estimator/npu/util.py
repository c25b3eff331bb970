"""Checks and helpers that scripts take from `npu_bridge.estimator.npu.util`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from npu_bridge._simulation import not_simulated


def check_positive_integer(value: Any, name: str) -> None:
    """Raise TypeError unless `value` is an int, ValueError unless it is above zero."""
    check_nonnegative_integer(value, name)
    if value == 0:
        raise ValueError(f"{name} must be positive, got {value}")


def check_nonnegative_integer(value: Any, name: str) -> None:
    """Raise TypeError unless `value` is an int, ValueError if it is below zero."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be int, got {type(value).__name__} {value!r}")
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")


def check_bool_type(value: Any, name: str) -> None:
    """Raise TypeError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def set_iteration_per_loop(sess: Any, train_op: Any, iterations_per_loop: int = 1) -> Any:
    """Return `train_op` for one step per `Session.run`; more steps are a loop that only the device runs."""
    del sess
    if not isinstance(train_op, tf.Operation):
        raise ValueError(f"train_op must be an Operation, got {type(train_op).__name__}")
    check_positive_integer(iterations_per_loop, "iterations_per_loop")
    if iterations_per_loop > 1:
        raise not_simulated(f"iterations_per_loop={iterations_per_loop}")
    return train_op
