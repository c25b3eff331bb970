"""What clusters and people do to a run: each fault has its exit code and a helpful message, nothing saved is lost."""

import ctypes
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple
from unittest import mock

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.errors import StorageError
from bert_trainer.output import lease, takeover
from bert_trainer.output.checkpoints import WeightsSaver
from bert_trainer.output.folder import RunFolder
from bert_trainer.reporting.telemetry import Telemetry
from bert_trainer.training import evaluator, run
from support.trainer import small_task
from support.trainer.outputs import result_of, weights

Arguments = Callable[..., List[str]]
STEPS = {"save_checkpoints_steps": 3, "run_id": "uid"}  # of ten, so checkpoints are of steps 3, 6, 9 and 10


@pytest.fixture(autouse=True)
def _signals_of_pytest() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def whole(model_folder: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run that nothing happened to."""
    output = tmp_path_factory.mktemp("whole")
    flags = small_task.flags(model_folder, data_folder, output, **STEPS)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert entry.main(small_task.arguments(flags)) == 0
    signal.signal(signal.SIGTERM, handlers[0])
    signal.signal(signal.SIGINT, handlers[1])
    return output


def assert_same_run(output: Path, whole: Path) -> None:
    """A run that something happened to ends where the whole one ended."""
    ours, expected = weights(output), weights(whole)
    assert set(ours) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    mine, result = result_of(output), result_of(whole)
    for key in ("accuracy", "f1", "evalLoss", "steps", "checkpoint", "evaluations"):
        assert mine[key] == result[key], key


# Stops and crashes.


class Moment(NamedTuple):
    """Just before a call of owner.name; `saved` is what a run stopped there leaves."""

    owner: Any
    name: str
    call: int
    saved: str


def before(moment: Moment, happens: Callable[[], None]) -> Any:
    """Returns a patch under which something happens at the moment."""
    original, calls = getattr(moment.owner, moment.name), []

    def patched(*arguments: Any, **options: Any) -> Any:
        calls.append(None)
        if len(calls) == moment.call:
            happens()
        return original(*arguments, **options)

    return mock.patch.object(moment.owner, moment.name, patched)


STOPS = {
    "reading the data": Moment(run, "read_pairs", 1, "nothing"),
    "a step": Moment(Telemetry, "step", 5, "model.ckpt-5"),
    "a checkpoint is saved": Moment(WeightsSaver, "save", 2, "model.ckpt-6"),
    "the first epoch's evaluation": Moment(evaluator, "infer", 2, "model.ckpt-5"),
    "the last evaluation": Moment(evaluator, "infer", 3, "model.ckpt-10"),
}
CRASHES = {
    "a step": Moment(Telemetry, "step", 5, "model.ckpt-3"),
    "the last checkpoint is saved": Moment(WeightsSaver, "save", 4, "model.ckpt-9"),
}


@pytest.mark.parametrize("moment", STOPS.values(), ids=STOPS)
def test_sigterm_at_any_moment_costs_nothing(
    make_arguments: Arguments, tmp_path: Path, whole: Path, moment: Moment
) -> None:
    arguments = make_arguments(termination_log=tmp_path / "log", **STEPS)
    with before(moment, lambda: os.kill(os.getpid(), signal.SIGTERM)):
        assert entry.main(arguments) == contract.EXIT_INTERRUPTED
    message = json.loads((tmp_path / "log").read_text())["message"]
    assert re.search(rf"^stopped by SIGTERM with (.*/)?{moment.saved} saved; start again with the same flags", message)
    assert entry.main(arguments) == 0
    assert_same_run(tmp_path / "output", whole)


def crash() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("moment", CRASHES.values(), ids=CRASHES)
def test_a_crash_costs_the_steps_since_the_last_checkpoint(
    make_arguments: Arguments, tmp_path: Path, whole: Path, moment: Moment
) -> None:
    arguments = make_arguments(**STEPS)
    with before(moment, crash):
        assert entry.main(arguments) == contract.EXIT_UNKNOWN
    assert tf.train.latest_checkpoint(str(tmp_path / "output")).endswith("/" + moment.saved)
    assert entry.main(arguments) == 0
    assert_same_run(tmp_path / "output", whole)


@pytest.mark.parametrize("damaged", [["10", "9"], ["10", "9", "6", "3"]])
def test_damaged_checkpoints_cost_their_steps(
    make_arguments: Arguments, tmp_path: Path, whole: Path, caplog: pytest.LogCaptureFixture, damaged: List[str]
) -> None:
    output = Path(shutil.copytree(str(whole), str(tmp_path / "output")))
    (output / "result.json").unlink()
    for step in damaged:
        path = output / f"model.ckpt-{step}.data-00000-of-00001"
        path.write_bytes(path.read_bytes()[:5000])
    assert entry.main(make_arguments(**STEPS)) == 0
    assert [step for step in damaged if f"model.ckpt-{step}: damaged" in caplog.text] == damaged
    assert_same_run(output, whole)


# Disks.


def python(arguments: List[str]) -> List[str]:
    return [sys.executable, "-m", "bert_trainer", *arguments]


# What the disk has room for, in checkpoints, and what a run in it has saved when it is full.
FULL = {
    "for no record": (0.001, "nothing"),
    "for a part of a checkpoint": (0.5, "nothing"),
    "for two checkpoints": (2.8, "model.ckpt-6"),
    "for the last checkpoint": (4.2, "model.ckpt-10"),
}


@pytest.mark.parametrize(("room", "saved"), FULL.values(), ids=FULL)
def test_a_disk_that_fills_up(make_arguments: Arguments, tmp_path: Path, whole: Path, room: float, saved: str) -> None:
    """What was being written is not taken for whole; with more room, the next start goes on from what was."""
    arguments = make_arguments(termination_log=tmp_path / "log", export_saved_model="true", **STEPS)
    output, after = tmp_path / "output", tmp_path / "after"
    output.mkdir()
    size = sum(path.stat().st_size for path in whole.glob("model.ckpt-3.*"))
    script = """
        output=$1 size=$2 after=$3 log=$4; shift 4
        mount -t tmpfs -o size="$size" none "$output"
        "$@"; echo $? >"$log.full"
        cp "$log" "$log.message"
        mount -o remount,size=100m "$output"
        "$@"; echo $? >"$log.larger"
        cp -r "$output" "$after"
    """
    # A file system of its own, which ends with its processes; --map-root-user lets any user mount it.
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-uc", script, "bash"]
    places = [str(output), str(int(room * size)), str(after), str(tmp_path / "log")]
    done = subprocess.run([*isolated, *places, *python(arguments)], stdout=subprocess.PIPE, text=True, check=True)
    assert int((tmp_path / "log.full").read_text()) == contract.EXIT_STORAGE, done.stdout
    outcome = json.loads((tmp_path / "log.message").read_text())
    assert outcome["class"] == "Storage"
    assert re.search(r"/output.*No space left on device.*; make the output folder writable", outcome["message"])
    assert int((tmp_path / "log.larger").read_text()) == 0, done.stdout
    resumed = re.findall(f"resuming from {output}/(.*)", done.stdout)
    assert resumed == ([] if saved == "nothing" else [saved])
    assert not list(after.glob("*_temp_*"))
    assert (after / "saved_model" / "1" / "saved_model.pb").exists()
    assert_same_run(after, whole)


NO_ROOM = {
    "no room": OSError(errno.ENOSPC, "No space left on device"),
    "no quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
    "no room elsewhere": OSError(errno.ENOSPC, "No space left on device", "/elsewhere/x"),
    "no room for TensorFlow": tf.errors.ResourceExhaustedError(None, None, "/elsewhere/x; No space left on device"),
    "no quota for TensorFlow": tf.errors.ResourceExhaustedError(None, None, "/elsewhere/x; Disk quota exceeded"),
}
WRITING = {
    "before the run": (lease, "_take"),
    "while it takes over": (takeover, "remove_earlier_generations"),
    "while it reads": (run, "read_pairs"),
    "in a step": (Telemetry, "step"),
    "at the end": (RunFolder, "copy"),
}


@pytest.mark.parametrize("error", NO_ROOM.values(), ids=NO_ROOM)
def test_a_full_disk_is_one_by_any_name(error: Exception) -> None:
    with pytest.raises(StorageError) as failure, run._storage_errors("/output/run"):
        raise error
    where = "/(elsewhere/x|output/run)"
    words = "(No space left on device|Disk quota exceeded); make the output folder writable and large enough"
    assert re.search(f"^{where}: .*{words}", str(failure.value))


def test_memory_that_is_used_up_is_no_full_disk() -> None:
    error = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9,9]")
    with pytest.raises(tf.errors.ResourceExhaustedError), run._storage_errors("/output/run"):
        raise error


@pytest.mark.parametrize("moment", WRITING.values(), ids=WRITING)
def test_a_full_disk_is_one_wherever_it_is_met(make_arguments: Arguments, tmp_path: Path, moment: Any) -> None:
    owner, name = moment
    with mock.patch.object(owner, name, side_effect=NO_ROOM["no quota"]):
        assert entry.main(make_arguments(termination_log=tmp_path / "log")) == contract.EXIT_STORAGE
    message = f"{tmp_path}/output: Disk quota exceeded; make the output folder writable and large enough"
    assert json.loads((tmp_path / "log").read_text())["message"].startswith(message)


def without_privilege() -> None:
    """Takes from root the right to write where no permission says so (PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)."""
    ctypes.CDLL(None).prctl(24, 1)


@pytest.mark.parametrize("made", [True, False], ids=["the folder", "the folder above"])
def test_no_permission_to_write(make_arguments: Arguments, tmp_path: Path, made: bool) -> None:
    closed = tmp_path / "closed"
    output = closed if made else closed / "output"
    closed.mkdir(mode=0o555)
    arguments = make_arguments(output_dir=output, termination_log=tmp_path / "log")
    done = subprocess.run(
        python(arguments), stdout=subprocess.PIPE, text=True, check=False, preexec_fn=without_privilege
    )
    assert done.returncode == contract.EXIT_STORAGE, done.stdout
    message = json.loads((tmp_path / "log").read_text())["message"]
    assert re.search(rf"{closed}.*: Permission denied; make the output folder writable", message)


def test_curves_that_cannot_be_written(
    make_arguments: Arguments, tmp_path: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    full = tf.errors.ResourceExhaustedError(None, None, "/output/events; No space left on device")
    with mock.patch.object(tf.io.TFRecordWriter, "flush", side_effect=full):
        assert entry.main(make_arguments(**STEPS)) == 0
    assert caplog.text.count("No space left on device; TensorBoard shows nothing more of this process") == 1
    assert_same_run(tmp_path / "output", whole)


def test_an_export_that_cannot_be_written(make_arguments: Arguments, tmp_path: Path, whole: Path) -> None:
    """The training is not lost with it: the next start exports and reports."""
    output = Path(shutil.copytree(str(whole), str(tmp_path / "output")))
    run, result = json.loads((output / "run.json").read_text()), output / "result.json"
    run["config"]["export_saved_model"] = True
    (output / "run.json").write_text(json.dumps(run))
    result.unlink()
    (output / "labels.txt").mkdir()
    arguments = make_arguments(export_saved_model="true", **STEPS)
    assert entry.main(arguments) == contract.EXIT_STORAGE
    assert re.search(
        r"/output/labels.txt: Is a directory; make the output folder writable", result_of(output)["message"]
    )
    (output / "labels.txt").rmdir()
    assert entry.main(arguments) == 0
    assert (output / "saved_model" / "1" / "saved_model.pb").exists()
    assert_same_run(output, whole)
