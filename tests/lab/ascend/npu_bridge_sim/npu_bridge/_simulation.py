"""What the environment says of the ranks, and what is not simulated."""

from __future__ import annotations

import os


def not_simulated(what: str) -> NotImplementedError:
    """Return the error for a published feature that only the real adapter has."""
    return NotImplementedError(f"{what} is published by npu_bridge but not simulated: run it on an Ascend 910")


def rank_size() -> int:
    """Return the number of processes of the job, one a card."""
    return _number("RANK_SIZE", 1)


def rank_id() -> int:
    """Return the place of this process among them."""
    return _number("RANK_ID", 0)


def _number(variable: str, default: int) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isdigit() else default
