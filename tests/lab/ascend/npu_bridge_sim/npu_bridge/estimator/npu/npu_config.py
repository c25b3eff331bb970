"""Run configuration of `NPUEstimator`: the 42 arguments of the CANN 20.2 era, in their published order."""

from __future__ import annotations

import json
import os
from enum import Enum
from typing import Any

import tensorflow as tf

from npu_bridge._simulation import not_simulated
from npu_bridge.estimator.npu import util

_TENSORFLOW_ARGUMENTS = (
    "model_dir",
    "tf_random_seed",
    "save_summary_steps",
    "save_checkpoints_steps",
    "save_checkpoints_secs",
    "session_config",
    "keep_checkpoint_max",
    "keep_checkpoint_every_n_hours",
    "log_step_count_steps",
)


class ProfilingConfig:
    """What the profiler records, as the JSON text that the profiler reads."""

    def __init__(self, enable_profiling: bool = False, profiling_options: str | None = None) -> None:
        self._enable_profiling = enable_profiling
        self._profiling_options = profiling_options


class DumpConfig:
    """Which tensors are written to `dump_path`, at which steps (`0|5|10`)."""

    def __init__(  # noqa: PLR0917 published order
        self,
        enable_dump: bool = False,
        dump_path: str | None = None,
        dump_step: str | None = None,
        dump_mode: str = "output",
        enable_dump_debug: bool = False,
        dump_debug_mode: str = "all",
    ) -> None:
        self._enable_dump = enable_dump
        self._dump_path = dump_path
        self._dump_step = dump_step
        self._dump_mode = dump_mode
        self._enable_dump_debug = enable_dump_debug
        self._dump_debug_mode = dump_debug_mode


class NpuExecutePlacement(Enum):
    """Where a subgraph runs."""

    ALL = "all"
    CUBE = "cube"
    VECTOR = "vector"
    TAISHAN = "taishan"
    DVPP = "dvpp"
    HOST = "host"


class DynamicInputConfig:
    """A fixed list of input shapes, the only way to vary a shape in this era; one graph is compiled for each."""

    def __init__(self, input_shape: str, dynamic_dims: str, dynamic_node_type: int) -> None:
        self._input_shape = input_shape
        self._dynamic_dims = dynamic_dims
        self._dynamic_node_type = dynamic_node_type


class NPURunConfig(tf.estimator.RunConfig):
    """`RunConfig` plus the options of the NPU; an unknown argument is a TypeError, as with the real one."""

    def __init__(  # noqa: PLR0917 published order
        self,
        iterations_per_loop: int = 1,
        profiling_config: ProfilingConfig | None = None,
        model_dir: str | None = None,
        tf_random_seed: int | None = None,
        save_summary_steps: int = 0,
        save_checkpoints_steps: int | None = None,
        save_checkpoints_secs: int | None = None,
        session_config: Any = None,
        keep_checkpoint_max: int = 5,
        keep_checkpoint_every_n_hours: int = 10000,
        log_step_count_steps: int = 100,
        distribute: Any = None,
        enable_data_pre_proc: bool = True,
        precision_mode: str | None = None,
        enable_reduce_precision: bool = False,
        variable_format_optimize: bool = True,
        mix_compile_mode: bool = False,
        hcom_parallel: bool = False,
        graph_memory_max_size: int | str | None = None,
        variable_memory_max_size: int | str | None = None,
        auto_tune_mode: str | None = None,
        dump_config: DumpConfig | None = None,
        stream_max_parallel_num: str | None = None,
        is_tailing_optimization: bool = False,
        horovod_mode: bool = False,
        graph_run_mode: int = 1,
        op_debug_level: int = 0,
        enable_scope_fusion_passes: str | None = None,
        enable_exception_dump: int = 0,
        op_select_implmode: str | None = None,
        optypelist_for_implmode: str | None = None,
        dynamic_input_config: DynamicInputConfig | None = None,
        mstune_mode: str | None = None,
        work_path: str | None = None,
        buffer_optimize: str = "l2_optimize",
        enable_small_channel: int = 0,
        fusion_switch_file: str | None = None,
        enable_compress_weight: bool = False,
        compress_weight_conf: str | None = None,
        op_compiler_cache_mode: str | None = None,
        op_compiler_cache_dir: str | None = None,
        debug_dir: str | None = None,
    ) -> None:
        """Check what the published constructor checks; the session checks the rest (`npu_parameters`).

        Raises:
            TypeError: an integer argument is not an int.
            ValueError: an argument is out of its range or of another type.
            NotImplementedError: parameter-server mode, which needs several machines.
        """
        arguments = dict(locals())
        util.check_positive_integer(iterations_per_loop, "iterations_per_loop")
        util.check_nonnegative_integer(graph_run_mode, "graph_run_mode")
        util.check_nonnegative_integer(enable_exception_dump, "enable_exception_dump")
        _check_type("mix_compile_mode", mix_compile_mode, bool)
        _check_type("horovod_mode", horovod_mode, bool)
        _check_type("dump_config", dump_config, DumpConfig, type(None))
        _check_type("dynamic_input_config", dynamic_input_config, DynamicInputConfig, type(None))
        if mix_compile_mode and iterations_per_loop != 1:
            raise ValueError(f"iterations_per_loop must be 1 with mix_compile_mode=True, got {iterations_per_loop}")
        if graph_run_mode > 1:
            raise ValueError(f"graph_run_mode must be 0 or 1, got {graph_run_mode}")
        if distribute is not None or json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster"):
            raise not_simulated("parameter-server mode (distribute, TF_CONFIG with a cluster)")

        if save_checkpoints_steps is None and save_checkpoints_secs is None:
            arguments["save_checkpoints_steps"] = 100
        super().__init__(**{name: arguments.pop(name) for name in _TENSORFLOW_ARGUMENTS})
        for name in ("self", "__class__", "distribute"):
            del arguments[name]
        self.npu_arguments = arguments
        self.iterations_per_loop = iterations_per_loop


def _check_type(name: str, value: Any, *expected: type) -> None:
    if not isinstance(value, expected):
        raise ValueError(f"{name} must be of type {' or '.join(t.__name__ for t in expected)}, got {value!r}")
