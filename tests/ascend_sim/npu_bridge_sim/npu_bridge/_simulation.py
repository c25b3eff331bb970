"""The card and the ranks that the environment gives to this process."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import tensorflow as tf

CARDS_PER_SERVER = 8  # Atlas 800 training server


def not_simulated(what: str) -> NotImplementedError:
    """Return the error for a published feature that only the real adapter has."""
    return NotImplementedError(f"{what} is published by npu_bridge but not simulated: run it on an Ascend 910")


def allocated_cards() -> list[int]:
    """Return the physical ids in ASCEND_VISIBLE_DEVICES, written `4,5` by the device plugin, `Ascend910-4` by Volcano.

    Raises:
        RuntimeError: the variable is missing, empty or not a list of cards.
    """
    visible = os.environ.get("ASCEND_VISIBLE_DEVICES", "")
    names = visible.split(",")
    if not all(re.fullmatch(r"(Ascend910-)?[0-7]", name) for name in names):
        raise RuntimeError(
            f"ASCEND_VISIBLE_DEVICES={visible!r} names no Ascend 910: request huawei.com/Ascend910 in the container's "
            "limits, so that the device plugin allocates a card"
        )
    return [int(name[-1]) for name in names]


def require_card() -> int:
    """Return the logical device of this process after the checks that the adapter and the driver make at its start.

    Raises:
        RuntimeError: no card was allocated, or JOB_ID, DEVICE_ID or RANK_SIZE is missing or wrong.
    """
    cards = allocated_cards()
    if not os.environ.get("JOB_ID"):
        raise RuntimeError("JOB_ID is not set: the adapter reads the job from it; set it to any non-empty name")
    device = os.environ.get("DEVICE_ID", "")
    if not (device.isdigit() and int(device) < CARDS_PER_SERVER):
        raise RuntimeError(f"DEVICE_ID={device!r}: it must be in [0, {CARDS_PER_SERVER - 1}]; set it to 0 for one card")
    if int(device) >= len(cards):
        raise RuntimeError(
            f"DEVICE_ID={device}: a container with {len(cards)} card(s) has devices 0 to {len(cards) - 1}"
        )
    if rank_size() > 1:
        _check_rank_table(cards[int(device)])
    return int(device)


def _check_rank_table(card: int) -> None:
    """Raise RuntimeError unless RANK_TABLE_FILE gives this card to this rank, among as many ranks as there are."""
    path = os.environ.get("RANK_TABLE_FILE", "")
    try:
        table = json.loads(Path(path).read_text())
        (server,) = table["server_list"]
        devices = {device["rank_id"]: device["device_id"] for device in server["device"]}
        head = [table[key] for key in ("status", "version", "server_count")]
    except (OSError, ValueError, KeyError, TypeError) as reason:
        raise RuntimeError(f"RANK_TABLE_FILE={path!r} is not a rank table of one server: {reason!r}") from reason
    if head != ["completed", "1.0", "1"] or len(devices) != rank_size() or devices.get(str(rank_id())) != str(card):
        raise RuntimeError(
            f"RANK_TABLE_FILE={path!r} must be completed, have {rank_size()} ranks and give card {card} to rank "
            f"{rank_id()}: {table}"
        )


class _FaultHook(tf.estimator.SessionRunHook):
    """Fails as the adapter's operations do when the card does: in a step, or in step 0, when the session opens."""

    def __init__(self, error: str, step: int) -> None:
        self._error, self._step, self._taken = getattr(tf.errors, error), step, 0

    def after_create_session(self, session: Any, coord: Any) -> None:  # noqa: ARG002
        self._fail_at(0)

    def before_run(self, run_context: Any) -> None:  # noqa: ARG002
        self._taken += 1
        self._fail_at(self._taken)

    def _fail_at(self, step: int) -> None:
        if step == self._step:
            raise self._error(None, None, f"[GEOP] simulated device fault in step {step}\n\t[[node GeOp]]")


def fault_hooks() -> list[tf.estimator.SessionRunHook]:
    """Return what breaks the card as ASCEND_SIM_FAULT says, for example `UnavailableError:3`; nothing without it.

    A third part, as in `UnavailableError:3:1`, is the rank whose card breaks; without it all cards do.
    """
    error, step, rank = [*os.environ.get("ASCEND_SIM_FAULT", "").split(":"), "", ""][:3]
    return [_FaultHook(error, int(step))] if error and rank in ("", os.environ["RANK_ID"]) else []


def rank_size() -> int:
    """Return the number of processes of the job, one a card."""
    return _number("RANK_SIZE")


def rank_id() -> int:
    """Return the place of this process among them."""
    return _number("RANK_ID")


def _number(variable: str) -> int:
    value = os.environ.get(variable, "")
    if not value.isdigit():
        raise RuntimeError(f"{variable}={value!r} is not a number: with one card set RANK_SIZE=1 and RANK_ID=0")
    return int(value)
