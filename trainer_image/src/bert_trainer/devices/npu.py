"""Ascend: everything that knows CANN's TensorFlow adapter. Only a run on an NPU imports npu_bridge.

It is written for the adapter of CANN 20.2 (https://github.com/Ascend/tensorflow, branch r1.2.0) and passes none but the
arguments that later adapters have, too. A process has one card, and NPUEstimator opens and closes that itself:
npu_ops.initialize_system and shutdown_system are for programs that call collective operations outside of it.

With several cards there is a process for each (ranks.py). While rank 0 evaluates or saves a checkpoint, the others wait
in the next step's first collective operation, for which HCCL_EXEC_TIMEOUT is the limit, half an hour unless it is set.

A card's fault aborts the process (child.py); from r1.5.0 on it is an exception as well.
"""

import contextlib
import itertools
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, Sequence

import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.training import monitored_session

from bert_trainer.config import Config, estimator_options
from bert_trainer.devices.cards import cards_of, prepare_environment
from bert_trainer.devices.device import Device
from bert_trainer.devices.ranks import my_rank, ranks_on
from bert_trainer.errors import BadConfigError, DeviceFaultError
from bert_trainer.layouts.packed import PackedLayout
from bert_trainer.model.operations import PackedOperations
from bert_trainer.processes.child import FAULT

# How --loss_scale=0 finds the scale: as published, but from a start at which half precision can hold a loss (65504).
FIRST_LOSS_SCALE = 2.0**16
DYNAMIC_LOSS_SCALE = {"incr_every_n_steps": 1000, "decr_every_n_nan_or_inf": 2, "decr_ratio": 0.5}
GRAPH_SEED = 1  # an attribute of operations that draw numbers
SEEDS_OF_A_RANK = 1000  # more than there are places of dropout in a model
# What the adapter's operations make of the errors of driver, runtime and graph engine, and of a peer that is lost.
FAULTS = (
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
)


class NpuDevice(Device):
    """The estimator, the optimizer wrappers and the operations of CANN's TensorFlow adapter."""

    def __init__(self, devices: int = 1) -> None:
        """Raises BadConfigError where there is no adapter, or another number of cards than `devices`."""
        prepare_environment(devices)
        try:
            import npu_bridge  # noqa: PLC0415
            from npu_bridge.estimator import npu_ops  # noqa: PLC0415
            from npu_bridge.estimator.npu import (  # noqa: PLC0415
                npu_config,
                npu_estimator,
                npu_loss_scale_manager,
                npu_loss_scale_optimizer,
                npu_optimizer,
            )
            from npu_bridge.estimator.npu_unary_ops import npu_unary_ops  # noqa: PLC0415
            from npu_bridge.hccl import hccl_ops  # noqa: PLC0415
        except ImportError as reason:
            message = "--device=npu: {}; use the trainer's Ascend image (its base brings the adapter) or --device=cpu"
            raise BadConfigError(message.format(reason)) from reason
        self.backend = "npu-simulated" if getattr(npu_bridge, "SIMULATED", False) else "npu"
        self.spec = npu_estimator.NPUEstimatorSpec
        self._config, self._estimator, self._optimizer = npu_config, npu_estimator, npu_optimizer
        self._managers, self._scaling = npu_loss_scale_manager, npu_loss_scale_optimizer
        self._ops, self._unary_ops, self._collectives = npu_ops, npu_unary_ops, hccl_ops
        self._cards = cards_of(devices) if devices > 1 else None
        self.rank = my_rank()

    def operations(self, step: tf.Tensor, seed: int, training: bool) -> PackedOperations:
        """Returns the operations of one graph, which is the same for every seed of a run: one compilation serves all.

        Dropout's seeds are attributes of the graph, so they tell places and ranks apart, and not runs.
        """
        places = itertools.count(GRAPH_SEED + self.rank * SEEDS_OF_A_RANK)

        def dropout(x: tf.Tensor, rate: float) -> tf.Tensor:
            return self._ops.dropout(x, 1.0 - rate, seed=next(places)) if training and rate else x

        return PackedOperations(self._unary_ops.gelu, dropout)

    def layout(self, lengths: Sequence[int], slots: int, width: int, lots: int = 1) -> PackedLayout:
        return PackedLayout(lengths, slots, width, lots)

    def distribute(self, optimizer: tf.train.Optimizer, loss_scale: int) -> tf.train.Optimizer:
        """Returns the optimizer as this device applies it.

        Args:
            optimizer: the one to wrap.
            loss_scale: that of Config. With one, the gradients that compute_gradients returns are scaled back already,
                and a step that overflows changes nothing, neither the weights nor the global step. (A run that resumes
                after one counts its batches by the global step, so it goes on with batches that it has seen.)
        """
        averaging = self._optimizer.NPUDistributedOptimizer(optimizer)
        if loss_scale < 0:
            return averaging
        if loss_scale:
            manager = self._managers.FixedLossScaleManager(loss_scale)
        else:
            manager = self._managers.ExponentialUpdateLossScaleManager(FIRST_LOSS_SCALE, **DYNAMIC_LOSS_SCALE)
        # Distributed, all ranks skip a step that overflows on one of them.
        return self._scaling.NPULossScaleOptimizer(averaging, manager, is_distributed=bool(self._cards))

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        if not self._cards:
            return x
        (total,) = tf.unstack(self._collectives.allreduce(tf.stack([x]), "sum", fusion=0))  # apart from the gradients
        return total / len(self._cards.by_rank)

    def together(self, config: Config, checkpoint: Optional[str], train: Callable[[], None]) -> None:
        """Runs the training of this process and, from the same checkpoint if any, that of one on each other card.

        Raises:
            ChildError: one of the others has failed.
        """
        if not self._cards:
            train()
            return
        with ranks_on(self._cards) as ranks:
            if checkpoint:
                for folder in ranks.folders.values():
                    tf.train.update_checkpoint_state(str(folder), str(Path(checkpoint).resolve()))
            ranks.start(config)
            ranks.watch(train)

    def estimator(self, model_fn: Callable[..., Any], config: Config) -> Any:
        run_config = self._config.NPURunConfig(
            session_config=session_options(),
            precision_mode=config.precision_mode,
            enable_data_pre_proc=True,
            iterations_per_loop=1,
            hcom_parallel=True,
            # Nothing in the graph depends on the run's seed (see operations). The adapter's own saver would run the
            # session once more after each step, for the step's number, and save the untrained weights and the graph.
            **dict(estimator_options(config), tf_random_seed=GRAPH_SEED, save_checkpoints_steps=0),
        )
        return self._estimator.NPUEstimator(model_fn=model_fn, config=run_config)

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        # TensorFlow answers two of them, as those of a lost parameter server, with a new session after the other. On a
        # broken card that never ends, and the card that comes with another start is better.
        recovered, monitored_session._PREEMPTION_ERRORS = monitored_session._PREEMPTION_ERRORS, ()
        try:
            yield
        except FAULTS as reason:
            raise DeviceFaultError(FAULT.format(_sentence(reason.message))) from reason
        finally:
            monitored_session._PREEMPTION_ERRORS = recovered


def session_options() -> tf.ConfigProto:
    """Returns the session's options, without the rewriting of graphs that the adapter's manual tells to turn off."""
    options = tf.ConfigProto(allow_soft_placement=True)
    options.graph_options.rewrite_options.remapping = RewriterConfig.OFF
    options.graph_options.rewrite_options.memory_optimization = RewriterConfig.NO_MEM_OPT
    return options


def _sentence(message: str) -> str:
    """Returns an adapter's message in one line: from r1.5.0 on the graph engine's reason is below the first."""
    lines = itertools.takewhile(lambda line: not line.startswith("[["), map(str.strip, message.splitlines()))
    return " - ".join(line for line in lines if line and not line.startswith("Error Message is"))
