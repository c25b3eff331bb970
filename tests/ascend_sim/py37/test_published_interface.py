"""Every simulated name has the argument list published for the CANN 20.2 era.

Source: https://github.com/Ascend/tensorflow, branch r1.2.0, tf_adapter/python/npu_bridge, and the HCCL reference.
Where the published default is an empty list, the simulation has an empty tuple.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import hccl.manage.api as hccl_manage
import hccl.split.api as hccl_split
import npu_bridge
from npu_bridge import npu_init
from npu_bridge.estimator import npu_ops
from npu_bridge.estimator.npu import npu_config, npu_estimator, npu_hook, npu_optimizer, util
from npu_bridge.estimator.npu.npu_loss_scale_manager import ExponentialUpdateLossScaleManager, FixedLossScaleManager
from npu_bridge.estimator.npu.npu_loss_scale_optimizer import NPULossScaleOptimizer
from npu_bridge.estimator.npu_unary_ops import npu_unary_ops
from npu_bridge.hccl import hccl_ops

RUN_CONFIG = (
    "iterations_per_loop=1, profiling_config=None, model_dir=None, tf_random_seed=None, save_summary_steps=0, "
    "save_checkpoints_steps=None, save_checkpoints_secs=None, session_config=None, keep_checkpoint_max=5, "
    "keep_checkpoint_every_n_hours=10000, log_step_count_steps=100, distribute=None, enable_data_pre_proc=True, "
    "precision_mode=None, enable_reduce_precision=False, variable_format_optimize=True, mix_compile_mode=False, "
    "hcom_parallel=False, graph_memory_max_size=None, variable_memory_max_size=None, auto_tune_mode=None, "
    "dump_config=None, stream_max_parallel_num=None, is_tailing_optimization=False, horovod_mode=False, "
    "graph_run_mode=1, op_debug_level=0, enable_scope_fusion_passes=None, enable_exception_dump=0, "
    "op_select_implmode=None, optypelist_for_implmode=None, dynamic_input_config=None, mstune_mode=None, "
    "work_path=None, buffer_optimize='l2_optimize', enable_small_channel=0, fusion_switch_file=None, "
    "enable_compress_weight=False, compress_weight_conf=None, op_compiler_cache_mode=None, "
    "op_compiler_cache_dir=None, debug_dir=None"
)
SPEC = (
    "mode, predictions=None, loss=None, train_op=None, eval_metric_ops=None, export_outputs=None, "
    "training_chief_hooks=None, training_hooks=None, scaffold=None, evaluation_hooks=None, prediction_hooks=None, "
    "host_call=None"
)
WORLD = "group='hccl_world_group'"

PUBLISHED = [
    (npu_config.NPURunConfig, RUN_CONFIG),
    (npu_config.ProfilingConfig, "enable_profiling=False, enable_options=(), fp_point=None, bp_point=None"),
    (
        npu_config.DumpConfig,
        (
            "enable_dump=False, dump_path=None, dump_step=None, dump_mode='output', enable_dump_debug=False, "
            "dump_debug_mode='all'"
        ),
    ),
    (npu_config.DynamicInputConfig, "input_shape, dynamic_dims, dynamic_node_type"),
    (
        npu_estimator.NPUEstimator,
        "model_fn=None, model_dir=None, config=None, params=None, job_start_file='', warm_start_from=None",
    ),
    (npu_estimator.NPUEstimatorSpec, SPEC),
    (
        npu_hook.NPUCheckpointSaverHook,
        (
            "checkpoint_dir, save_secs=None, save_steps=None, saver=None, checkpoint_basename='model.ckpt', "
            "scaffold=None, listeners=None"
        ),
    ),
    (npu_optimizer.allreduce, "tensor, var, average=True"),
    (npu_optimizer.NPUDistributedOptimizer, "optimizer, name=None"),
    (
        npu_optimizer.NPUOptimizer,
        (
            "opt, loss_scale_manager=None, is_distributed=False, is_loss_scale=False, is_tailing_optimization=False, "
            "name=None"
        ),
    ),
    (NPULossScaleOptimizer, "opt, loss_scale_manager, is_distributed=False"),
    (FixedLossScaleManager, "loss_scale"),
    (
        ExponentialUpdateLossScaleManager,
        "init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, incr_ratio=2, decr_ratio=0.8",
    ),
    (npu_ops.NPUInit, "name=None"),
    (npu_ops.NPUShutdown, "name=None"),
    (npu_ops.initialize_system, "name=None"),
    (npu_ops.shutdown_system, "name=None"),
    (npu_ops.dropout, "x, keep_prob, noise_shape=None, seed=None, name=None"),
    (npu_unary_ops.gelu, "x, name=None"),
    (util.check_positive_integer, "value, name"),
    (util.check_nonnegative_integer, "value, name"),
    (util.check_bool_type, "value, name"),
    (util.set_iteration_per_loop, "sess, train_op, iterations_per_loop=1"),
    (hccl_ops.allreduce, f"tensor, reduction, fusion=1, fusion_id=-1, {WORLD}"),
    (hccl_ops.allgather, f"tensor, rank_size, {WORLD}"),
    (hccl_ops.broadcast, f"tensor, root_rank, fusion=0, fusion_id=-1, {WORLD}"),
    (hccl_ops.reduce_scatter, f"tensor, reduction, rank_size, {WORLD}"),
    (hccl_manage.create_group, "group, rank_num, rank_ids"),
    (hccl_manage.destroy_group, "group"),
    (hccl_manage.get_rank_size, WORLD),
    (hccl_manage.get_rank_id, WORLD),
    (hccl_manage.get_local_rank_size, WORLD),
    (hccl_manage.get_local_rank_id, WORLD),
    (hccl_manage.get_world_rank_from_group_rank, "group, group_rank_id"),
    (hccl_manage.get_group_rank_from_world_rank, "world_rank_id, group"),
    (hccl_split.set_split_strategy_by_idx, f"idxList, {WORLD}"),
    (hccl_split.set_split_strategy_by_size, f"dataSizeList, {WORLD}"),
]


@pytest.mark.parametrize(("published", "arguments"), PUBLISHED, ids=lambda value: getattr(value, "__name__", ""))
def test_argument_list(published: Any, arguments: str) -> None:
    function = published.__init__ if inspect.isclass(published) else published
    if issubclass(published if inspect.isclass(published) else object, tuple):
        function = published.__new__
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in {"self", "cls"}
    ]
    assert ", ".join(map(str, parameters)) == arguments


def test_run_config_has_42_arguments() -> None:
    assert len(RUN_CONFIG.split(", ")) == 42


def test_star_import_is_of_this_era() -> None:
    names = set(npu_init.__all__)
    assert all(hasattr(npu_init, name) for name in names)
    for function, _ in PUBLISHED:
        if "Optimizer" in function.__name__ or "Estimator" in function.__name__ or "Manager" in function.__name__:
            assert function.__name__ in names
    # They came with r1.3.0: a script for CANN 20.2 must do without them.
    assert not {"npu_config_proto", "npu_run_config_init", "npu_hooks_append"} & set(vars(npu_init))


def test_package_says_that_it_is_simulated() -> None:
    assert npu_bridge.SIMULATED is True


def test_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="jit_compile"):
        npu_config.NPURunConfig(jit_compile=True)
