"""How the gradients are cut into pieces for communication: checked, without effect on one rank."""

from __future__ import annotations

from hccl.manage.api import check_group

_WORLD = "hccl_world_group"
_MAX_PIECES = 8


def set_split_strategy_by_idx(idxList: list[int], group: str = _WORLD) -> None:  # noqa: N803 published name
    """Cut after the gradients with these rising indices, at most 8 pieces."""
    check_group(group)
    if not 0 < len(idxList) <= _MAX_PIECES or sorted(set(idxList)) != idxList or idxList[0] < 0:
        raise ValueError(f"idxList={idxList}: give 1 to {_MAX_PIECES} rising indices from 0")


def set_split_strategy_by_size(dataSizeList: list[float], group: str = _WORLD) -> None:  # noqa: N803 published name
    """Cut by percentages of the data that sum to 100, at most 8 pieces."""
    check_group(group)
    if not 0 < len(dataSizeList) <= _MAX_PIECES or min(dataSizeList) < 0 or sum(dataSizeList) != 100:
        raise ValueError(f"dataSizeList={dataSizeList}: give 1 to {_MAX_PIECES} percentages that sum to 100")
