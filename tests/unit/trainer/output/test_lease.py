"""One process at a time has the lease of an output folder, and one that has lost it notices."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional

import pytest

from bert_trainer import contract
from bert_trainer.errors import InterruptedRunError, StorageError
from bert_trainer.output import lease
from bert_trainer.reporting.stop import StopRequest

FAST = """
import sys, time
from pathlib import Path
from bert_trainer.output import lease
from bert_trainer.reporting.stop import StopRequest

output = Path(sys.argv[1])
lease.RENEW_SECONDS = 0.05
"""
HOLDS = """
with lease.held(output, StopRequest()) as held:
    print(held.number, flush=True)
    while True:
        held.check()
        time.sleep(0.01)
"""
TAKES_TURNS = """
lease.UNCHANGED_LOOKS = 1000  # a machine that is busy is no reason to fail
for turn in range(5):
    with lease.held(output, StopRequest()) as held:
        (output / "inside").mkdir()  # fails where another process is inside
        held.check()
        print(held.number, held.generation, flush=True)
        (output / "inside").rmdir()
"""


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(lease, "FRESH_SECONDS", 0.0)


@contextlib.contextmanager
def process(script: str, output: Path) -> Iterator[subprocess.Popen]:
    running = subprocess.Popen(
        [sys.executable, "-c", FAST + script, str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def first_line(running: subprocess.Popen) -> str:
    return running.stdout.readline().strip()


def read(output: Path, number: int) -> Any:
    return json.loads((output / "leases" / f"{number}.json").read_text())


def never(_seconds: float) -> None:
    raise AssertionError("it waits")


def test_a_lease_that_was_given_back_costs_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", never)
    for number in (1, 2, 3):
        with lease.held(tmp_path / "a" / "b", StopRequest()) as held:
            held.check()
            assert (held.number, held.generation, held.folder) == (number, 1, tmp_path / "a" / "b")
            assert not held.is_shared_with_a_vanished_one
            assert not read(held.output, number)["released"]
        assert read(held.output, number)["released"]


def test_an_error_gives_the_lease_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", never)
    with pytest.raises(ZeroDivisionError), lease.held(tmp_path, StopRequest()):
        raise ZeroDivisionError
    with lease.held(tmp_path, StopRequest()) as held:
        assert held.number == 2


def test_a_holder_that_lives_is_named_and_nothing_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lease, "PATIENCE_LOOKS", 3)
    monkeypatch.setattr(lease, "UNCHANGED_LOOKS", 1000)
    with process(HOLDS, tmp_path) as holder:
        assert first_line(holder) == "1"
        name = f"{os.uname().nodename} (process {holder.pid})"
        with pytest.raises(InterruptedRunError) as refusal, lease.held(tmp_path, StopRequest()):
            pass
    assert f"--output_dir={tmp_path}: {name} holds it and lives; end that process or wait" in str(refusal.value)
    assert refusal.value.exit_code == contract.EXIT_INTERRUPTED
    assert caplog.text.count(f"{tmp_path}: {name} holds it; waiting until that ends") == 1
    assert [path.name for path in (tmp_path / "leases").iterdir()] == ["1.json"]


def test_a_killed_holder_s_lease_lapses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with process(HOLDS, tmp_path) as holder:
        first_line(holder)
        holder.kill()
        holder.wait()
        waits: List[float] = []
        monkeypatch.setattr(time, "sleep", waits.append)
        with lease.held(tmp_path, StopRequest()) as held:
            assert (held.number, held.generation, held.is_shared_with_a_vanished_one) == (2, 1, True)
        assert waits == [lease.RENEW_SECONDS] * lease.UNCHANGED_LOOKS


def test_clocks_that_jump_and_differ_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's time of day, nor those of the holder and of the file server, which stamps the files."""
    monkeypatch.setattr(time, "time", lambda: random.uniform(0, 2**33))
    for stamp in (0, 2**33):
        with process(HOLDS, tmp_path) as holder:
            first_line(holder)
            holder.kill()
            holder.wait()
        for path in (tmp_path / "leases").iterdir():
            os.utime(str(path), (stamp, stamp))
        with lease.held(tmp_path, StopRequest()) as held:
            held.check()


def test_a_stopped_holder_that_goes_on_notices_and_ends(tmp_path: Path) -> None:
    with process(HOLDS, tmp_path) as holder:
        first_line(holder)
        holder.send_signal(signal.SIGSTOP)
        with lease.held(tmp_path, StopRequest()) as held:
            holder.send_signal(signal.SIGCONT)
            output, _ = holder.communicate(timeout=60)
            held.check()
            assert holder.returncode == 1
            words = f"{os.uname().nodename} \\(process {os.getpid()}\\) has taken it while this process did not renew"
            assert re.search(f"LeaseLostError: --output_dir={tmp_path}: {words}", output)
            assert read(tmp_path, 1)["released"]
            assert not read(tmp_path, 2)["released"]


def test_a_failure_is_looked_into_however_fresh_the_last_look_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that the next holder has removed is no fault of the storage."""
    monkeypatch.setattr(lease, "FRESH_SECONDS", 3600.0)

    def lose_it_and_fail() -> None:
        with lease.held(tmp_path, StopRequest()) as held:
            held.check()
            vanished(tmp_path, 2, 1)
            held.check()
            raise FileNotFoundError

    with pytest.raises(lease.LeaseLostError):
        lose_it_and_fail()


def test_processes_that_begin_at_once_take_turns(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(process(TAKES_TURNS, tmp_path)) for _ in range(4)]
        outputs = [each.communicate(timeout=120)[0] for each in running]
        assert [each.returncode for each in running] == [0] * 4, outputs
    turns = sorted(
        tuple(map(int, line.split())) for output in outputs for line in output.splitlines() if line[0] in "0123456789"
    )
    assert turns == [(number, 1) for number in range(1, 21)]


def test_sigterm_ends_the_waiting(tmp_path: Path) -> None:
    stop = StopRequest()
    with process(HOLDS, tmp_path) as holder:
        first_line(holder)
        stop.signal = "SIGTERM"
        message = r"^stopped by SIGTERM while .* \(process \d+\) held "
        with pytest.raises(InterruptedRunError, match=message), lease.held(tmp_path, stop):
            pass


def vanished(output: Path, number: int, generation: int, released: bool = False, text: Optional[str] = None) -> None:
    """Writes the lease of a process that is gone."""
    (output / "leases").mkdir(exist_ok=True)
    content = {"holder": "pod-1 (process 1)", "renewals": 7, "released": released, "generation": generation}
    (output / "leases" / f"{number}.json").write_text(json.dumps(content) if text is None else text)


@pytest.mark.parametrize(
    ("leases", "generation", "is_shared"),
    [
        ([(1, True)], 1, False),
        ([(1, False)], 1, True),
        ([(1, False), (2, True)], 2, False),  # the second went on in a generation of its own
        ([(1, False), (1, True)], 1, True),  # the second ended before it could
        ([(1, False), (1, False), (3, True)], 3, False),
        ([(1, False), (2, False), (2, True)], 2, True),
        ([(1, False), (2, True), (2, True)], 2, False),
    ],
)
def test_a_generation_is_left_when_one_of_its_holders_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leases: Any, generation: int, is_shared: bool
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    for number, (its_generation, released) in enumerate(leases, start=1):
        vanished(tmp_path, number, its_generation, released)
    number = len(leases) + 1
    with lease.held(tmp_path, StopRequest()) as held:
        assert (held.number, held.generation, held.is_shared_with_a_vanished_one) == (number, generation, is_shared)
        held.begin_generation()
        assert held.folder == tmp_path / f"generation-{number}"
    assert lease.generation_of(tmp_path) == number
    with lease.held(tmp_path, StopRequest()) as held:
        assert (held.generation, held.is_shared_with_a_vanished_one) == (number, False)


@pytest.mark.parametrize("text", ["", '{"holder": "pod-1 (pro'])
def test_a_lease_that_cannot_be_read_counts_as_a_vanished_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Its process ended before it wrote anything, or is about to: such a lease is not older than any other."""
    waits: List[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    vanished(tmp_path, 1, 1, released=True)
    vanished(tmp_path, 2, 1, text=text)
    assert lease.generation_of(tmp_path) == 1
    with lease.held(tmp_path, StopRequest()) as held:
        assert (held.number, held.generation, held.is_shared_with_a_vanished_one) == (3, 1, True)
    assert len(waits) == lease.UNCHANGED_LOOKS


def test_a_folder_of_an_earlier_release_is_of_the_first_generation(tmp_path: Path) -> None:
    assert lease.generation_of(tmp_path) == lease.generation_of(tmp_path / "none") == 1


def test_a_full_disk_does_not_end_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened: Callable[..., Any] = Path.open

    def full(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode == "r+b":
            raise OSError(28, "No space left on device")
        return opened(path, mode, *arguments, **options)

    with lease.held(tmp_path, StopRequest()) as held:
        size = (tmp_path / "leases" / "1.json").stat().st_size
        renewed = read(tmp_path, 1)["renewals"]
        while read(tmp_path, 1)["renewals"] == renewed:
            time.sleep(0.01)
        assert (tmp_path / "leases" / "1.json").stat().st_size == size == lease.RECORD_BYTES  # overwritten in place
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", full)
            time.sleep(3 * lease.RENEW_SECONDS)
        held.check()
    assert caplog.text.count("cannot renew or give back its lease: No space left on device") == 1


def test_a_parent_gives_back_what_its_killed_child_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with process(HOLDS, tmp_path) as child:
        first_line(child)
        child.kill()
        child.wait()
        with lease.inherited(tmp_path, child.pid + 1) as left:
            assert left is None
        with lease.inherited(tmp_path, child.pid) as left:
            assert left is not None
            left.check()
            assert left.folder == tmp_path
        with lease.inherited(tmp_path, child.pid) as left:
            assert left is None
    monkeypatch.setattr(time, "sleep", never)
    with lease.held(tmp_path, StopRequest()) as held:
        assert (held.number, held.is_shared_with_a_vanished_one) == (2, False)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    message = r"/file.*: Not a directory; make the output folder writable"
    with pytest.raises(StorageError, match=message), lease.held(tmp_path / "file" / "output", StopRequest()):
        pass
