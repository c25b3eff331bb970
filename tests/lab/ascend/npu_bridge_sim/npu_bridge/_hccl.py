"""The rank table as HCCL reads it when a card is opened.

Sources: https://github.com/Ascend/tensorflow, branch r1.2.0, tf_adapter/util/ge_plugin.cc (is_use_hcom); the HCCL
manuals of CANN 5.0.4 to 8.5, "rank table file", template 1; rank and card are compared as in HCCL's
`ranktable config devId[5],but local devId[4]`. The manuals call server_id an address and device_ip required. Whether
one server needs device_ip is not known; it is required where ASCEND_SIM_DEVICE_IP=required says so.
"""

from __future__ import annotations

import ipaddress
import json
import os
from pathlib import Path
from typing import Any

from npu_bridge import _log, _simulation

_PLACE = "util/ge_plugin.cc:202"


def check_ranks(card: int, device: int) -> None:
    """End the process unless RANK_TABLE_FILE gives this card to this rank, among as many ranks as there are.

    One rank needs no table, but where the variable is set HCCL reads it whatever RANK_SIZE says.
    """
    if _simulation.rank_size() == 1 and "RANK_TABLE_FILE" not in os.environ:
        return
    if os.environ.get("POD_NAME"):
        _refuse("deploy mode: POD_NAME is looked for in a rank table that names no pod")
    if os.environ.get("HCCL_WHITELIST_DISABLE") != "1" and not os.environ.get("HCCL_WHITELIST_FILE"):
        _refuse("HCCL_WHITELIST_FILE is not set, and HCCL_WHITELIST_DISABLE is not 1")
    path = os.environ.get("RANK_TABLE_FILE", "")
    try:
        table = json.loads(Path(path).read_text())
        _check_table(table, card, device)
    except (OSError, ValueError, KeyError, TypeError) as reason:
        _refuse(f"RANK_TABLE_FILE={path!r}: {reason}")


def _check_table(table: dict[str, Any], card: int, device: int) -> None:
    (server,) = table["server_list"]
    if [table[key] for key in ("status", "version", "server_count")] != ["completed", "1.0", "1"]:
        raise ValueError("it is no completed table of version 1.0 with one server")
    ipaddress.ip_address(server["server_id"])
    devices = {each["rank_id"]: each for each in server["device"]}
    if sorted(devices) != sorted(str(rank) for rank in range(_simulation.rank_size())):
        raise ValueError(f"its ranks are {sorted(devices)}, not 0 to {_simulation.rank_size() - 1}")
    for each in devices.values():
        if "device_ip" in each or os.environ.get("ASCEND_SIM_DEVICE_IP") == "required":
            ipaddress.ip_address(each["device_ip"])
    mine = devices[str(_simulation.rank_id())]["device_id"]
    if mine != str(card):
        raise ValueError(f"ranktable config devId[{mine}],but local devId[{card}] (logical {device})")


def _refuse(reason: str) -> None:
    _log.abort(_PLACE, "[GePlugin] Initialize ge failed, ret : failed", f"[HCCL] {reason}")
