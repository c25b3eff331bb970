"""`python -m bert_trainer.predict`: submissions to GLUE from finished runs."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from bert import modeling as reference

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.data.glue import read_pairs, read_unlabelled
from bert_trainer.data.tasks import TASKS
from bert_trainer.data.tokenization import encode_pairs, read_vocabulary
from bert_trainer.output import lease
from bert_trainer.predict import __main__ as predict
from bert_trainer.reporting.stop import StopRequest
from support.trainer import small_task


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves pytest's signal handlers alone."""
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Dict[str, Path]:
    """Returns task -> folder with the task's files in "data" and a finished run in "run"."""
    folders = {}
    for task in ("MRPC", "MNLI", "STS-B"):
        folders[task] = folder = tmp_path_factory.mktemp(task)
        (folder / "data").mkdir()
        small_task.write_glue(folder / "data", task)
        flags = small_task.flags(model_folder, folder / "data", folder / "run", task_name=task, num_train_epochs=4.0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StopRequest, "listen", lambda _self: None)
            assert entry.main(small_task.arguments(flags)) == 0
    return folders


def predicted(folder: Path, output: Path) -> int:
    return predict.main([f"--run={folder / 'run'}", f"--data_path={folder / 'data'}", f"--output={output}"])


def rows(path: Path) -> List[List[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def reference_logits(run: Path, pairs: List[Any], lower_case: bool = True) -> np.ndarray:
    """Returns the logits that the published implementation computes from the run's folder."""
    config = reference.BertConfig.from_json_file(str(run / "bert_config.json"))
    encoded = encode_pairs(pairs, read_vocabulary(run / "vocab.txt"), small_task.WIDTH, lower_case)
    ids, mask, types = np.zeros((3, len(encoded), small_task.WIDTH), np.int32)
    for row, pair in enumerate(encoded):
        ids[row, : len(pair.ids)], mask[row, : len(pair.ids)] = pair.ids, 1
        types[row, pair.first_segment : len(pair.ids)] = 1
    with tf.Graph().as_default(), tf.Session() as session:
        model = reference.BertModel(config, False, tf.constant(ids), tf.constant(mask), tf.constant(types))
        # As create_model of run_classifier.py names them.
        weights = tf.get_variable("output_weights", [2, config.hidden_size])
        bias = tf.get_variable("output_bias", [2])
        logits = tf.nn.bias_add(tf.matmul(model.get_pooled_output(), weights, transpose_b=True), bias)
        tf.train.Saver().restore(session, tf.train.latest_checkpoint(str(run)))
        return session.run(logits)


def test_the_reference_loads_the_run_s_folder_and_answers_the_same(finished: Dict[str, Path], tmp_path: Path) -> None:
    folder = finished["MRPC"]
    assert predicted(folder, tmp_path) == 0
    indices, pairs = read_unlabelled(folder / "data" / "test.tsv", TASKS["MRPC"])
    logits = reference_logits(folder / "run", pairs)
    assert rows(tmp_path / "MRPC.tsv") == [
        ["index", "prediction"],
        *([index, str(label)] for index, label in zip(indices, logits.argmax(axis=1))),
    ]


def test_the_reference_scores_the_run_s_folder_the_same(finished: Dict[str, Path]) -> None:
    folder = finished["MRPC"]
    outcome = json.loads((folder / "run" / "result.json").read_text())
    lines = [line.split("\t") for line in (folder / "data" / "dev.tsv").read_text().splitlines()]
    columns = {name: lines[0].index(name) for name in ("#1 String", "#2 String", "Quality")}
    (folder / "as_test.tsv").write_text(
        "index\t#1 String\t#2 String\n"
        + "".join("0\t{}\t{}\n".format(row[columns["#1 String"]], row[columns["#2 String"]]) for row in lines[1:])
    )
    _, pairs = read_unlabelled(folder / "as_test.tsv", TASKS["MRPC"])
    logits = reference_logits(folder / "run", pairs)
    labels = np.array([int(row[columns["Quality"]]) for row in lines[1:]])
    assert outcome["accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == labels), abs=1e-6)
    assert outcome["evalLoss"] == pytest.approx(loss_of(logits, labels), rel=1e-5)


def test_a_cased_model_reads_cased_text_in_training_and_in_predictions(tmp_path: Path, model_folder: Path) -> None:
    """Only the last word says the label, and lower-cased both of them would be unknown."""
    model = Path(shutil.copytree(str(model_folder), str(tmp_path / "model")))
    words = {"lost": "Lost", "won": "Won"}
    (model / "vocab.txt").write_text("".join(words.get(token, token) + "\n" for token in small_task.VOCABULARY))
    data = tmp_path / "data"
    data.mkdir()
    small_task.write_glue(data, "MRPC")
    for path in data.iterdir():
        path.write_text(path.read_text().replace("lost", "Lost").replace("won", "Won"))
    flags = small_task.flags(model, data, tmp_path / "run", num_train_epochs=1.0, export_saved_model="true")
    assert entry.main(small_task.arguments(flags)) == 0
    assert predicted(tmp_path, tmp_path / "out") == 0
    logits = {}
    _, pairs = read_unlabelled(data / "test.tsv", TASKS["MRPC"])
    for lower_case in (False, True):
        logits[lower_case] = reference_logits(tmp_path / "run", pairs, lower_case)
    assert not np.allclose(logits[False], logits[True])
    assert [row[1] for row in rows(tmp_path / "out" / "MRPC.tsv")[1:]] == [str(n) for n in logits[False].argmax(axis=1)]
    lines = [line.split("\t") for line in (data / "dev.tsv").read_text().splitlines()]
    labels = np.array([int(row[lines[0].index("Quality")]) for row in lines[1:]])
    dev = read_pairs(data / "dev.tsv", TASKS["MRPC"])
    losses = {case: loss_of(reference_logits(tmp_path / "run", dev, case), labels) for case in (False, True)}
    outcome = json.loads((tmp_path / "run" / "result.json").read_text())
    assert outcome["evalLoss"] == pytest.approx(losses[False], rel=1e-5)
    assert outcome["evalLoss"] != pytest.approx(losses[True], rel=1e-5)
    assets = tmp_path / "run" / "saved_model" / "1" / "assets"
    assert json.loads((assets / "tokenizer_config.json").read_text()) == {"do_lower_case": False}


def loss_of(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean())


def test_all_files_of_mnli(finished: Dict[str, Path], tmp_path: Path) -> None:
    assert predicted(finished["MNLI"], tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["AX.tsv", "MNLI-m.tsv", "MNLI-mm.tsv"]
    for path in tmp_path.iterdir():
        header, *body = rows(path)
        assert header == ["index", "prediction"]
        assert [index for index, _ in body] == [str(number) for number in range(13)]
        assert {label for _, label in body} <= set(TASKS["MNLI"].labels)


def test_the_diagnostic_file_may_be_missing_but_no_other(finished: Dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(str(finished["MNLI"]), str(tmp_path / "copy")))
    (folder / "data" / "diagnostic.tsv").unlink()
    assert predicted(folder, tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["MNLI-m.tsv", "MNLI-mm.tsv"]
    (folder / "data" / "test_mismatched.tsv").unlink()
    assert predicted(folder, tmp_path / "out") == contract.EXIT_BAD_DATA


def test_scores_of_sts_b(finished: Dict[str, Path], tmp_path: Path) -> None:
    assert predicted(finished["STS-B"], tmp_path) == 0
    values = [float(value) for _, value in rows(tmp_path / "STS-B.tsv")[1:]]
    assert len(values) == 13
    assert all(0 < value < 5 for value in values)


def test_answers_are_in_glue_s_words() -> None:
    assert TASKS["RTE"].answers(np.float32([[1, 0], [0, 1]])) == ["entailment", "not_entailment"]
    assert TASKS["STS-B"].answers(np.float32([[-0.5], [2.71828], [5.5]])) == ["0.000", "2.718", "5.000"]


def test_a_run_that_went_on_in_another_generation(finished: Dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(str(finished["MRPC"]), str(tmp_path / "copy")))
    with lease.held(folder / "run", StopRequest()) as held:
        held.begin_generation()
        held.folder.mkdir()
        for path in (folder / "run").glob("*.*"):
            path.rename(held.folder / path.name)
    result = held.folder / "result.json"
    result.write_text(result.read_text().replace('"model.ckpt-', f'"{held.folder.name}/model.ckpt-'))
    assert predicted(folder, tmp_path / "out") == 0
    assert predicted(finished["MRPC"], tmp_path / "expected") == 0
    assert (tmp_path / "out" / "MRPC.tsv").read_bytes() == (tmp_path / "expected" / "MRPC.tsv").read_bytes()


def alter_config(run: Path) -> None:
    described = json.loads((run / "run.json").read_text())
    described["config"]["later_flag"] = 1
    (run / "run.json").write_text(json.dumps(described))


def fail(run: Path) -> None:
    (run / "result.json").write_text('{"outcome": "Failed", "class": "Storage", "message": ""}')


@pytest.mark.parametrize(
    ("break_it", "exit_code", "message"),
    [
        (lambda run: (run / "run.json").unlink(), contract.EXIT_BAD_CONFIG, "no finished run; pass the --output_dir"),
        (lambda run: (run / "result.json").unlink(), contract.EXIT_BAD_CONFIG, "no finished run"),
        (fail, contract.EXIT_BAD_CONFIG, "no finished run"),
        (alter_config, contract.EXIT_BAD_CONFIG, "run.json: .*later_flag.*; predict with the version"),
        (lambda run: (run / "vocab.txt").unlink(), contract.EXIT_BAD_MODEL, "vocab.txt: No such file"),
        (lambda run: (run / "model.ckpt-20.index").unlink(), contract.EXIT_BAD_MODEL, "model.ckpt-20: unreadable"),
        (
            lambda run: (run.parent / "data" / "test.tsv").write_text("a\n"),
            contract.EXIT_BAD_DATA,
            "test.tsv: no examp",
        ),
    ],
)
def test_broken_runs(  # noqa: PLR0917 - three fixtures and three columns of the table
    finished: Dict[str, Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    break_it: Callable[[Path], Any],
    exit_code: int,
    message: str,
) -> None:
    folder = Path(shutil.copytree(str(finished["MRPC"]), str(tmp_path / "copy")))
    break_it(folder / "run")
    assert predicted(folder, tmp_path / "out") == exit_code
    assert re.search(message, caplog.text)
    assert not (tmp_path / "out").exists()


def test_a_run_that_moved_is_left_as_it_is(finished: Dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(str(finished["MRPC"]), str(tmp_path / "copy")))
    before = {path.name: path.read_bytes() for path in (folder / "run").iterdir() if path.is_file()}
    command = [sys.executable, "-m", "bert_trainer.predict"]
    flags = ["--run={}".format(folder / "run"), "--data_path={}".format(folder / "data"), "--output=" + str(tmp_path)]
    assert subprocess.call([*command, *flags[:2]], stdout=subprocess.DEVNULL) == contract.EXIT_BAD_CONFIG
    assert subprocess.call([*command, *flags], stdout=subprocess.DEVNULL) == 0
    assert {path.name: path.read_bytes() for path in (folder / "run").iterdir() if path.is_file()} == before
    assert len(rows(tmp_path / "MRPC.tsv")) == 14
