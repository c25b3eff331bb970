"""Flags, files and numbers that a run cannot do with: each has its exit code and a message that names the remedy."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List
from unittest import mock

import pytest
import tensorflow.compat.v1 as tf

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.errors import BadConfigError
from bert_trainer.training import run
from support.trainer import small_bert, small_task
from support.trainer.outputs import result_of

Arguments = Callable[..., List[str]]
pytestmark = pytest.mark.usefixtures("signals_of_pytest")


@pytest.mark.parametrize(
    ("flags", "exit_code", "message"),
    [
        ({"train_batch_size": 0}, contract.EXIT_BAD_CONFIG, "--train_batch_size=0"),
        ({"seed": "x"}, contract.EXIT_BAD_CONFIG, "--seed"),
        (
            {"train_batch_size": 100, "num_train_epochs": 2},
            contract.EXIT_BAD_CONFIG,
            "40 examples in 2.0 epochs are less than one batch",
        ),
        ({"max_seq_length": 41}, contract.EXIT_BAD_CONFIG, "has 40 positions"),
        ({"device": "npu"}, contract.EXIT_BAD_CONFIG, "use the trainer's Ascend image"),
        ({"data_path": "/nowhere"}, contract.EXIT_BAD_DATA, "/nowhere/train.tsv: No such file"),
        ({"model_path": "/nowhere"}, contract.EXIT_BAD_MODEL, "/nowhere/vocab.txt: No such file"),
        ({"model_name": "bert-base-uncased"}, contract.EXIT_BAD_MODEL, "those of bert-base-uncased"),
        ({"output_dir": "/dev/null/output"}, contract.EXIT_STORAGE, "/dev/null/output"),
    ],
)
def test_failures(
    make_arguments: Arguments, tmp_path: Path, flags: Dict[str, Any], exit_code: int, message: str
) -> None:
    log = tmp_path / "log"
    assert entry.main(make_arguments(termination_log=log, **flags)) == exit_code
    outcome = json.loads(log.read_text())
    assert (outcome["outcome"], outcome["class"]) == ("Failed", contract.EXIT_CLASSES[exit_code])
    assert message in outcome["message"]


def test_a_failure_in_the_data_is_recorded_in_the_folder(make_arguments: Arguments, tmp_path: Path) -> None:
    data = small_task.write_task(tmp_path)
    (data / "dev.tsv").write_text(small_task.HEADER + "7\t1\t2\ta\tb\n", encoding="utf-8")
    assert entry.main(make_arguments(data_path=data)) == contract.EXIT_BAD_DATA
    assert "dev.tsv, line 2: column 'Quality' holds '7'" in result_of(tmp_path / "output")["message"]


def test_a_bug_is_recorded(make_arguments: Arguments, tmp_path: Path) -> None:
    with mock.patch.object(run, "run", side_effect=ZeroDivisionError("oops")):
        assert entry.main(make_arguments(termination_log=tmp_path / "log")) == contract.EXIT_UNKNOWN
    assert json.loads((tmp_path / "log").read_text()) == {
        "outcome": "Failed",
        "class": "Unknown",
        "message": "ZeroDivisionError: oops",
    }


def test_a_loss_that_is_no_number(make_arguments: Arguments, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with mock.patch("bert_trainer.training.model_fn.learning_rate_at", return_value=tf.constant(float("inf"))) as rate:
        rate.side_effect = lambda *_arguments: tf.constant(float("inf"))
        assert entry.main(make_arguments(termination_log=log)) == contract.EXIT_BAD_CONFIG
    assert "--learning_rate=0.001: the loss is not a number at step" in json.loads(log.read_text())["message"]


HALF = "--learning_rate=0.001: the loss is not a number at step 7 with --precision_mode={} and --loss_scale={}; pass a "
ALL_THREE = "smaller rate, --loss_scale=0, which finds the scale, or --precision_mode=must_keep_origin_dtype"
ONLY_THE_RATE = "--learning_rate=0.001: the loss is not a number at step 7; pass a smaller rate"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"device": "npu"}, HALF.format("allow_mix_precision", -1) + ALL_THREE),
        (
            {"device": "npu", "precision_mode": "force_fp16", "loss_scale": 1024},
            HALF.format("force_fp16", 1024) + ALL_THREE,
        ),
        ({"device": "npu", "precision_mode": "must_keep_origin_dtype"}, ONLY_THE_RATE),
        ({}, ONLY_THE_RATE),
    ],
)
def test_what_a_loss_that_is_no_number_is_blamed_on(
    make_config: Callable[..., Config], flags: Dict[str, Any], message: str
) -> None:
    with pytest.raises(BadConfigError) as blamed, run._loss_errors(make_config(**flags), lambda: "at step 7"):
        raise tf.train.NanLossDuringTrainingError
    assert str(blamed.value) == message


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
    data = small_task.write_task(tmp_path / "data")
    fault(model, data)
    assert entry.main(make_arguments(model_path=model, data_path=data, termination_log=log)) == exit_code
    outcome = json.loads(log.read_text())
    assert (outcome["outcome"], outcome["class"]) == ("Failed", contract.EXIT_CLASSES[exit_code])
    assert re.search(message, outcome["message"])
    assert outcome == result_of(tmp_path / "output")
    assert caplog.records[-1].getMessage() == outcome["message"]  # the log's last line, and no traceback
    assert exit_code in contract.PERMANENT_EXIT_CODES
