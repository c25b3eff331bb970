"""The session options that the adapter hands to its graph optimizer, and the values that the optimizer accepts."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from npu_bridge.estimator.npu.npu_config import DumpConfig, NPURunConfig, ProfilingConfig

_LEGAL = {
    "precision_mode": ("allow_fp32_to_fp16", "force_fp16", "must_keep_origin_dtype", "allow_mix_precision"),
    "op_debug_level": (0, 1, 2),
    "op_select_implmode": ("high_precision", "high_performance"),
    "buffer_optimize": ("l2_optimize", "off_optimize"),
    "mstune_mode": ("1", "2", "3", "4"),
    "dump_mode": ("input", "output", "all"),
    "dump_debug_mode": ("aicore_overflow", "atomic_overflow", "all"),
}


def with_npu_optimizer(config: NPURunConfig) -> NPURunConfig:
    """Return a copy of `config` whose session options carry the `NpuOptimizer`; the rest of them stays the user's.

    TensorFlow passes over a graph optimizer that is not registered, so the CPU runs the graph as it is.

    Raises:
        ValueError: an option has a value that the real adapter refuses.
    """
    session_config = tf.compat.v1.ConfigProto()
    if config.session_config is not None:
        session_config.CopyFrom(config.session_config)
    optimizer = session_config.graph_options.rewrite_options.custom_optimizers.add(name="NpuOptimizer")
    for key, value in _parameters(config).items():
        if value not in _LEGAL.get(key, (value,)):
            raise ValueError(f"{key}={value!r}: choose one of {', '.join(map(str, _LEGAL[key]))}")
        if isinstance(value, bool):
            optimizer.parameter_map[key].b = value
        elif isinstance(value, int):
            optimizer.parameter_map[key].i = value
        else:
            optimizer.parameter_map[key].s = value.encode()
    return config.replace(session_config=session_config)


def _parameters(config: NPURunConfig) -> dict[str, Any]:
    arguments = dict(config.npu_arguments)
    parameters = {
        "use_off_line": True,
        **_profiling(arguments.pop("profiling_config")),
        **_public(arguments.pop("dump_config") or DumpConfig()),
        **_public(arguments.pop("dynamic_input_config")),
        **arguments,
    }
    for size in ("graph_memory_max_size", "variable_memory_max_size"):
        if parameters[size] is not None:
            parameters[size] = str(parameters[size])
    return {key: value for key, value in parameters.items() if value is not None}


def _profiling(config: ProfilingConfig | None) -> dict[str, Any]:
    options = _public(config)
    if options.get("enable_profiling") and options["profiling_options"] is None:
        raise ValueError("profiling_options must be set when use profiling")
    return {} if config is None else {"profiling_mode": options["enable_profiling"], **_chosen(options)}


def _chosen(options: dict[str, Any]) -> dict[str, Any]:
    return {"profiling_options": options["profiling_options"]} if options["enable_profiling"] else {}


def _public(config: Any) -> dict[str, Any]:
    return {} if config is None else {name.lstrip("_"): value for name, value in vars(config).items()}
