"""What clusters and people do to a run: each fault has its exit code and a helpful message, nothing saved is lost."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple
from unittest import mock

import numpy as np
import pytest
import small_bert
import tensorflow.compat.v1 as tf

from bert_trainer import __main__ as entry
from bert_trainer import contract, evaluation, train
from bert_trainer.saving import WeightsSaver
from bert_trainer.telemetry import Telemetry

Arguments = Callable[..., List[str]]
STEPS = {"save_checkpoints_steps": 3, "run_id": "uid"}  # of ten, so checkpoints are of steps 3, 6, 9 and 10


@pytest.fixture(autouse=True)
def _pytest_s_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def weights(output: Path) -> Dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(output))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def result_of(output: Path) -> Dict[str, Any]:
    return json.loads((output / contract.RESULT_FILE).read_text())


@pytest.fixture(scope="session")
def whole(model_folder: Path, data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run that nothing happened to."""
    output = tmp_path_factory.mktemp("whole")
    flags = small_bert.flags(model_folder, data_folder, output, **STEPS)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert entry.main([f"--{name}={value}" for name, value in flags.items()]) == 0
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


# Wrong inputs.


def rewritten(name: str, change: Callable[[str], str]) -> Callable[[Path, Path], None]:
    """Returns a fault that changes the text of a file of the data folder."""

    def fault(_model: Path, data: Path) -> None:
        (data / name).write_text(change((data / name).read_text(encoding="utf-8")), encoding="utf-8")

    return fault


def line_3(change: Callable[[str], str]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        lines = text.split("\n")
        lines[2] = change(lines[2])
        return "\n".join(lines)

    return changed


def truncated_weights(model: Path, _data: Path) -> None:
    path = model / "bert_model.ckpt.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:1000])


def foreign_checkpoint(model: Path, _data: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("resnet/conv1/kernel", initializer=tf.zeros([3, 3]))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(model / "bert_model.ckpt"), write_meta_graph=False)


def other_config(model: Path, _data: Path) -> None:
    changed = dict(small_bert.CONFIG.__dict__, intermediate_size=256)
    (model / "bert_config.json").write_text(json.dumps(changed))


def longer_vocabulary(model: Path, _data: Path) -> None:
    with (model / "vocab.txt").open("a") as file:
        file.write("another\n")


def latin_1(_model: Path, data: Path) -> None:
    with (data / "dev.tsv").open("ab") as file:
        file.write(b"1\t1\t2\tcaf\xe9\tb\n")


BAD_DATA, BAD_MODEL = contract.EXIT_BAD_DATA, contract.EXIT_BAD_MODEL
WRONG_INPUTS = {
    "truncated weights": (truncated_weights, BAD_MODEL, r"/bert_model.ckpt: unreadable .*; copy the weights again$"),
    "foreign weights": (
        foreign_checkpoint,
        BAD_MODEL,
        r"/bert_model.ckpt: bert/.* has shape none, bert_config.json wants \[.*; use weights and configuration of",
    ),
    "another model's configuration": (
        other_config,
        BAD_MODEL,
        r"/bert_model.ckpt: bert/.* has shape \[64, 128\], bert_config.json wants \[64, 256\]; use weights and conf",
    ),
    "another model's vocabulary": (
        longer_vocabulary,
        BAD_MODEL,
        r"/vocab.txt: 32 tokens, but bert_config.json says vocab_size 31; use the vocabulary published with",
    ),
    "a missing column": (
        rewritten("train.tsv", lambda text: text.replace("#2 String", "Second", 1)),
        BAD_DATA,
        r"/train.tsv, line 1: column '#2 String' occurs 0 times among .*; the header must be MRPC's",
    ),
    "a bad label": (
        rewritten("dev.tsv", line_3(lambda line: "maybe" + line[1:])),
        BAD_DATA,
        r"/dev.tsv, line 3: column 'Quality' holds 'maybe'; labels of MRPC are 0, 1",
    ),
    "a field too many": (
        rewritten("train.tsv", line_3(lambda line: line + "\tmore")),
        BAD_DATA,
        r"/train.tsv, line 3: 6 fields where the header has 5.*; fields are separated by single tabs",
    ),
    "an empty sentence": (
        rewritten("train.tsv", line_3(lambda line: "\t".join([*line.split("\t")[:4], ""]))),
        BAD_DATA,
        r"/train.tsv, line 3: column '#2 String' is empty; remove the row",
    ),
    "an empty file": (
        rewritten("dev.tsv", lambda _text: ""),
        BAD_DATA,
        r"/dev.tsv: no examples; copy the file again",
    ),
    "a header alone": (
        rewritten("train.tsv", lambda text: text.split("\n")[0] + "\n"),
        BAD_DATA,
        r"/train.tsv: no examples; copy the file again",
    ),
    "another encoding": (latin_1, BAD_DATA, r"/dev.tsv, line 15: byte 0xe9 is not UTF-8; convert the file"),
}


@pytest.mark.parametrize(("fault", "exit_code", "message"), WRONG_INPUTS.values(), ids=WRONG_INPUTS)
def test_wrong_inputs(  # noqa: PLR0917 a table's columns
    make_arguments: Arguments,
    model_folder: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[Path, Path], None],
    exit_code: int,
    message: str,
) -> None:
    model, log = Path(shutil.copytree(str(model_folder), str(tmp_path / "model"))), tmp_path / "log"
    (tmp_path / "data").mkdir()
    data = small_bert.write_task(tmp_path / "data")
    fault(model, data)
    assert entry.main(make_arguments(model_path=model, data_path=data, termination_log=log)) == exit_code
    outcome = json.loads(log.read_text())
    assert (outcome["outcome"], outcome["class"]) == ("Failed", contract.EXIT_CLASSES[exit_code])
    assert re.search(message, outcome["message"])
    assert outcome == result_of(tmp_path / "output")
    assert caplog.records[-1].getMessage() == outcome["message"]  # the log's last line, and no traceback
    assert exit_code in contract.PERMANENT_EXIT_CODES


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
    "reading the data": Moment(train, "read_pairs", 1, "nothing"),
    "a step": Moment(Telemetry, "step", 5, "model.ckpt-5"),
    "a checkpoint is saved": Moment(WeightsSaver, "save", 2, "model.ckpt-6"),
    "the first epoch's evaluation": Moment(evaluation, "infer", 2, "model.ckpt-5"),
    "the last evaluation": Moment(evaluation, "infer", 3, "model.ckpt-10"),
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


def test_a_disk_that_fills_up(make_arguments: Arguments, tmp_path: Path, whole: Path) -> None:
    """The third checkpoint finds the disk full; with more room, the next start resumes from the second."""
    arguments = make_arguments(termination_log=tmp_path / "log", **STEPS)
    output, saved = tmp_path / "output", tmp_path / "saved"
    output.mkdir()
    size = sum(path.stat().st_size for path in whole.glob("model.ckpt-3.*"))
    script = """
        output=$1 size=$2 saved=$3 log=$4; shift 4
        mount -t tmpfs -o size="$size" none "$output"
        "$@"; echo $? >"$log.full"
        cp "$log" "$log.message"
        ls "$output" >"$log.files"
        mount -o remount,size=100m "$output"
        "$@"; echo $? >"$log.larger"
        cp -r "$output" "$saved"
    """
    # A file system of its own, which ends with its processes; --map-root-user lets any user mount it.
    isolated = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-uc", script, "bash"]
    places = [str(output), str(int(2.8 * size)), str(saved), str(tmp_path / "log")]
    done = subprocess.run([*isolated, *places, *python(arguments)], stdout=subprocess.PIPE, text=True, check=True)
    assert int((tmp_path / "log.full").read_text()) == contract.EXIT_STORAGE, done.stdout
    outcome = json.loads((tmp_path / "log.message").read_text())
    assert outcome["class"] == "Storage"
    assert re.search(r"/output.*No space left on device.*; make the output folder writable", outcome["message"])
    assert {"model.ckpt-3.index", "model.ckpt-6.index"} <= set((tmp_path / "log.files").read_text().split())
    assert int((tmp_path / "log.larger").read_text()) == 0, done.stdout
    assert f"resuming from {output}/model.ckpt-6" in done.stdout
    assert not list(saved.glob("*_temp_*"))
    assert_same_run(saved, whole)


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
