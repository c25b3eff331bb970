"""The benchmark's child processes: their output, their time and memory, and their ends."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.bench.trainer import child
from lab.bench.trainer.child import BenchError


def test_a_child_s_time_memory_and_output(tmp_path: Path) -> None:
    program = "import time; print('one'); time.sleep(0.2); x = b'1' * 200_000_000; print('two')"
    run = child.run(["-c", program], tmp_path / "log")
    assert [line.text for line in run.lines] == ["one", "two"]
    assert 0.2 <= run.lines[1].seconds - run.lines[0].seconds <= run.seconds
    assert run.peak_rss_mb > 200
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_child_s_memory_is_its_own(tmp_path: Path) -> None:
    """Asked of a small process, as the bench is one: to Linux a child's peak begins with what its parent held."""
    measure = "import pathlib, sys, child; print(child.run(['-c', ''], pathlib.Path(sys.argv[1]))[1])"
    folder = str(Path(child.__file__).parent)
    command = [sys.executable, "-c", measure, str(tmp_path / "log")]
    printed = subprocess.check_output(command, env={**os.environ, "PYTHONPATH": folder})
    assert 5 < float(printed) < 50


@pytest.mark.parametrize(("pattern", "shown"), [("at (\\d+)/", "step 50"), ("at ", "step 2")])
def test_a_child_s_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, pattern: str, shown: str
) -> None:
    monkeypatch.setattr(child, "SECONDS_BETWEEN_LINES", 0.0)
    child.run(["-c", "print('at 49/99'); print('so'); print('at 50/99')"], tmp_path / "log", pattern)
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()][1:] == [shown]


def test_a_child_that_fails(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"(?s)ended with 3; all of it is in .*log:.*\nbad luck"):
        child.run(["-c", "print('bad luck'); raise SystemExit(3)"], tmp_path / "log")


def test_a_child_dies_with_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        child.run(["-c", "import time; time.sleep(600)"], tmp_path / "log")
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(caught.value)), 0)


def interrupted(process: Any, *_others: Any) -> None:
    raise KeyboardInterrupt(process.pid)
