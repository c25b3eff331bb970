import subprocess
import sys
from pathlib import Path

import pytest

from lab.cluster import processes
from lab.cluster.errors import ClusterError
from lab.cluster.processes import Component
from support.runs import website


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(processes, "LOGS", tmp_path)
    monkeypatch.setattr(processes, "RUN", tmp_path)
    return tmp_path


def python(code: str, **options: float) -> Component:
    return Component("program", (sys.executable, "-c", code), {}, **options)


def test_start_and_stop(folders: Path) -> None:
    program = python("import time; time.sleep(60)")
    processes.start(program)
    pid = processes.running_pid(program)
    assert pid
    assert Path(f"/proc/{pid}").exists()
    processes.stop(program)
    assert processes.running_pid(program) is None
    assert not list(folders.glob("*.pid"))


def test_a_program_that_ignores_sigterm_is_killed(folders: Path) -> None:
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    program = python(f"{ignore}; print('ready', flush=True); time.sleep(60)", stop_seconds=0.3)
    processes.start(program)
    assert processes.wait_until(lambda: "ready" in (folders / "program.log").read_text(), 10)
    processes.stop(program)
    assert processes.running_pid(program) is None


def test_a_recycled_process_id_is_not_ours(folders: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        (folders / "program.pid").write_text(f"{other.pid} 1\n")
        program = python("")
        assert processes.running_pid(program) is None
        processes.stop(program)
        assert other.poll() is None, "stopped a process that it had not started"
    finally:
        other.kill()
        other.wait()


@pytest.mark.usefixtures("folders")
def test_a_program_that_ends_early_is_reported_with_its_log() -> None:
    program = python("raise SystemExit('no such flag: --x')")
    processes.start(program)
    with pytest.raises(ClusterError, match=r"program ended .*(?s:.)*no such flag: --x"):
        processes.wait_ready(program, lambda: False, 10)


def test_an_address_answers_while_its_server_says_that_all_is_well(tmp_path: Path) -> None:
    with website("127.0.0.1", 0, tmp_path) as address:
        assert processes.answers(f"http://{address}/")
        assert not processes.answers(f"http://{address}/absent")
    assert not processes.answers(f"http://{address}/")
