"""The SavedModel answers in another process what the trainer's own evaluation answers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Sequence

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from bert_trainer import __main__ as entry
from bert_trainer.config import Config
from bert_trainer.data.tasks import TASKS
from bert_trainer.data.tokenization import EncodedPair
from bert_trainer.devices.cpu import CpuDevice
from bert_trainer.model import pretrained
from bert_trainer.model.bert import Bert
from bert_trainer.model.operations import PackedOperations, gelu
from bert_trainer.training import saved_model
from bert_trainer.training.model_fn import Recipe
from support.trainer import small_bert, small_task
from support.trainer.places import PROJECT

LIBRARY = Path(tf.sysconfig.get_lib()) / "python/_pywrap_tensorflow_internal.so"
SERVER = PROJECT / "tests/support/trainer/serve_by_c_api.py"


def rows(pairs: Sequence[EncodedPair]) -> Dict[str, np.ndarray]:
    """Returns what a client sends for the pairs."""
    packed = small_task.one_per_row(pairs)
    return {
        "input_ids": packed["input_ids"],
        "input_mask": (packed["pair_ids"] > 0).astype(np.int32),
        "segment_ids": packed["token_types"],
    }


def serve(folder: Path, inputs: Dict[str, np.ndarray], scratch: Path) -> Dict[str, np.ndarray]:
    """Returns what a server answers, in a process that knows nothing of how the model was trained."""
    model = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signature = model.meta_graphs[0].signature_def["serving_default"]
    assert {name: info.name for name, info in signature.inputs.items()} == {name: name + ":0" for name in inputs}
    np.savez(str(scratch / "in.npz"), **inputs)
    files = [str(folder), str(scratch / "in.npz"), str(scratch / "out.npz")]
    outputs = [f"{name}={info.name}" for name, info in signature.outputs.items()]
    command = [sys.executable, str(SERVER), str(LIBRARY), *files, *outputs]
    subprocess.run(command, env={"TF_CPP_MIN_LOG_LEVEL": "3"}, check=True)
    return dict(np.load(str(scratch / "out.npz")))


def test_the_model_of_a_run(
    make_arguments: Callable[..., List[str]], data_folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    assert entry.main(make_arguments(export_saved_model="true")) == 0
    output = tmp_path / "output"
    folder = output / "saved_model" / "1"
    assert [path.name for path in folder.parent.iterdir()] == ["1"]
    assert (folder / "assets" / "vocab.txt").read_bytes() == (model_folder / "vocab.txt").read_bytes()
    assert (folder / "assets" / "labels.txt").read_text() == "0\n1\n"
    assert json.loads((folder / "assets" / "tokenizer_config.json").read_text()) == {"do_lower_case": True}
    assert not {"labels.txt", "tokenizer_config.json"}.intersection(path.name for path in output.iterdir())
    result = json.loads((output / "result.json").read_text())
    assert result["phases"]["export"] > 0
    # The development set, as a client would send it.
    lines = [line.split("\t") for line in (data_folder / "dev.tsv").read_text(encoding="utf-8-sig").splitlines()[1:]]
    tokens = [[["[CLS]", *first.split(), "[SEP]"], [*second.split(), "[SEP]"]] for *_, first, second in lines]
    inputs = {name: np.zeros([len(lines), small_task.WIDTH], np.int32) for name in saved_model.INPUTS}
    for row, (first, second) in enumerate(tokens):
        ids = [small_task.VOCABULARY.index(token) for token in first + second]
        inputs["input_ids"][row, : len(ids)] = ids
        inputs["input_mask"][row, : len(ids)] = 1
        inputs["segment_ids"][row, len(first) : len(ids)] = 1
    probabilities = serve(folder, inputs, tmp_path)["probabilities"]
    labels = np.array([int(line[0]) for line in lines])
    assert np.mean(probabilities.argmax(axis=1) == labels) == pytest.approx(result["accuracy"], abs=1e-6)
    losses = -np.log(probabilities[np.arange(len(labels)), labels])
    assert losses.mean() == pytest.approx(result["evalLoss"], abs=1e-5)


def trained(config: Config, outputs: int) -> str:
    """Returns a checkpoint of random weights with this many outputs, and beside them what training leaves."""
    weights = small_bert.random_weights()
    weights.update({name: weights[name][:outputs] for name in ("output_weights", "output_bias")})
    weights["global_step"] = np.int64(7)
    prefix = str(Path(config.output_dir) / "model.ckpt-7")
    with tf.Graph().as_default(), tf.Session() as session:
        for name, value in weights.items():
            tf.get_variable(name, initializer=value)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
    return prefix


def exported(config: Config) -> Path:
    model = pretrained.load(Path(config.model_path), "custom", config.max_seq_length)
    recipe = Recipe(config, TASKS[config.task_name], model, CpuDevice())
    Path(config.output_dir).mkdir(exist_ok=True)
    return saved_model.write(recipe, trained(config, recipe.task.outputs), Path(config.output_dir), 1)


def expected_logits(pairs: Sequence[EncodedPair]) -> np.ndarray:
    """Returns the logits of small_bert.random_weights."""
    weights = small_bert.random_weights()
    with tf.Graph().as_default(), tf.Session() as session:
        features = {name: tf.constant(value) for name, value in small_task.one_per_row(pairs).items()}
        logits = Bert(small_bert.CONFIG, PackedOperations(gelu, lambda x, _rate: x), small_task.WIDTH).logits(
            features, 2
        )
        for variable in tf.global_variables():
            variable.load(weights[variable.op.name], session)
        return session.run(logits)


def test_any_number_of_rows(make_config: Callable[..., Config], tmp_path: Path) -> None:
    folder = exported(make_config(task_name="RTE"))
    for count in (1, 6):
        pairs = small_task.random_pairs(count)
        odds = np.exp(expected_logits(pairs))
        served = serve(folder, rows(pairs), tmp_path)
        assert list(served) == ["probabilities"]
        np.testing.assert_allclose(served["probabilities"], odds / odds.sum(axis=1, keepdims=True), rtol=1e-5)
    assert (folder / "assets" / "labels.txt").read_text().split() == list(TASKS["RTE"].labels)


def test_a_score_instead_of_labels(make_config: Callable[..., Config], tmp_path: Path) -> None:
    pairs = small_task.random_pairs(4)
    served = serve(exported(make_config(task_name="STS-B")), rows(pairs), tmp_path)
    np.testing.assert_allclose(served["score"], expected_logits(pairs)[:, 0], rtol=1e-5)


def test_a_second_export_takes_the_place_of_the_first_and_of_what_an_interrupted_one_left(
    make_config: Callable[..., Config], tmp_path: Path
) -> None:
    unfinished = tmp_path / "output" / "saved_model" / "1.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "saved_model.pb").write_bytes(b"half")
    for _ in range(2):
        folder = exported(make_config())
        assert [path.name for path in folder.parent.iterdir()] == ["1"]
    command = [str(Path(sys.executable).parent / "saved_model_cli"), "show", "--dir", str(folder), "--all"]
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    width = small_task.WIDTH
    for name in saved_model.INPUTS:
        assert f"inputs['{name}'] tensor_info:\n        dtype: DT_INT32\n        shape: (-1, {width})" in shown
    assert "outputs['probabilities'] tensor_info:\n        dtype: DT_FLOAT\n        shape: (-1, 2)" in shown
    assert "Method name is: tensorflow/serving/predict" in shown
