"""Loss scaling for mixed precision."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.contrib.mixed_precision import LossScaleOptimizer


class NPULossScaleOptimizer(LossScaleOptimizer):
    """Scale the loss, un-scale the gradients before they are returned, skip the step after an overflow.

    The real one reads the overflow from the float status register of the card, this one from the gradients.
    """

    def __init__(
        self, opt: tf.compat.v1.train.Optimizer, loss_scale_manager: Any, is_distributed: bool = False
    ) -> None:
        del is_distributed  # an overflow is in the averaged gradients, so every rank finds it by itself
        super().__init__(opt, loss_scale_manager)
