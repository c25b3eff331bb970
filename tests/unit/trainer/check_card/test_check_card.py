"""The tables of the first day on a card: what is in a row, whatever a card does."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bert_trainer.check_card import __main__ as check_card
from bert_trainer.check_card.__main__ import CHECKS, Check, Row
from bert_trainer.devices import cards

FATAL = "2021-02-20 16:33:42.123456: F tf_adapter/kernels/geop_npu.cc:703] GeOp1_0GEOP::::DoRunAsync Failed"
ERROR = "[ERROR] GE(7,python3.7):2021-02-20-16:33:39.123.456 E40021: a | and a reason"
CHECK = CHECKS[0]


@pytest.fixture(autouse=True)
def dev(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A simulation of /dev with two cards, and of what CANN and the driver install."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("davinci10", "davinci2", *check_card.CONTROL_FILES):
        (folder / name).touch(0o660)
        (folder / name).chmod(0o660)
    monkeypatch.setattr(cards, "DEVICE_FILES", folder)
    monkeypatch.setattr(check_card, "ASCEND", tmp_path / "Ascend")
    (tmp_path / "Ascend" / "driver").mkdir(parents=True)
    (tmp_path / "Ascend" / "driver" / "version.info").write_text("Version=20.2.0\npackage_version=20.2.0\n")
    monkeypatch.setenv("ASCEND_VISIBLE_DEVICES", "")
    return folder


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of files that this user may not open; the tests' own may be root."""
    names: set[str] = set()
    monkeypatch.setattr(check_card.os, "access", lambda path, _mode: os.path.basename(path) not in names)  # noqa: PTH119
    return names


def test_device_files_with_their_modes(closed: set[str], dev: Path) -> None:
    owner = f"{os.getuid()}:{os.getgid()}"
    row = check_card.device_files()
    assert row.verdict == "yes"
    assert (
        row.notes
        == f"davinci2 0660 {owner}, davinci_manager 0660 {owner}, devmm_svm 0660 {owner}, hisi_hdc 0660 {owner}"
    )
    closed.add("davinci2")
    (dev / "hisi_hdc").unlink()
    row = check_card.device_files()
    assert (row.verdict, row.seen) == ("no", "not davinci2, hisi_hdc (No such file or directory)")


def test_what_is_installed_for_others(closed: set[str], tmp_path: Path) -> None:
    row = check_card.rights()
    assert (row.verdict, row.seen) == ("yes", "everything")
    assert f"user {os.getuid()}, group {os.getgid()}, groups " in row.notes
    assert f"in {Path.cwd()}" in row.notes
    closed.add("version.info")
    row = check_card.rights()
    assert (row.verdict, row.seen) == ("no", f"all but 1, such as {tmp_path}/Ascend/driver/version.info")


def test_nothing_is_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(check_card, "ASCEND", tmp_path / "nowhere")
    assert check_card.rights().seen == f"all but 1, such as {tmp_path}/nowhere"


def test_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "npu_bridge-1.15.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    found = dict(check_card.versions())
    assert found[f"{tmp_path}/Ascend/driver"] == "Version=20.2.0\npackage_version=20.2.0\n"
    assert found["npu_bridge"] == f"npu_bridge-1.15.0 in {tmp_path}"
    assert found["hccl"] == "not installed by pip"
    assert found["tensorflow"].startswith("tensorflow-1.15")
    assert found["Python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Other code in the place of the checks."""
    package = tmp_path / "bert_trainer" / "check_card"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return package / "checks.py"


ABORTS = f"import os, sys\nprint({ERROR!r}, {FATAL!r}, sep='\\n', file=sys.stderr, flush=True)\nos.abort()"
WRITES = "import json, os, sys; json.dump({{'answer': {}, 'notes': 'more'}}, open(sys.argv[2], 'w'))"


@pytest.mark.parametrize(
    ("code", "seen", "verdict"),
    [
        (WRITES.format(repr(CHECK.expected)), CHECK.expected, "yes"),
        (WRITES.format("'other'"), "other", "no"),
        (WRITES.format("' '.join([sys.argv[1], os.environ['ASCEND_VISIBLE_DEVICES']])"), "small-graph 2", "no"),
        (WRITES.format("str([os.environ[name] == os.getcwd() for name in ('HOME', 'TMPDIR')])"), "[True, True]", "no"),
        (WRITES.format("'written'") + "; sys.stdout.flush(); os.abort()", "written", "no"),
        (ABORTS, "SIGABRT: GeOp1_0GEOP::::DoRunAsync Failed - E40021: a | and a reason", "no"),
        ("raise ZeroDivisionError('oops')", "exit code 1: ZeroDivisionError: oops", "no"),
        ("import sys; sys.exit(3)", "exit code 3: no output", "no"),
        ("print('compiling', flush=True); import time; time.sleep(60)", "SIGKILL: compiling", "no"),
    ],
)
def test_what_a_process_comes_to(program: Path, code: str, seen: str, verdict: str) -> None:
    program.write_text(code)
    row = check_card.on_card(CHECK, 3.0)
    assert (row.seen, row.verdict) == (seen, verdict)
    assert row.notes.endswith(" s, more" if "'notes'" in code else " s")


def test_what_is_not_run(dev: Path) -> None:
    (dev / "davinci2").unlink()
    row = check_card.on_card(Check("two-cards", "two", "8 steps", devices=2), 60.0)
    assert (row.verdict, row.seen) == ("-", "not run: this process sees one card")


def test_a_check_that_hangs_leaves_the_others_their_time(
    program: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sum(check.seconds for check in CHECKS) == 600
    program.write_text("import sys, time; time.sleep(60 if sys.argv[1] == 'first' else 0)\n" + WRITES.format("'4'"))
    hanging, other = Check("first", "hangs", "4", 1.0), Check("second", "answers", "4", 60.0)
    monkeypatch.setattr(check_card, "CHECKS", [hanging, other])
    assert check_card.main([]) == 1
    table = capsys.readouterr().out
    assert "| hangs | 4 | SIGKILL: no output | no |" in table
    assert "| answers | 4 | 4 | yes |" in table


def test_the_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {check.name: Row(check.what, check.expected, check.expected, "1 s") for check in CHECKS}
    monkeypatch.setattr(check_card, "on_card", lambda check, _seconds: rows[check.name])
    monkeypatch.setattr(check_card, "device_files", lambda: Row("files", "all", "all"))
    assert check_card.main(["--image=mine"]) == 0
    first, second = capsys.readouterr().out.strip().split("\n\n")
    assert first.splitlines()[:2] == [
        "| check | expected | seen | as expected | notes |",
        "| --- | --- | --- | --- | --- |",
    ]
    assert len(first.splitlines()) == 2 + 2 + len(CHECKS)
    assert second.splitlines()[:3] == ["| what | version |", "| --- | --- |", "| image | mine |"]
    assert "Version=20.2.0 package_version=20.2.0 |" in second
    rows["masks"] = Row("masks", "4", "a | and\na line")
    assert check_card.main([]) == 1
    assert "| masks | 4 | a / and a line | no |  |" in capsys.readouterr().out
    rows["masks"] = Row("masks", "4", check_card.NOT_RUN)
    assert check_card.main([]) == 0
