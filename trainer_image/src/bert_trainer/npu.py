"""Ascend: everything that knows CANN's TensorFlow adapter. Only a run on an NPU imports npu_bridge."""

import itertools
from typing import Any, Callable

import tensorflow.compat.v1 as tf

from bert_trainer.config import Config, estimator_options
from bert_trainer.errors import BadConfigError
from bert_trainer.modeling import Operations, layer_norm_and_gradient


class NpuDevice:
    """The estimator, the optimizer wrapper and the operations of CANN's TensorFlow adapter, as of CANN 20.2."""

    def __init__(self) -> None:
        try:
            import npu_bridge  # noqa: PLC0415
            from npu_bridge.estimator import npu_ops  # noqa: PLC0415
            from npu_bridge.estimator.npu import npu_config, npu_estimator, npu_optimizer  # noqa: PLC0415
            from npu_bridge.estimator.npu_unary_ops import npu_unary_ops  # noqa: PLC0415
        except ImportError as reason:
            message = "--device=npu: {}; use the trainer's Ascend image (its base brings the adapter) or --device=cpu"
            raise BadConfigError(message.format(reason)) from reason
        self.backend = "npu-simulated" if getattr(npu_bridge, "SIMULATED", False) else "npu"
        self.spec = npu_estimator.NPUEstimatorSpec
        self._config, self._estimator, self._optimizer = npu_config, npu_estimator, npu_optimizer
        self._ops, self._unary_ops = npu_ops, npu_unary_ops

    def operations(self, step: tf.Tensor, seed: int, training: bool) -> Operations:  # noqa: ARG002
        """Returns the operations of one graph; layer normalization stays plain, for the graph compiler to fuse."""
        places = itertools.count(seed)

        def dropout(x: tf.Tensor, rate: float) -> tf.Tensor:
            return self._ops.dropout(x, 1.0 - rate, seed=next(places)) if training and rate else x

        return Operations(self._unary_ops.gelu, lambda *x: layer_norm_and_gradient(*x)[0], dropout)

    def distribute(self, optimizer: tf.train.Optimizer) -> tf.train.Optimizer:
        """Returns the optimizer as this device applies it."""
        return self._optimizer.NPUDistributedOptimizer(optimizer)

    def estimator(self, model_fn: Callable[..., Any], config: Config) -> Any:
        """Returns an NPUEstimator that keeps its checkpoints in the run's output folder."""
        run_config = self._config.NPURunConfig(
            session_config=tf.ConfigProto(),
            precision_mode=config.precision_mode,
            enable_data_pre_proc=True,
            iterations_per_loop=1,
            hcom_parallel=False,
            **estimator_options(config),
        )
        return self._estimator.NPUEstimator(model_fn=model_fn, config=run_config)
