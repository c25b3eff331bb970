"""Collective operations: over one rank each returns its own input, over several they go through `_exchange`."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from hccl.manage.api import check_group, get_rank_size
from npu_bridge import _simulation
from npu_bridge.hccl._exchange import collective

_REDUCTIONS = {"max": np.maximum, "min": np.minimum, "prod": np.multiply, "sum": np.add}
_WORLD = "hccl_world_group"


def allreduce(tensor: Any, reduction: str, fusion: int = 1, fusion_id: int = -1, group: str = _WORLD) -> Any:
    """Reduce over all ranks by `max`, `min`, `prod` or `sum`."""
    del fusion, fusion_id
    reduce = _reduction(reduction)
    if _is_alone(group):
        return tensor
    return collective(tensor, f"allreduce {reduction}", reduce, tensor.shape)


def allgather(tensor: Any, rank_size: int, group: str = _WORLD) -> Any:
    """Concatenate over all ranks."""
    if _is_alone(group):
        return tensor
    _check_size(rank_size)
    rows = tensor.shape[0].value
    shape = tf.TensorShape([rows and rows * rank_size]).concatenate(tensor.shape[1:])
    return collective(tensor, "allgather", np.concatenate, shape)


def broadcast(tensor: Any, root_rank: int, fusion: int = 0, fusion_id: int = -1, group: str = _WORLD) -> list[Any]:
    """Return the tensors of `root_rank` for this rank's, both in a list."""
    del fusion, fusion_id
    if not isinstance(tensor, (list, tuple)):
        raise TypeError("Expected list for 'input' argument to 'HcomBroadcast' Op")
    if _is_alone(group):
        return list(tensor)
    return [collective(each, f"broadcast {root_rank}", lambda arrays: arrays[root_rank], each.shape) for each in tensor]


def reduce_scatter(tensor: Any, reduction: str, rank_size: int, group: str = _WORLD) -> Any:
    """Reduce over all ranks and return this rank's part."""
    reduce = _reduction(reduction)
    if _is_alone(group):
        return tensor
    _check_size(rank_size)
    whole = collective(tensor, f"reduce_scatter {reduction}", reduce, tensor.shape)
    return tf.split(whole, rank_size)[_simulation.rank_id()]


def _reduction(name: str) -> Any:
    if name not in _REDUCTIONS:
        raise ValueError(f"reduction={name!r}: choose one of {', '.join(_REDUCTIONS)}")
    return _REDUCTIONS[name].reduce


def _check_size(rank_size: int) -> None:
    if rank_size != get_rank_size():
        raise ValueError(f"rank_size={rank_size}: the world has {get_rank_size()} ranks")


def _is_alone(group: str) -> bool:
    check_group(group)
    if _simulation.rank_size() == 1:
        return True
    if group != _WORLD:
        raise _simulation.not_simulated(f"a collective operation over group {group!r}")
    return False
