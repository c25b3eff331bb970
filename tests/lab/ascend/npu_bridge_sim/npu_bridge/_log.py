"""What the adapter and the software below it write, and how a process ends on a fault.

Sources in https://github.com/Ascend/tensorflow, branch r1.2.0: tf_adapter/util/ge_plugin.cc and kernels/geop_npu.cc
(three seconds, `ADP_LOG(FATAL)`, `LOG(FATAL)`), tf_adapter/common/adp_logger.cc (ADP_LOG writes to the driver's log
alone). Where that goes: the manuals' environment variables ASCEND_SLOG_PRINT_TO_STDOUT (CANN 9.0) and
ASCEND_GLOBAL_LOG_LEVEL (CANN 5.0.4 to 9.1).
"""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path
from typing import NoReturn

SECONDS_BEFORE_AN_ABORT = 3.0  # kFatalSleepTime
_STDOUT, _STDERR = 1, 2
_ERROR = 3  # in the driver's log


def abort(place: str, fatal: str, reason: str = "") -> NoReturn:
    """End the process as `LOG(FATAL)` does: no exception, no clean-up.

    Args:
        place: file and line of the adapter.
        fatal: what the adapter says, on standard error and in the driver's log.
        reason: what the graph engine or the driver says, in the driver's log alone.
    """
    if reason:
        _driver_log("GE", reason)
        time.sleep(SECONDS_BEFORE_AN_ABORT)
    _driver_log("FMK", f"[TF_ADAPTER] [tf_adapter/{place}] {fatal}")
    now = datetime.datetime.now()  # noqa: DTZ005 - as TensorFlow writes it
    os.write(_STDERR, f"{now:%Y-%m-%d %H:%M:%S.%f}: F tf_adapter/{place}] {fatal}\n".encode())
    os.abort()


def _driver_log(module: str, text: str) -> None:
    if int(os.environ.get("ASCEND_GLOBAL_LOG_LEVEL", str(_ERROR))) > _ERROR:
        return
    now = datetime.datetime.now()  # noqa: DTZ005 - as the driver writes it
    line = f"[ERROR] {module}({os.getpid()},python3.7):{now:%Y-%m-%d-%H:%M:%S.%f} {text}\n"
    if os.environ.get("ASCEND_SLOG_PRINT_TO_STDOUT") == "1":
        os.write(_STDOUT, line.encode())
    else:
        folder = Path(os.environ.get("HOME", "/"), "ascend", "log", "plog")
        if folder.is_dir():
            with (folder / f"plog-{os.getpid()}.log").open("a") as log:
                log.write(line)
