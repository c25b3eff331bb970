"""Loss scaling for mixed precision."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf
from tensorflow.contrib.mixed_precision import LossScaleOptimizer

from npu_bridge._engine import float_status


class NPULossScaleOptimizer(LossScaleOptimizer):
    """Scale the loss, un-scale the gradients before they are returned, skip the step after an overflow.

    The real one reads the overflow from the float status register of the card, this one from the gradients, or from a
    register where ASCEND_SIM_FLOAT_STATUS says how that is kept.
    """

    def __init__(
        self, opt: tf.compat.v1.train.Optimizer, loss_scale_manager: Any, is_distributed: bool = False
    ) -> None:
        del is_distributed  # an overflow is in the averaged gradients, so every rank finds it by itself
        super().__init__(opt, loss_scale_manager)

    def apply_gradients(self, grads_and_vars: Any, global_step: Any = None, name: str | None = None) -> tf.Operation:
        if os.environ.get("ASCEND_SIM_FLOAT_STATUS"):
            gradients = [tf.convert_to_tensor(gradient) for gradient, _ in grads_and_vars]
            status = float_status(gradients)
            grads_and_vars = [(each * status, variable) for each, (_, variable) in zip(gradients, grads_and_vars)]
        return super().apply_gradients(grads_and_vars, global_step, name)
