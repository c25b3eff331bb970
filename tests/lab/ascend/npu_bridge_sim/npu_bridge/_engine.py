"""What the graph engine makes of a session's graphs, as unkind as variables say.

Sources in https://github.com/Ascend/tensorflow, branch r1.2.0: tf_adapter/kernels/geop_npu.cc (each set of fetches is a
graph of its own, which is added to the engine when it is first run), tf_adapter/python/npu_bridge/estimator/npu/
npu_loss_scale_optimizer.py (the optimizer alone reads and clears the register of overflows, after the gradients).
"""

from __future__ import annotations

import os
from typing import Any, Iterator

import numpy as np
import tensorflow as tf

from npu_bridge import _log

_PLACE, _FATAL = "kernels/geop_npu.cc:655", "[GEOP] call ge session add graph failed"
_overflowed = False


class Engine:
    """Stands between a session and its graphs from the session's first step on."""

    def __init__(self, session: tf.compat.v1.Session) -> None:
        """Take the session, unless its graph has an operation that ASCEND_SIM_UNSUPPORTED names."""
        unsupported = os.environ.get("ASCEND_SIM_UNSUPPORTED", "").split(",")
        for op in session.graph.get_operations():
            if op.type in unsupported and not _is_constant(op):
                _log.abort(_PLACE, _FATAL, f"no engine has a kernel for {op.name}, which is of type {op.type}")
        self._run = session.run
        self._graphs: set[frozenset[Any]] = set()
        session.run = self.run

    def run(self, fetches: Any, *arguments: Any, **options: Any) -> Any:
        """Run the graph of these fetches, if it is one of the first ASCEND_SIM_GRAPHS."""
        self._graphs.add(frozenset(getattr(each, "name", each) for each in _leaves(fetches)))
        if len(self._graphs) > int(os.environ.get("ASCEND_SIM_GRAPHS", "1000")):
            _log.abort(_PLACE, _FATAL, f"no device memory for graph {len(self._graphs)} of this session")
        results = self._run(fetches, *arguments, **options)
        if _float_status_is("kept") and not all(
            np.isfinite(each).all() for each in _leaves(results) if _is_float(each)
        ):
            _note_overflow()
        return results


def float_status(gradients: list[tf.Tensor]) -> tf.Tensor:
    """Return 1, or NaN where the register says that something has overflowed since it was last cleared."""
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(each)) for each in gradients])

    def read_and_clear(is_finite: np.ndarray) -> np.float32:
        global _overflowed  # noqa: PLW0603 a card has one register
        overflowed = _overflowed or not is_finite
        _overflowed = overflowed and _float_status_is("sticks")
        return np.float32(np.nan if overflowed else 1)

    status = tf.compat.v1.py_func(read_and_clear, [finite], tf.float32, stateful=True)
    status.set_shape([])
    return status


def lose_updates(graph: tf.Graph) -> None:
    """Let a step's decay of a variable come to nothing where ASCEND_SIM_UPDATES=last: only the last update counts."""
    if os.environ.get("ASCEND_SIM_UPDATES") == "last":
        for op in graph.get_operations():
            if op.type == "ApplyGradientDescent":
                op._update_input(1, tf.zeros_like(op.inputs[1]))


def _note_overflow() -> None:
    global _overflowed  # noqa: PLW0603
    _overflowed = True


def _float_status_is(how: str) -> bool:
    return os.environ.get("ASCEND_SIM_FLOAT_STATUS") == how


def _is_constant(op: tf.Operation) -> bool:
    """Whether TensorFlow computes it before the engine sees the graph."""
    return op.type == "Const" or (bool(op.inputs) and all(_is_constant(tensor.op) for tensor in op.inputs))


def _leaves(nested: Any) -> Iterator[Any]:
    if isinstance(nested, dict):
        nested = list(nested.values())
    if isinstance(nested, (list, tuple)):
        for each in nested:
            yield from _leaves(each)
    else:
        yield nested


def _is_float(value: Any) -> bool:
    return isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind == "f"
