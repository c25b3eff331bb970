"""What a run asks of the device it takes place on."""

import abc
import contextlib
from typing import Any, Callable, ContextManager, List, Optional, Sequence

import tensorflow.compat.v1 as tf

from bert_trainer.config import Config
from bert_trainer.layouts.input_fn import Layout
from bert_trainer.model.operations import Operations
from bert_trainer.model.optimization import apply_update
from bert_trainer.output.checkpoints import CheckpointHook


class Device(abc.ABC):
    """A device: a single one that computes in single precision and has no faults, where it does not say otherwise."""

    backend: str  # one of contract.BACKENDS
    rank = 0
    spec: Any  # the class of what a model function returns
    apply_update = staticmethod(apply_update)

    @abc.abstractmethod
    def operations(self, step: tf.Tensor, seed: int, training: bool) -> Operations:
        """Returns the operations of one graph."""

    @abc.abstractmethod
    def layout(self, lengths: Sequence[int], slots: int, width: int, lots: int = 1) -> Layout:
        """Returns the layout of batches of up to `slots` pairs of these lengths, none above `width`, in lots."""

    @abc.abstractmethod
    def estimator(self, model_fn: Callable[..., Any], config: Config) -> tf.estimator.Estimator:
        """Returns an Estimator that keeps its checkpoints in the run's output folder."""

    def hooks(self, config: Config) -> List[tf.train.SessionRunHook]:
        """Returns the hooks of a training session on this device."""
        return [CheckpointHook(config.output_dir, save_steps=config.save_checkpoints_steps)]

    def distribute(self, optimizer: tf.train.Optimizer, loss_scale: int) -> tf.train.Optimizer:
        """Returns the optimizer as this device applies it, with the loss scale of Config where it needs one."""
        return optimizer

    def mean(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the mean of a scalar over all ranks."""
        return x

    def together(self, config: Config, checkpoint: Optional[str], train: Callable[[], None]) -> None:
        """Runs the training of this process and, from the same checkpoint if any, that of every other rank."""
        train()

    def faults(self) -> ContextManager[None]:
        """Returns a block in which failures of the device, when a session opens or runs, become DeviceFaultError."""
        return contextlib.nullcontext()
