"""The card of a process: which it is, what opening it needs, and how it breaks.

All of it happens when the first session runs, and ends the process where it fails. Sources, in
https://github.com/Ascend/tensorflow, branch r1.2.0: tf_adapter/util/npu_attrs.cc (GetEnvDeviceID), util/ge_plugin.cc
(Init). In https://github.com/Ascend/mind-cluster: component/ascend-docker-runtime (devices in a container, sorted),
docs (device files of HwHiAiUser, 0660).
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from npu_bridge import _hccl, _log
from npu_bridge._engine import Engine

_PLUGIN, _GEOP = "util/ge_plugin.cc", "kernels/geop_npu.cc"
# What the compilers write into the current folder, each made by the process and its own.
_COMPILER_FILES = ("fusion_result.json", "check_result.tf.json", "ge_check_op.json")
_CONTROL_FILES = ("davinci_manager", "devmm_svm", "hisi_hdc")
_opened = False
log = logging.getLogger(__name__)


def open_card() -> None:
    """Open the card of this process, once; it ends where the real adapter would end it."""
    global _opened  # noqa: PLW0603 a process opens its card once
    if _opened:
        return
    device = logical_device()
    card = _open_device_files(device)
    _hccl.check_ranks(card, device)
    _make_places_to_write()
    _break("open")
    _opened = True
    log.warning("simulated Ascend 910: device %d is card %d", device, card)


def logical_device() -> int:
    """Return the index of this process's card among those that it was given, in the order of their numbers."""
    for variable in ("ASCEND_DEVICE_ID", "DEVICE_ID"):
        text = os.environ.get(variable, "")
        if not text:
            continue
        if not re.fullmatch(r"-?\d+", text):
            _log.abort(f"{_PLUGIN}:102", f"{variable} is valid, not digit.")  # its own words
        if int(text) < 0:
            _log.abort(f"{_PLUGIN}:102", f"{variable} should be >= 0.")
        if variable == "ASCEND_DEVICE_ID":  # wins, and is logical; the other is the number on the server
            return int(text)
        if int(text) not in given_cards():
            _log.abort(f"{_PLUGIN}:102", "get logic device id by DEVICE_ID failed.")
        return given_cards().index(int(text))
    return 0


def given_cards() -> list[int]:
    """Return the numbers of the cards whose device files this process sees; ASCEND_VISIBLE_DEVICES is not read here.

    Where there are no such files, on a developer's machine, ASCEND_SIM_CARDS names cards that everybody may open.
    """
    if _named_cards():
        return _named_cards()
    names = (re.fullmatch(r"davinci(\d+)", path.name) for path in _device_folder().iterdir())
    return sorted(int(name.group(1)) for name in names if name)


def _named_cards() -> list[int]:
    return sorted(int(name) for name in os.environ.get("ASCEND_SIM_CARDS", "").split(",") if name)


def _device_folder() -> Path:
    return Path(os.environ.get("ASCEND_SIM_DEV", "/dev"))


def _open_device_files(device: int) -> int:
    cards = given_cards()
    if device >= len(cards):
        reason = f"device {device} of {len(cards)}"
        _log.abort(f"{_PLUGIN}:194", "[GePlugin] Tdt host init failed, tdt error code : 1", reason)
    for name in () if _named_cards() else (f"davinci{cards[device]}", *_CONTROL_FILES):
        path = _device_folder() / name
        try:
            path.open("r+b").close()
        except OSError as error:
            reason = f"open {path} failed: {error.strerror}"
            _log.abort(f"{_PLUGIN}:194", "[GePlugin] Tdt host init failed, tdt error code : 1", reason)
    return cards[device]


def _make_places_to_write() -> None:
    try:
        Path("kernel_meta").mkdir()
        for name in _COMPILER_FILES:
            Path(name).open("x").close()
        Path(os.environ["HOME"], "ascend", "log", "plog").mkdir(parents=True, exist_ok=True)
    except (OSError, KeyError) as error:
        reason = f"[TBE] cannot write in {Path.cwd()} and HOME={os.environ.get('HOME')}: {error}"
        _log.abort(f"{_PLUGIN}:202", "[GePlugin] Initialize ge failed, ret : failed", reason)


def _break(where: str) -> None:
    """Break the card where ASCEND_SIM_FAULT says: `open`, `graph`, a step, `3:1` in step 3 of rank 1 alone."""
    place, rank = [*os.environ.get("ASCEND_SIM_FAULT", "").split(":"), ""][:2]
    if place != where or rank not in ("", os.environ.get("RANK_ID", "0")):
        return
    reason = f"simulated device fault ({where})"
    if where == "open":
        _log.abort(f"{_PLUGIN}:202", "[GePlugin] Initialize ge failed, ret : failed", reason)
    fatal = "[GEOP] call ge session add graph failed" if where == "graph" else "GeOp1_0GEOP::::DoRunAsync Failed"
    if os.environ.get("ASCEND_SIM_ADAPTER", "r1.2.0") == "r1.2.0":
        _log.abort(f"{_GEOP}:{655 if where == 'graph' else 703}", fatal, reason)
    # From r1.5.0 on an exception, whose first line is not the reason.
    message = f"{fatal}\nError Message is : \n{reason}\n\t [[node GeOp1_0]]"
    raise tf.errors.InternalError(None, None, message)


class CardHook(tf.estimator.SessionRunHook):
    """Opens the card with the session, breaks it where it is to break, and closes it after the session's last step.

    Closing takes two seconds, seen with the real adapter's Python and C++ above a graph engine that does nothing;
    ASCEND_SIM_SHUTDOWN says another number.
    """

    def __init__(self) -> None:
        self._steps = 0

    def after_create_session(self, session: Any, coord: Any) -> None:
        open_card()
        _break("graph")
        Engine(session)
        closing = threading.Thread(target=self._close, args=[coord], daemon=True)
        closing.start()
        coord.register_thread(closing)  # the session's end waits for it

    @staticmethod
    def _close(coord: Any) -> None:
        coord.wait_for_stop()
        time.sleep(float(os.environ.get("ASCEND_SIM_SHUTDOWN", "2")))

    def before_run(self, run_context: Any) -> None:  # noqa: ARG002
        self._steps += 1
        _break(str(self._steps))
