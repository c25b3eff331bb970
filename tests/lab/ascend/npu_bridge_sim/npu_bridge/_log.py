"""What the adapter and the software below it write, and how a process ends on a fault.

Sources in https://github.com/Ascend/tensorflow, branch r1.2.0: tf_adapter/util/ge_plugin.cc and kernels/geop_npu.cc
(`LOG(FATAL)` after three seconds), tf_adapter/common/adp_logger.cc (what goes to the driver's log). Where that is
written: CANN's log reference, ASCEND_SLOG_PRINT_TO_STDOUT and ASCEND_GLOBAL_LOG_LEVEL.
"""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path
from typing import NoReturn

SECONDS_BEFORE_AN_ABORT = 3.0  # kFatalSleepTime
_STDOUT, _STDERR = 1, 2
_ERROR = 3  # in TensorFlow's log, and in the driver's


def abort(place: str, fatal: str, reason: str) -> NoReturn:
    """End the process as `LOG(FATAL)` does: no exception, no clean-up.

    Args:
        place: file and line of the adapter.
        fatal: what the adapter says, always on standard error.
        reason: what the graph engine or the driver says, in the driver's log and as an error of the adapter's.
    """
    _driver_log(reason)
    if int(os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0")) < _ERROR:
        _tensorflow_log("E", place, reason)
    time.sleep(SECONDS_BEFORE_AN_ABORT)
    _tensorflow_log("F", place, fatal)
    os.abort()


def _tensorflow_log(severity: str, place: str, text: str) -> None:
    now = datetime.datetime.now()  # noqa: DTZ005 - as TensorFlow writes it
    os.write(_STDERR, f"{now:%Y-%m-%d %H:%M:%S.%f}: {severity} tf_adapter/{place}] {text}\n".encode())


def _driver_log(text: str) -> None:
    if int(os.environ.get("ASCEND_GLOBAL_LOG_LEVEL", str(_ERROR))) > _ERROR:
        return
    line = f"[ERROR] GE({os.getpid()},python3.7): {text}\n"
    if os.environ.get("ASCEND_SLOG_PRINT_TO_STDOUT") == "1":
        os.write(_STDOUT, line.encode())
    else:
        folder = Path(os.environ.get("HOME", "/"), "ascend", "log", "plog")
        if folder.is_dir():
            (folder / f"plog-{os.getpid()}.log").write_text(line)
