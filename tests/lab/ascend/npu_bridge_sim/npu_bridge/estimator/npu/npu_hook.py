"""Session hooks of the adapter."""

from __future__ import annotations

from typing import Any, Callable

import tensorflow as tf

from npu_bridge.estimator import npu_ops
from npu_bridge.hccl import hccl_ops
from npu_bridge.hccl._exchange import in_an_order_of_their_own


class NPUShutDownHook(tf.estimator.SessionRunHook):
    """Closes the card at the end of a session; NPUEstimator of this era does not use it."""

    def __init__(self, scaffold: Any = None) -> None:
        del scaffold

    def begin(self) -> None:
        self._shutdown = npu_ops.NPUShutdown()

    def end(self, session: Any) -> None:
        session.run(self._shutdown)


class NPUBroadcastGlobalVariablesHook(tf.estimator.SessionRunHook):
    """Gives the variables of `root_rank` to all ranks when a session begins."""

    def __init__(self, root_rank: int | None = None, index: int | None = None) -> None:
        self._root_rank, self._index = root_rank, index

    def begin(self) -> None:
        self._broadcast = broadcast_global_variables(self._root_rank, self._index)

    def after_create_session(self, session: Any, coord: Any) -> None:  # noqa: ARG002
        session.run(self._broadcast)


class NPUCheckpointSaverHook(tf.estimator.CheckpointSaverHook):
    """The saver that NPUEstimator puts before the user's training hooks: it reads the global step after each step."""

    def __init__(  # noqa: PLR0917 published order
        self,
        checkpoint_dir: str,
        save_secs: int | None = None,
        save_steps: int | None = None,
        saver: Any = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: Any = None,
        listeners: Any = None,
    ) -> None:
        super().__init__(checkpoint_dir, save_secs, save_steps, saver, checkpoint_basename, scaffold, listeners)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        run_context.session.run(self._global_step_tensor)
        super().after_run(run_context, run_values)


class NPULogOutfeedSessionHook(tf.estimator.SessionRunHook):
    """Prints what the device's print operators send; there are none here."""

    def __init__(self, output_stream: Any) -> None:
        self._output_stream = output_stream


class NPUOutputTensorHook(tf.estimator.LoggingTensorHook):
    """Gives the values of tensors, collected over some steps, to a function."""

    def __init__(
        self,
        tensors: dict[str, Any] | None,
        dependencies: Any = None,
        output_fn: Callable[[list[dict[str, Any]]], None] | None = None,
        output_every_n_steps: int = 0,
    ) -> None:
        self._tensors, self._output_fn, self._every, self._steps = tensors, output_fn, output_every_n_steps, 0
        self._values: list[dict[str, Any]] = []
        if tensors is None:
            return
        if dependencies is not None:
            wanted = dependencies if isinstance(dependencies, (tuple, list)) else [dependencies]
            with tf.control_dependencies(wanted):
                self._tensors = {name: tf.identity(tensor) for name, tensor in tensors.items()}
        super().__init__(self._tensors, every_n_iter=1 << 31)

    def begin(self) -> None:
        if self._tensors is not None:
            super().begin()

    def before_run(self, run_context: Any) -> Any:  # noqa: ARG002
        return None if self._tensors is None else tf.estimator.SessionRunArgs(self._current_tensors)

    def after_run(self, run_context: Any, run_values: Any) -> None:  # noqa: ARG002
        if self._tensors is not None:
            self._values.append({name: run_values.results[name] for name in self._tag_order})
        self._steps += 1
        if self._steps % self._every == 0:
            self._call()

    def end(self, session: Any) -> None:  # noqa: ARG002
        if self._values:
            self._call()

    def _call(self) -> None:
        self._output_fn(self._values)  # ty: ignore[call-non-callable] - as published, None fails here
        self._values = []


def broadcast_global_variables(root_rank: int | None, index: int | None) -> tf.Operation:
    """Return the operation that assigns the values of `root_rank` to this rank's global variables."""
    del index
    variables = tf.compat.v1.global_variables()
    with in_an_order_of_their_own():
        received = [hccl_ops.broadcast([variable], root_rank)[0] for variable in variables]
    return tf.group([tf.compat.v1.assign(variable, value) for variable, value in zip(variables, received)])
