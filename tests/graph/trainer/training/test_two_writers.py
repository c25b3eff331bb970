"""A process that lost the output folder, and goes on, changes nothing of what the process that has it does."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List
from unittest import mock

import numpy as np
import pytest

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.output import lease
from bert_trainer.reporting.stop import StopRequest
from support.trainer import small_task
from support.trainer.outputs import curves_of, result_of, weights
from support.trainer.stops_itself import MOMENTS

Arguments = Callable[..., List[str]]
FLAGS = {"save_checkpoints_steps": 3, "keep_checkpoint_max": 1, "run_id": "uid", "export_saved_model": "true"}


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)  # pytest's signal handlers stay


@pytest.fixture(scope="module")
def whole(model_folder: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run that nothing happened to."""
    output = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StopRequest, "listen", lambda _self: None)
        assert entry.main(small_task.arguments(small_task.flags(model_folder, data_folder, output, **FLAGS))) == 0
    return output


class Stopped:
    """A trainer that has stopped itself."""

    def __init__(self, moment: str, arguments: List[str], log: Path) -> None:
        command = [sys.executable, "-m", "support.trainer.stops_itself", moment, *arguments]
        self._log = log
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with log.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
        stat = Path(f"/proc/{self.process.pid}/stat")
        while ") T " not in stat.read_text():
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.02)

    def goes_on(self) -> int:
        self.process.send_signal(signal.SIGCONT)
        return self.process.wait(timeout=120)

    @property
    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Callable[[str, List[str]], Stopped]]:
    running: List[Stopped] = []

    def start(moment: str, arguments: List[str]) -> Stopped:
        running.append(Stopped(moment, arguments, tmp_path / "first.txt"))
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.wait()


def contents(*folders: Path) -> Dict[Path, bytes]:
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def assert_same_run(output: Path, whole: Path) -> None:
    ours, expected = weights(output), weights(whole)
    assert set(ours) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    for key in ("accuracy", "f1", "evalLoss", "steps", "evaluations"):
        assert result_of(output)[key] == result_of(whole)[key], key
    assert (output / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_process_stopped_past_its_lease(
    make_arguments: Arguments,
    tmp_path: Path,
    whole: Path,
    stopped: Callable[[str, List[str]], Stopped],
    moment: str,
) -> None:
    output, log = tmp_path / "output", tmp_path / "log"
    first = stopped(moment, make_arguments(termination_log=log, **FLAGS))
    assert entry.main(make_arguments(**FLAGS)) == 0  # waits for the lease to lapse, and finishes the run
    ours = (output / "generation-2", output / "saved_model" / "2")
    before = contents(*ours)
    assert_same_run(ours[0], whole)
    assert not list(output.glob("model.ckpt-*"))

    assert first.goes_on() == contract.EXIT_INTERRUPTED, first.log
    outcome = json.loads(log.read_text())
    name = re.escape(f"{os.uname().nodename} (process {os.getpid()})")
    assert outcome["class"] == "Interrupted"
    assert re.search(f"{name} has taken it while this process did not renew its lease", outcome["message"])
    assert contents(*ours) == before
    assert [path.name for path in (output / "saved_model").iterdir()] == ["2"]

    again = tmp_path / "again"
    assert entry.main(make_arguments(termination_log=again, **FLAGS)) == 0
    reported = json.loads(again.read_text())
    assert reported == {key: result_of(ours[0])[key] for key in contract.RESULT_KEYS}
    assert reported["checkpoint"] == "generation-2/model.ckpt-10"
    assert (output / (reported["checkpoint"] + ".index")).exists()


def test_a_start_that_ends_while_it_takes_over_loses_nothing(
    make_arguments: Arguments,
    tmp_path: Path,
    whole: Path,
    stopped: Callable[[str, List[str]], Stopped],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Until a generation is complete, the one before it is the run's."""
    output, arguments = tmp_path / "output", make_arguments(**FLAGS)
    killed = stopped("in a step", arguments)
    killed.process.kill()
    killed.process.wait()
    with mock.patch.object(lease.Lease, "begin_generation", side_effect=MemoryError):
        assert entry.main(arguments) == contract.EXIT_UNKNOWN
    assert lease.generation_of(output) == 1
    assert (output / "model.ckpt-6.index").exists()
    with caplog.at_level("INFO"):
        assert entry.main(arguments) == 0
    assert f"resuming from {output}/generation-3/model.ckpt-6" in caplog.text
    assert_same_run(output / "generation-3", whole)
    assert not list(output.glob("generation-2"))
    assert curves_of(output)["eval/accuracy"] == curves_of(whole)["eval/accuracy"]
