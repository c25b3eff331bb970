"""What a process of the trainer makes of the ends of another that it has started."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest

from bert_trainer import contract
from bert_trainer.config import Config, parse
from bert_trainer.errors import BadConfigError, ReportedError
from bert_trainer.processes import child, parent
from bert_trainer.processes.child import Child, ChildError
from bert_trainer.reporting.stop import StopRequest
from support.trainer import small_task

FATAL = "2021-02-20 16:33:42.123456: F tf_adapter/util/ge_plugin.cc:202] [GePlugin] Initialize ge failed, ret : failed"
REASON = "[ERROR] GE(7,python3.7):2021-02-20-16:33:39.123.456 EZ9999: the reason"
AGAIN = "[ERROR] FMK(7,python3.7):2021-02-20-16:33:42.123.456 [TF_ADAPTER] [ge_plugin.cc:202] Initialize ge failed"
OTHER = "2021-02-20 16:33:42.123455: E tensorflow/stream_executor/cuda/cuda_driver.cc:318] failed call to cuInit"
HOLDS_AND_ABORTS = """
import json, socket
holder = "%s (process %d)" % (socket.gethostname(), os.getpid())
content = {{"holder": holder, "renewals": 1, "released": False, "generation": 1}}
open({lease!r}, "w").write(json.dumps(content))
os.abort()
"""
Run = Callable[..., Child]


def test_a_process_without_its_starter_ends_at_once() -> None:
    environment = {**os.environ, child.STARTER: "1" if os.getpid() != 1 else "2"}
    code = "from bert_trainer.processes import child; child.follow_starter(); print('goes on')"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, check=False, env=environment, stdout=subprocess.PIPE, timeout=60)
    assert (ended.returncode, ended.stdout) == (contract.EXIT_UNKNOWN, b"")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    flags = small_task.flags(tmp_path / "model", tmp_path / "data", tmp_path / "output", device="npu")
    return Config(**flags, run_id="uid")


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Puts other code in the place of the trainer's."""

    def write(code: str) -> None:
        (tmp_path / "bert_trainer").mkdir()
        (tmp_path / "bert_trainer" / "__init__.py").touch()
        (tmp_path / "bert_trainer" / "__main__.py").write_text("import os, signal, subprocess, sys, time\n" + code)
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    return write


def end_of(config: Config, folder: Path) -> tuple[int, str]:
    started = Child(["bert_trainer", *child.flags(config)], folder, {})
    return started.death(started.wait())


INITIALIZE = "[GePlugin] Initialize ge failed, ret : failed"
REMEDY = "; start again, best on another card, and look at this one with npu-smi info"


@pytest.mark.parametrize(
    ("lines", "number", "exit_code", "words"),
    [
        ([REASON, AGAIN, OTHER, FATAL], 6, 69, f"--device=npu: {INITIALIZE} - EZ9999: the reason (ended by SIGABRT)"),
        (["free(): invalid pointer"], 6, 69, "--device=npu: ended by SIGABRT"),
        ([], 11, 69, "--device=npu: ended by SIGSEGV"),
        ([], 9, 137, "ended by SIGKILL, as when memory runs out; give it more, or pass a smaller --train_batch_size"),
        ([], 10, 138, "ended by SIGUSR1"),
    ],
)
def test_what_an_end_means(  # noqa: PLR0917 a table's columns
    config: Config,
    program: Callable[[str], None],
    tmp_path: Path,
    lines: list[str],
    number: int,
    exit_code: int,
    words: str,
) -> None:
    for_each = "print(line, file=sys.stdout if '[ERROR]' in line else sys.stderr, flush=True)"
    program(f"for line in {lines!r}:\n    {for_each}\nos.kill(os.getpid(), {number})")
    assert end_of(config, tmp_path) == (exit_code, words + (REMEDY if exit_code == 69 else ""))


def test_it_works_in_its_own_folder_and_finds_what_was_named_from_another(
    config: Config, program: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    program("print(os.getcwd(), os.environ['HOME'], os.environ['TMPDIR'], sys.argv[1:], file=sys.stderr)")
    assert Child(["bert_trainer", *child.flags(config)], place, {}, "rank 1: ").wait() == 0
    line = capsys.readouterr().err
    assert line == f"rank 1: {place} {place} {place} {child.flags(config)}\n"


def test_compilers_that_outlive_it_hold_nobody_up(
    config: Config, program: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have its standard error, whose end does not come before theirs."""
    monkeypatch.setattr(child, "SECONDS_FOR_LAST_WORDS", 0.5)
    program(f"print({FATAL!r}, file=sys.stderr)\nsubprocess.Popen(['sleep', '20'])\nos.abort()")
    before = time.monotonic()
    assert "Initialize ge failed" in end_of(config, tmp_path)[1]
    assert time.monotonic() - before < 15


class TestParent:
    """The process above a training on a card."""

    @pytest.fixture(autouse=True)
    def signals(self) -> Any:
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)

    def test_it_is_needed_on_a_card_unless_there_is_one(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        assert parent.is_needed(config)
        monkeypatch.setenv(child.STARTER, "1")
        assert not parent.is_needed(config)

    def test_a_rank_table_is_that_of_the_folder_it_was_started_in(
        self, config: Config, program: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("RANK_TABLE_FILE", "hccl.json")
        program(f"open({str(tmp_path / 'seen')!r}, 'w').write(os.environ['RANK_TABLE_FILE'])")
        parent.run(config, StopRequest())
        assert (tmp_path / "seen").read_text() == str(tmp_path / "hccl.json")

    @pytest.mark.parametrize("code", [0, 64, 75])
    def test_what_the_child_has_reported_is_not_reported_again(
        self, config: Config, program: Callable[[str], None], code: int
    ) -> None:
        program(f"sys.exit({code})")
        if not code:
            assert parent.run(config, StopRequest()) == {}
            return
        with pytest.raises(ReportedError) as reported:
            parent.run(config, StopRequest())
        assert reported.value.exit_code == code

    @pytest.mark.parametrize("known", ["this run", "another run", "a finished run", "no run"])
    def test_an_abort_stands_in_the_folder_if_that_is_the_run_s(
        self, config: Config, program: Callable[[str], None], known: str
    ) -> None:
        folder = Path(config.output_dir)
        folder.mkdir()
        if known != "no run":
            run = {"config": {**vars(config), "data_path": "elsewhere"}, "data": {"train.tsv": "sha"}, "model": {}}
            run["config"]["seed"] = 2 if known == "another run" else config.seed
            (folder / "run.json").write_text(json.dumps(run))
        if known == "a finished run":
            (folder / "result.json").write_text('{"outcome": "Succeeded"}')
        (folder / "leases").mkdir()
        program(HOLDS_AND_ABORTS.format(lease=str(folder / "leases" / "1.json")))
        with pytest.raises(ChildError) as failure:
            parent.run(config, StopRequest())
        assert failure.value.exit_code == contract.EXIT_DEVICE_FAULT
        assert json.loads((folder / "leases" / "1.json").read_text())["released"]  # the next start waits for nothing
        result = folder / "result.json"
        assert result.exists() == (known in ("this run", "a finished run"))
        if known == "this run":
            assert json.loads(result.read_text()) == {
                "outcome": "Failed",
                "class": "DeviceFault",
                "message": str(failure.value),
            }

    @pytest.mark.parametrize("early", [True, False])
    def test_a_request_to_stop_goes_to_the_child(
        self, config: Config, program: Callable[[str], None], tmp_path: Path, early: bool
    ) -> None:
        """Also one that came before the child was there, or before it listened."""
        program(f"open({str(tmp_path / 'there')!r}, 'w').close()\ntime.sleep(60)")
        stop = StopRequest()
        if early:
            stop.signal = "SIGTERM"
        else:

            def send() -> None:
                while not (tmp_path / "there").exists():
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGTERM)

            threading.Thread(target=send, daemon=True).start()
        with pytest.raises(ChildError, match=r"ended by SIGTERM; start again with the same flags$") as ended:
            parent.run(config, stop)
        assert ended.value.exit_code == contract.EXIT_INTERRUPTED


def test_a_child_s_command_line_says_the_same(config: Config) -> None:
    """Of each flag another value than its default."""
    others: dict[Any, Any] = {bool: True, int: 2, float: 0.5, str: "a name"}
    for field in dataclasses.fields(Config):
        value = getattr(config, field.name)
        try:
            other = dataclasses.replace(config, **{field.name: others[type(value)]})
        except BadConfigError:  # one of a few words
            continue
        assert parse(child.flags(other)) == other
