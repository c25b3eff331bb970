"""What the simulated card needs to be opened, alone and as one of several ranks, and the words of its refusals."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bert_trainer.devices.rank_table import rank_table
from npu_bridge import _card, _hccl, _log
from support.trainer.places import NPU_SIMULATION

TWO = {"RANK_SIZE": "2", "RANK_ID": "1", "HCCL_WHITELIST_DISABLE": "1"}


class AbortedError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def no_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    def abort(_place: str, fatal: str, reason: str = "") -> NoReturn:
        raise AbortedError(f"{fatal} - {reason}")

    monkeypatch.setattr(_log, "abort", abort)


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A /dev with the cards 4 and 11, of which plain text says that 11 comes first."""
    for name in ("davinci4", "davinci11", "davinci_manager", "devmm_svm", "hisi_hdc"):
        (tmp_path / name).touch()
    for variable in ("ASCEND_DEVICE_ID", "ASCEND_SIM_CARDS"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("ASCEND_SIM_DEV", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("given", "device", "card"),
    [
        ({}, 0, 4),
        ({"ASCEND_DEVICE_ID": "1"}, 1, 11),
        ({"DEVICE_ID": "11"}, 1, 11),
        ({"ASCEND_DEVICE_ID": "0", "DEVICE_ID": "11"}, 0, 4),
        ({"ASCEND_VISIBLE_DEVICES": "11"}, 0, 4),  # is not looked at
    ],
)
def test_which_card_is_opened(
    dev: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], device: int, card: int
) -> None:
    assert dev.exists()
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    assert _card.logical_device() == device
    assert _card._open_device_files(device) == card


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"ASCEND_DEVICE_ID": "x"}, "not digit"),
        ({"ASCEND_DEVICE_ID": "-1"}, "should be >= 0"),
        ({"DEVICE_ID": "5"}, "get logic device id by DEVICE_ID failed"),
        ({"ASCEND_DEVICE_ID": "2"}, "Tdt host init failed, tdt error code : 1 - device 2 of 2"),
    ],
)
def test_which_card_is_none(dev: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], words: str) -> None:
    assert dev.exists()
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(AbortedError, match=words):
        _card._open_device_files(_card.logical_device())


@pytest.mark.parametrize("name", ["davinci4", "davinci_manager", "devmm_svm", "hisi_hdc"])
def test_each_device_file_is_opened(dev: Path, name: str) -> None:
    (dev / name).unlink()
    (dev / name).mkdir()  # which nobody can open for writing, not even root
    with pytest.raises(AbortedError, match=f"open {dev}/{name} failed: Is a directory"):
        _card._open_device_files(0)


# A root without capabilities is somebody else to files that are not its own.
AS_ANOTHER_USER = ["setpriv", "--bounding-set=-all"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
@pytest.mark.parametrize(
    ("mode", "groups", "opens"),
    [
        (0o660, "0", False),
        (0o660, "1000", True),  # that of the files
        (0o666, "0", True),  # --install-for-all
    ],
)
def test_who_may_open_a_card(dev: Path, mode: int, groups: str, opens: bool) -> None:
    for path in dev.iterdir():
        os.chown(path, 1000, 1000)
        path.chmod(mode)
    code = "from npu_bridge import _card; _card._open_device_files(0)"
    ended = subprocess.run(
        [*AS_ANOTHER_USER, f"--groups={groups}", sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(NPU_SIMULATION)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (ended.returncode == 0) == opens, ended.stderr
    assert opens or "F tf_adapter/util/ge_plugin.cc:194] [GePlugin] Tdt host init failed" in ended.stderr


@pytest.mark.parametrize("name", ["kernel_meta", "fusion_result.json", "check_result.tf.json", "ge_check_op.json"])
def test_what_another_process_has_made_is_not_taken(name: str) -> None:
    Path(name).mkdir()
    with pytest.raises(AbortedError, match=f"cannot write in .*File exists: '{name}'"):
        _card._make_places_to_write()


def changed(**keys: Any) -> dict[str, Any]:
    return dict(rank_table([4, 5], {4: "192.168.100.104", 5: "192.168.100.105"}, "10.0.0.1"), **keys)


SERVER = changed()["server_list"][0]


@pytest.mark.parametrize(
    ("table", "given", "words"),
    [
        (changed(), {}, None),
        (rank_table([4, 5], {}, "10.0.0.1"), {}, None),
        (rank_table([4, 5], {}, "10.0.0.1"), {"ASCEND_SIM_DEVICE_IP": "required"}, "'device_ip'"),
        (changed(), {"ASCEND_SIM_DEVICE_IP": "required"}, None),
        (changed(), {"POD_NAME": "minimal-abcde"}, "deploy mode"),
        (changed(), {"HCCL_WHITELIST_DISABLE": "0"}, "HCCL_WHITELIST_FILE is not set"),
        (changed(), {"RANK_ID": "0"}, r"ranktable config devId\[4\],but local devId\[5\] \(logical 1\)"),
        (changed(), {"RANK_SIZE": "4"}, "its ranks are .*, not 0 to 3"),
        (changed(), {"RANK_SIZE": "1", "RANK_ID": "0"}, "its ranks are .*, not 0 to 0"),
        (rank_table([5], {}, "10.0.0.1"), {"RANK_SIZE": "1", "RANK_ID": "0"}, None),
        (changed(status="initializing"), {}, "no completed table"),
        (changed(server_count="2"), {}, "no completed table"),
        (changed(server_list=[SERVER, SERVER]), {}, "too many values"),
        (
            changed(server_list=[{**SERVER, "server_id": "node_0"}]),
            {},
            "'node_0' does not appear to be an IPv4 or IPv6",
        ),
    ],
)
def test_which_rank_tables_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, table: dict[str, Any], given: dict[str, str], words: str | None
) -> None:
    (tmp_path / "table.json").write_text(json.dumps(table))
    for variable, value in {**TWO, "RANK_TABLE_FILE": str(tmp_path / "table.json"), **given}.items():
        monkeypatch.setenv(variable, value)
    with contextlib.nullcontext() if words is None else pytest.raises(AbortedError, match=words):
        _hccl.check_ranks(card=5, device=1)


def test_one_rank_needs_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "minimal-abcde")  # which switches nothing without a table
    _hccl.check_ranks(card=5, device=1)
