"""Which cards a run has, by the environment and by the device files, and how its processes number them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bert_trainer.devices import cards
from bert_trainer.devices.cards import Cards, cards_of, prepare_environment
from bert_trainer.devices.rank_table import rank_table
from bert_trainer.errors import BadConfigError

VARIABLES = (
    "ASCEND_VISIBLE_DEVICES",
    "RANK_TABLE_FILE",
    "ASCEND_DEVICE_ID",
    "DEVICE_ID",
    "JOB_ID",
    "RANK_ID",
    "RANK_SIZE",
)


@pytest.fixture(autouse=True)
def dev(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A simulation of /dev without cards, and an environment without any."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name in ("davinci_manager", "devmm_svm", "hisi_hdc", "vdavinci100"):
        (tmp_path / name).touch()
    monkeypatch.setattr(cards, "DEVICE_FILES", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("variable", "files", "table", "expected"),
    [
        ("5,4", [], None, Cards([4, 5], [4, 5])),  # the kubelet's order; ascend-docker-runtime sorts
        ("5,4", [4, 5], None, Cards([4, 5], [4, 5])),
        ("", [11, 2], None, Cards([2, 11], [2, 11])),  # no such runtime, so nobody has written the variable
        ("6,7", [0, 1, 6, 7], None, Cards([6, 7], [0, 1, 6, 7])),  # a host, of which the user gives two
        ("5,4", [], [5, 4], Cards([5, 4], [4, 5])),  # another's table
        ("", [], [5, 4], Cards([5, 4], [4, 5])),
    ],
)
def test_cards_of_two(  # noqa: PLR0917 a table's columns
    monkeypatch: pytest.MonkeyPatch,
    dev: Path,
    variable: str,
    files: list[int],
    table: list[int] | None,
    expected: Cards,
) -> None:
    monkeypatch.setenv("ASCEND_VISIBLE_DEVICES", variable)
    for number in files:
        (dev / f"davinci{number}").touch()
    if table:
        (dev / "table.json").write_text(json.dumps(rank_table(table, {}, "10.0.0.1")))
        monkeypatch.setenv("RANK_TABLE_FILE", str(dev / "table.json"))
    assert cards_of(2) == expected


@pytest.mark.parametrize("variable", ["1,3,0,2", "5,7,4,6", "5,1,7,4,3,0,6,2"])
def test_cards_of_more_go_by_their_numbers(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """The kubelet's order is neither theirs nor its reverse."""
    monkeypatch.setenv("ASCEND_VISIBLE_DEVICES", variable)
    numbers = sorted(map(int, variable.split(",")))
    assert cards_of(len(numbers)) == Cards(numbers, numbers)


def test_a_rank_s_card_has_the_number_of_its_place_among_those_that_are_seen() -> None:
    assert [Cards([5, 4], [4, 5]).logical(rank) for rank in (0, 1)] == [1, 0]
    assert [Cards([6, 7], [0, 1, 6, 7]).logical(rank) for rank in (0, 1)] == [2, 3]


def test_a_card_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, dev: Path) -> None:
    monkeypatch.setenv("ASCEND_VISIBLE_DEVICES", "4,5")
    (dev / "davinci4").touch()
    with pytest.raises(BadConfigError, match=r"names card\(s\) \[4, 5\], and this process sees \[4\]"):
        cards_of(2)


def test_what_is_missing_is_set_and_what_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {"JOB_ID": "mine", "DEVICE_ID": "4", "POD_NAME": "x", "RANK_TABLE_FILE": "of others"}
    monkeypatch.setattr(cards.os, "environ", environment)
    prepare_environment(1)
    assert environment == {
        "JOB_ID": "mine",
        "DEVICE_ID": "4",  # of the server; with an ASCEND_DEVICE_ID the adapter would not look at it
        "RANK_ID": "0",
        "RANK_SIZE": "1",
        "ASCEND_GLOBAL_LOG_LEVEL": "3",
        "ASCEND_SLOG_PRINT_TO_STDOUT": "1",
    }
    environment.clear()
    environment["RANK_TABLE_FILE"] = "mine"
    prepare_environment(2)
    assert environment["RANK_TABLE_FILE"] == "mine"
    assert (environment["ASCEND_DEVICE_ID"], environment["JOB_ID"]) == ("0", "10087")


@pytest.mark.parametrize(
    ("variable", "value", "devices", "message"),
    [
        ("ASCEND_DEVICE_ID", "x", 1, "ASCEND_DEVICE_ID='x': must be a number from 0"),
        ("DEVICE_ID", "-1", 1, "DEVICE_ID='-1': must be"),
        ("RANK_ID", "", 1, "RANK_ID='': must be"),
        ("ASCEND_DEVICE_ID", "1", 1, r"ASCEND_DEVICE_ID=1: this process sees 1 card\(s\), numbered from 0"),
        ("DEVICE_ID", "5", 1, r"DEVICE_ID=5: this process sees card\(s\) \[0\], by their numbers on the server"),
        ("RANK_SIZE", "8", 1, "RANK_SIZE=8: the trainer starts its ranks itself"),
        ("RANK_SIZE", "4", 2, "RANK_SIZE=4"),
    ],
)
def test_what_would_abort_the_adapter_is_a_wrong_flag(  # noqa: PLR0917 a table's columns
    monkeypatch: pytest.MonkeyPatch, dev: Path, variable: str, value: str, devices: int, message: str
) -> None:
    (dev / "davinci0").touch()
    monkeypatch.setattr(cards.os, "environ", {variable: value})
    with pytest.raises(BadConfigError, match=message):
        prepare_environment(devices)
