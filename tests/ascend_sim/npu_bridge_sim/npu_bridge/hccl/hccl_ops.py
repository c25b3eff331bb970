"""Collective operations over one rank, where each returns its own input."""

from __future__ import annotations

from typing import Any

from hccl.manage.api import check_group
from npu_bridge import _simulation

_REDUCTIONS = ("max", "min", "prod", "sum")
_WORLD = "hccl_world_group"


def allreduce(tensor: Any, reduction: str, fusion: int = 1, fusion_id: int = -1, group: str = _WORLD) -> Any:
    """Reduce over all ranks by `max`, `min`, `prod` or `sum`."""
    del fusion, fusion_id
    _check_reduction(reduction)
    return _alone(tensor, group)


def allgather(tensor: Any, rank_size: int, group: str = _WORLD) -> Any:  # noqa: ARG001 published name
    """Concatenate over all ranks."""
    return _alone(tensor, group)


def broadcast(tensor: Any, root_rank: int, fusion: int = 0, fusion_id: int = -1, group: str = _WORLD) -> Any:
    """Return the tensor of `root_rank`."""
    del root_rank, fusion, fusion_id
    return _alone(tensor, group)


def reduce_scatter(tensor: Any, reduction: str, rank_size: int, group: str = _WORLD) -> Any:  # noqa: ARG001
    """Reduce over all ranks and return this rank's part."""
    _check_reduction(reduction)
    return _alone(tensor, group)


def _check_reduction(reduction: str) -> None:
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction={reduction!r}: choose one of {', '.join(_REDUCTIONS)}")


def _alone(tensor: Any, group: str) -> Any:
    check_group(group)
    if _simulation.rank_size() != 1:
        raise _simulation.not_simulated(f"a collective operation over {_simulation.rank_size()} ranks")
    return tensor
