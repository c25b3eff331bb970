"""Loss-scale managers: the adapter's are copies of TensorFlow's, so TensorFlow's own stand in for them."""

from tensorflow.contrib.mixed_precision import ExponentialUpdateLossScaleManager, FixedLossScaleManager

__all__ = ["ExponentialUpdateLossScaleManager", "FixedLossScaleManager"]
