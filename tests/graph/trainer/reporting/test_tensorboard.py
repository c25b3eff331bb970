"""What TensorBoard makes of a run's event files."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import tensorflow.compat.v1 as tf

from bert_trainer.reporting.tensorboard import EventFile
from support.trainer.outputs import curves_of


def trained(folder: Path, first: int, last: int, value: float) -> None:
    """One process of a run: the steps after `first`, up to `last`."""
    events = EventFile(folder, first)
    for step in range(first + 1, last + 1):
        events.add(step, {"train/loss": value, "train/learning_rate": value / 2})


def test_what_is_in_the_file(tmp_path: Path) -> None:
    before = time.time()
    trained(tmp_path, 4, 6, 0.5)
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("events.out.tfevents.")
    start, session, *steps = tf.train.summary_iterator(str(path))
    assert (start.file_version, session.session_log.status) == ("brain.Event:2", tf.SessionLog.START)
    assert [event.step for event in (session, *steps)] == [5, 5, 6]
    values = {value.tag: value.simple_value for value in steps[0].summary.value}
    assert values == {"train/loss": 0.5, "train/learning_rate": 0.25}
    assert all(before <= event.wall_time <= time.time() for event in (start, session, *steps))


def test_a_step_is_to_be_seen_at_once(tmp_path: Path) -> None:
    events = EventFile(tmp_path, 0)
    assert not list(tmp_path.iterdir())
    for step in (1, 2):
        events.add(step, {"train/loss": 0.5})
        assert curves_of(tmp_path)["train/loss"][-1] == (step, 0.5)


def test_tensorboard_listens_to_both_families(tmp_path: Path) -> None:
    """As the chart starts it, without --host."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    board = subprocess.Popen([sys.executable, "-m", "tensorboard.main", f"--logdir={tmp_path}", f"--port={port}"])
    try:
        for host in ("127.0.0.1", "[::1]"):
            while not answers(f"http://{host}:{port}/"):
                assert board.poll() is None
                time.sleep(0.1)
    finally:
        board.kill()
        board.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.parametrize(
    ("processes", "steps"),
    [
        ([(0, 4, 0.5), (4, 6, 0.25)], [0.5, 0.5, 0.5, 0.5, 0.25, 0.25]),
        ([(0, 5, 0.5), (2, 6, 0.25)], [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]),  # lost after the checkpoint of step 2
        ([(0, 5, 0.5), (0, 2, 0.25)], [0.25, 0.25]),  # lost before the first checkpoint
        ([(0, 3, 0.5), (2, 4, 0.25), (3, 5, 0.75)], [0.5, 0.5, 0.25, 0.75, 0.75]),
    ],
)
def test_a_resumed_run_is_one_curve(tmp_path: Path, processes: list, steps: list) -> None:
    for process in processes:
        trained(tmp_path, *process)
    assert len(list(tmp_path.iterdir())) == len(processes)
    assert curves_of(tmp_path)["train/loss"] == list(enumerate(steps, start=1))


WRITE = """
import sys, pathlib
from bert_trainer.reporting.tensorboard import EventFile
events = EventFile(pathlib.Path(sys.argv[1]), 0)
for step in range(1, 21):
    events.add(step, {"train/loss": 0.5})
"""


def test_a_full_disk_is_said_once(tmp_path: Path) -> None:
    # in a process of its own: where this one's output is a file, it would be cut off, too
    limited = ["prlimit", "--fsize=500", sys.executable, "-c", WRITE, str(tmp_path)]
    done = subprocess.run(limited, capture_output=True, text=True, check=True)
    said = [line for line in done.stderr.splitlines() if "TensorBoard" in line]
    assert len(said) == 1, done.stderr
    assert "File too large; TensorBoard shows nothing more of this process" in said[0]
    assert curves_of(tmp_path)["train/loss"][:2] == [(1, 0.5), (2, 0.5)]


def test_no_folder_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    trained(tmp_path / "missing", 0, 2, 0.5)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
