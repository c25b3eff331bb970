"""Optimizers that average the gradients of all cards before they apply them."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from hccl.manage.api import get_rank_size
from npu_bridge.estimator.npu.npu_loss_scale_optimizer import NPULossScaleOptimizer
from npu_bridge.hccl import hccl_ops


def allreduce(tensor: Any, var: Any, average: bool = True) -> Any:
    """Return the mean (or the sum) of `tensor` over all ranks."""
    del var
    size = get_rank_size()
    divisor = size if average else 1
    if isinstance(tensor, tf.IndexedSlices):
        values, indices = hccl_ops.allgather(tensor.values, size), hccl_ops.allgather(tensor.indices, size)
        return tf.IndexedSlices(values / divisor, indices, dense_shape=tensor.dense_shape)
    return hccl_ops.allreduce(tensor, "sum") / divisor


class NPUDistributedOptimizer(tf.compat.v1.train.Optimizer):
    """Wrap an optimizer; without RANK_SIZE above 1 it changes nothing."""

    def __init__(self, optimizer: tf.compat.v1.train.Optimizer, name: str | None = None) -> None:
        super().__init__(name=name or f"Distributed{type(optimizer).__name__}", use_locking=False)
        self._optimizer = optimizer

    def compute_gradients(self, *args: Any, **kwargs: Any) -> list[tuple[Any, tf.Variable]]:
        """Return the gradients of the wrapped optimizer, averaged over the ranks."""
        gradients = self._optimizer.compute_gradients(*args, **kwargs)
        if int(os.environ.get("RANK_SIZE", "1")) <= 1:
            return gradients
        return [(gradient if gradient is None else allreduce(gradient, var), var) for gradient, var in gradients]

    def apply_gradients(self, *args: Any, **kwargs: Any) -> Any:
        return self._optimizer.apply_gradients(*args, **kwargs)

    def get_slot(self, *args: Any, **kwargs: Any) -> Any:
        return self._optimizer.get_slot(*args, **kwargs)

    def get_slot_names(self, *args: Any, **kwargs: Any) -> list[str]:
        return self._optimizer.get_slot_names(*args, **kwargs)

    def variables(self, *args: Any, **kwargs: Any) -> list[tf.Variable]:
        return self._optimizer.variables(*args, **kwargs)


class NPUOptimizer(NPUDistributedOptimizer):
    """Averaging and loss scaling in one; `is_tailing_optimization` only orders communication, so it changes nothing."""

    def __init__(  # noqa: PLR0917 published order
        self,
        opt: tf.compat.v1.train.Optimizer,
        loss_scale_manager: Any = None,
        is_distributed: bool = False,
        is_loss_scale: bool = False,
        is_tailing_optimization: bool = False,
        name: str | None = None,
    ) -> None:
        """Wrap `opt`; loss scaling without a manager is a ValueError."""
        del is_tailing_optimization
        if is_loss_scale and loss_scale_manager is None:
            raise ValueError("loss_scale_manager must not be None with is_loss_scale=True")
        inner = NPUDistributedOptimizer(opt) if is_distributed else opt
        inner = NPULossScaleOptimizer(inner, loss_scale_manager, is_distributed) if is_loss_scale else inner
        super().__init__(inner, name or f"NPUOptimizer{type(opt).__name__}")

    def compute_gradients(self, *args: Any, **kwargs: Any) -> list[tuple[Any, tf.Variable]]:
        return self._optimizer.compute_gradients(*args, **kwargs)
