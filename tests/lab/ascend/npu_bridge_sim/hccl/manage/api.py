"""Ranks and groups. One server: the local ranks are the world's."""

from __future__ import annotations

from npu_bridge import _simulation

_WORLD = "hccl_world_group"
_MAX_GROUP_NAME = 127
_groups: dict[str, list[int]] = {}


def create_group(group: str, rank_num: int, rank_ids: list[int]) -> None:
    """Name the ranks `rank_ids`; a wrong count, an unknown rank or a taken name is a ValueError."""
    check_group(group)
    if len(rank_ids) != rank_num:
        raise ValueError(f"rank_num={rank_num}, but rank_ids has {len(rank_ids)} members")
    if not set(rank_ids) <= set(range(_simulation.rank_size())):
        raise ValueError(f"rank_ids={rank_ids}: the world has ranks 0 to {_simulation.rank_size() - 1}")
    if group == _WORLD or group in _groups:
        raise ValueError(f"group {group!r} exists already")
    _groups[group] = list(rank_ids)


def destroy_group(group: str) -> None:
    """Forget a group made by `create_group`."""
    _members(group)
    if group == _WORLD:
        raise ValueError(f"{_WORLD} cannot be destroyed")
    del _groups[group]


def get_rank_size(group: str = _WORLD) -> int:
    """Return the number of ranks in the group."""
    return len(_members(group))


def get_rank_id(group: str = _WORLD) -> int:
    """Return the place of this process in the group."""
    return get_group_rank_from_world_rank(_simulation.rank_id(), group)


def get_local_rank_size(group: str = _WORLD) -> int:
    """Return the number of the group's ranks on this server."""
    return get_rank_size(group)


def get_local_rank_id(group: str = _WORLD) -> int:
    """Return the place of this process among them."""
    return get_rank_id(group)


def get_world_rank_from_group_rank(group: str, group_rank_id: int) -> int:
    """Return the world's rank of a group's member."""
    members = _members(group)
    if not 0 <= group_rank_id < len(members):
        raise ValueError(f"group_rank_id={group_rank_id}: group {group!r} has ranks 0 to {len(members) - 1}")
    return members[group_rank_id]


def get_group_rank_from_world_rank(world_rank_id: int, group: str) -> int:
    """Return the place of a world's rank in the group."""
    members = _members(group)
    if world_rank_id not in members:
        raise ValueError(f"world_rank_id={world_rank_id} is not in group {group!r} of ranks {members}")
    return members.index(world_rank_id)


def check_group(group: str) -> None:
    """Raise ValueError unless `group` is a name of 1 to 127 characters."""
    if not isinstance(group, str) or not 0 < len(group) <= _MAX_GROUP_NAME:
        raise ValueError(f"group={group!r}: a group's name is a string of 1 to {_MAX_GROUP_NAME} characters")


def _members(group: str) -> list[int]:
    check_group(group)
    if group != _WORLD and group not in _groups:
        raise ValueError(f"group {group!r} does not exist: call create_group first")
    return _groups.get(group) or list(range(_simulation.rank_size()))
