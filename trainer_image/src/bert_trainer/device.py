"""Where the graph runs. This is the only module that knows the NPU's adapter, and only NpuDevice imports it."""

import itertools
import math
import os
from pathlib import Path
from typing import Any, Callable, Dict, Union

import tensorflow.compat.v1 as tf

from bert_trainer.config import Config
from bert_trainer.errors import BadConfigError
from bert_trainer.modeling import Operations, layer_norm_and_gradient

ModelFn = Callable[..., Any]
INTER_OP_THREADS = 2  # measured: 1.15 times faster than 1 on two cores


class CpuDevice:
    """TensorFlow's own Estimator on as many threads as the process may use cores."""

    backend = "cpu"
    spec = tf.estimator.EstimatorSpec

    def operations(self, step: tf.Tensor, seed: int, training: bool) -> Operations:
        """Returns the operations of one graph.

        Dropout is a function of the seed, the step and its place in the graph, so that a resumed run draws what the
        uninterrupted one would have drawn.
        """
        places = itertools.count()

        def dropout(x: tf.Tensor, rate: float) -> tf.Tensor:
            if not training or not rate:
                return x
            place = (seed + 0x9E3779B1 * (1 + next(places))) % 2**31
            return drop(x, rate, tf.stack([tf.cast(step, tf.int32), place]))

        return Operations(gelu, tf.custom_gradient(layer_norm_and_gradient), dropout)

    def distribute(self, optimizer: tf.train.Optimizer) -> tf.train.Optimizer:
        """Returns the optimizer as this device applies it."""
        return optimizer

    def estimator(self, model_fn: ModelFn, config: Config) -> tf.estimator.Estimator:
        """Returns an Estimator that keeps its checkpoints in the run's output folder."""
        session = tf.ConfigProto(
            intra_op_parallelism_threads=available_cores(), inter_op_parallelism_threads=INTER_OP_THREADS
        )
        return tf.estimator.Estimator(
            model_fn, config=tf.estimator.RunConfig(session_config=session, **_common(config))
        )


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

    def estimator(self, model_fn: ModelFn, config: Config) -> Any:
        """Returns an NPUEstimator that keeps its checkpoints in the run's output folder."""
        run_config = self._config.NPURunConfig(
            session_config=tf.ConfigProto(),
            precision_mode=config.precision_mode,
            enable_data_pre_proc=True,
            iterations_per_loop=1,
            hcom_parallel=False,
            **_common(config),
        )
        return self._estimator.NPUEstimator(model_fn=model_fn, config=run_config)


Device = Union[CpuDevice, NpuDevice]


def open_device(name: str) -> Device:
    """Returns the device of --device; raises BadConfigError when this machine or image lacks it."""
    return NpuDevice() if name == "npu" else CpuDevice()


def _common(config: Config) -> Dict[str, Any]:
    return {
        "model_dir": config.output_dir,
        "tf_random_seed": config.seed,
        "save_checkpoints_steps": config.save_checkpoints_steps,
        "keep_checkpoint_max": config.keep_checkpoint_max,
        "save_summary_steps": config.save_checkpoints_steps,
        "log_step_count_steps": config.save_checkpoints_steps,
    }


def drop(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Dropout as a function of a [2] int32 seed, its rate in steps of 2**-16: one random word serves two elements."""
    count = x.shape.num_elements()
    words = tf.random.stateless_uniform([(count + 1) // 2], seed, minval=-(2**31), maxval=2**31 - 1, dtype=tf.int32)
    halves = tf.reshape(tf.bitcast(words, tf.int16), [-1])[:count]
    kept = tf.reshape(halves, x.shape) >= round(rate * 2**16) - 2**15
    return tf.where(kept, x * (1.0 / (1.0 - rate)), tf.zeros_like(x))


def gelu(x: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, tanh approximation (Hendrycks and Gimpel 2016)."""
    return 0.5 * x * (1.0 + tf.tanh(0.7978845608028654 * (x + 0.044715 * tf.pow(x, 3))))


def available_cores(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Returns how many cores this process may keep busy: those of its affinity, or its cgroup's quota if less."""
    cores = len(os.sched_getaffinity(0))
    try:
        if (cgroups / "cpu.max").exists():  # cgroup v2, "max" for no limit
            quota, period = (cgroups / "cpu.max").read_text().split()
        else:  # cgroup v1, -1 for no limit
            quota, period = ((cgroups / "cpu" / name).read_text() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
        limit = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return cores
    return min(cores, limit) if limit > 0 else cores
