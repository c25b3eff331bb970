"""`NPUEstimator`: TensorFlow's Estimator behind the real one's checks, on the CPU."""

from __future__ import annotations

import inspect
import logging
import os
import tempfile
from typing import Any, Callable

import tensorflow as tf

from npu_bridge._card import CardHook
from npu_bridge._engine import lose_updates
from npu_bridge._simulation import not_simulated, rank_id, rank_size
from npu_bridge.estimator.npu._session_options import with_npu_optimizer
from npu_bridge.estimator.npu.npu_config import NPURunConfig
from npu_bridge.estimator.npu.npu_hook import NPUBroadcastGlobalVariablesHook, NPUCheckpointSaverHook

_ModeKeys = tf.estimator.ModeKeys


class NPUEstimatorSpec(tf.estimator.EstimatorSpec):
    """`EstimatorSpec` with the published `host_call`, which sends tensors off the device at every step."""

    def __new__(  # noqa: PLR0917 published order
        cls,
        mode: str,
        predictions: Any = None,
        loss: Any = None,
        train_op: Any = None,
        eval_metric_ops: Any = None,
        export_outputs: Any = None,
        training_chief_hooks: Any = None,
        training_hooks: Any = None,
        scaffold: Any = None,
        evaluation_hooks: Any = None,
        prediction_hooks: Any = None,
        host_call: Any = None,
    ) -> NPUEstimatorSpec:
        """Return a spec checked by TensorFlow; a `host_call` raises NotImplementedError."""
        if host_call is not None:
            raise not_simulated("host_call")
        return super().__new__(
            cls,
            mode=mode,
            predictions=predictions,
            loss=loss,
            train_op=train_op,
            eval_metric_ops=eval_metric_ops,
            export_outputs=export_outputs,
            training_chief_hooks=training_chief_hooks,
            training_hooks=training_hooks,
            scaffold=scaffold,
            evaluation_hooks=evaluation_hooks,
            prediction_hooks=prediction_hooks,
        )


class NPUEstimator(tf.estimator.Estimator):
    """An Estimator that refuses what an Ascend 910 would refuse and then runs the graph on the CPU."""

    def __init__(  # noqa: PLR0917 published order
        self,
        model_fn: Callable[..., tf.estimator.EstimatorSpec] | None = None,
        model_dir: str | None = None,
        config: NPURunConfig | None = None,
        params: dict[str, Any] | None = None,
        job_start_file: str = "",
        warm_start_from: Any = None,
    ) -> None:
        """Take the card of this process; arguments as published.

        Raises:
            ValueError: no `model_fn`, no NPURunConfig, an illegal value in it, or another `model_dir` than its own.
            AttributeError: JOB_ID or RANK_SIZE is not set.
            NotImplementedError: `job_start_file` or several iterations per loop.
        """
        if not isinstance(config, NPURunConfig):
            raise ValueError(f"config must be an NPURunConfig, got {type(config).__name__}")
        if model_fn is None:
            raise ValueError("model_fn must be given")
        if job_start_file:
            raise not_simulated("job_start_file")
        if config.iterations_per_loop > 1:
            raise not_simulated(f"iterations_per_loop={config.iterations_per_loop}")
        _read_job()
        if model_dir and config.model_dir and model_dir != config.model_dir:
            raise ValueError(f"model_dir={model_dir!r} of NPUEstimator differs from {config.model_dir!r} of its config")
        # Like the real one, which never falls back to the system's temporary folder.
        model_dir = model_dir or config.model_dir or tempfile.mkdtemp(prefix="model_dir_", dir=os.curdir)
        super().__init__(
            model_fn=_checked(model_fn, model_dir, config),
            model_dir=model_dir,
            config=with_npu_optimizer(config),
            params=params or {},
            warm_start_from=warm_start_from,
        )
        logging.getLogger(__name__).warning("NPUEstimator: simulated Ascend NPU, the graph runs on the CPU")


def _read_job() -> None:
    """Fail as the published constructor does without a variable that it reads."""
    if not os.environ.get("JOB_ID"):
        raise AttributeError("'NPUEstimator' object has no attribute '_NPUEstimator__job_info'")
    if "RANK_SIZE" not in os.environ:
        raise AttributeError("'int' object has no attribute 'isdigit'")


def _checked(model_fn: Callable[..., Any], model_dir: str, config: NPURunConfig) -> Callable[..., Any]:
    wanted = set(inspect.signature(model_fn).parameters)

    def checked_model_fn(features: Any, labels: Any, mode: str, params: dict[str, Any]) -> Any:
        if config.npu_arguments["dynamic_input_config"] is None:
            _refuse_dynamic_shapes({"features": features, "labels": labels}, mode)
        offered = {"labels": labels, "mode": mode, "params": params, "config": config}
        spec = model_fn(features=features, **{name: offered[name] for name in wanted & set(offered)})
        if not isinstance(spec, tf.estimator.EstimatorSpec):
            raise RuntimeError(f"model_fn must return an EstimatorSpec, got {type(spec).__name__}")
        lose_updates(tf.compat.v1.get_default_graph())
        card = CardHook()
        hooks = ("training_hooks", "evaluation_hooks", "prediction_hooks")
        spec = spec._replace(**{name: (card, *(getattr(spec, name) or ())) for name in hooks})
        if mode != _ModeKeys.TRAIN:
            return spec
        own: list[Any] = [card]
        if rank_size() > 1 and not config.npu_arguments["horovod_mode"]:
            own.append(NPUBroadcastGlobalVariablesHook(0, rank_id()))
        if config.save_checkpoints_steps or config.save_checkpoints_secs:
            own.append(NPUCheckpointSaverHook(model_dir, config.save_checkpoints_secs, config.save_checkpoints_steps))
        return spec._replace(training_hooks=(*own, *spec.training_hooks[1:]))

    return checked_model_fn


def _refuse_dynamic_shapes(inputs: dict[str, Any], mode: str) -> None:
    for path, tensor in tf.contrib.framework.nest.flatten_with_joined_string_paths(inputs):
        # An exported model is fed by placeholders and does not run on the NPU; a prediction is fed by an iterator.
        exported = mode == _ModeKeys.PREDICT and isinstance(tensor, tf.Tensor) and tensor.op.type != "IteratorGetNext"
        if not isinstance(tensor, tf.Tensor) or exported or tensor.shape.is_fully_defined():
            continue
        raise ValueError(
            f"{path} has the dynamic shape {tensor.shape} in mode {mode}: this era compiles static shapes only; batch "
            "with drop_remainder=True (pad the last batch instead of losing it) or pass a DynamicInputConfig"
        )
