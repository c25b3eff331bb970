"""Real weights and real sentences, from text to logits: the forward pass against the published implementation."""

import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from bert import modeling as reference
from bert import run_classifier
from bert.tokenization import FullTokenizer

from bert_trainer.data.glue import read_pairs
from bert_trainer.data.tasks import TASKS
from bert_trainer.data.tokenization import encode_pairs
from bert_trainer.devices.cpu import CpuDevice
from bert_trainer.layouts.packed import PackedLayout
from bert_trainer.model import pretrained
from bert_trainer.model.bert import Bert
from bert_trainer.model.operations import Operations, PackedOperations, gelu
from bert_trainer.model.pretrained import PretrainedModel
from bert_weights.__main__ import build
from bert_weights.sources import SOURCES

PAIRS, WIDTH = 6, 128
Form = Callable[[List[int]], Tuple[Any, Operations]]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))


def weights(name: str) -> Path:
    """Returns the folder of real weights, which are fetched once a machine."""
    folder = CACHE / "bertfinetune" / "weights" / name
    build(name, SOURCES[name], folder)
    return folder


def evaluate(logits: tf.Tensor, model: PretrainedModel) -> np.ndarray:
    """Returns the logits with the checkpoint's weights and a classifier that makes them large."""
    variables: Dict[str, tf.Variable] = {variable.op.name: variable for variable in tf.trainable_variables()}
    random = np.random.RandomState(0)  # ty: ignore[missing-attribute] - of a compiled module
    classifier = random.normal(0, 0.5, variables["output_weights"].shape.as_list())
    with tf.Session() as session:
        tf.train.Saver({name: variables.pop(name) for name in model.variables}).restore(session, model.checkpoint)
        variables.pop("output_weights").load(classifier, session)
        variables.pop("output_bias").load([0.1, -0.1], session)
        assert not variables
        return session.run(logits)


def theirs(corpus: Path, folder: Path, model: PretrainedModel) -> np.ndarray:
    examples = run_classifier.MrpcProcessor().get_dev_examples(str(corpus))[:PAIRS]
    tokenizer = FullTokenizer(str(folder / pretrained.VOCAB_FILE))
    features = run_classifier.convert_examples_to_features(examples, ["0", "1"], WIDTH, tokenizer)
    config = reference.BertConfig.from_json_file(str(folder / pretrained.CONFIG_FILE))

    def constant(name: str) -> tf.Tensor:
        return tf.constant([getattr(feature, name) for feature in features])

    with tf.Graph().as_default():
        inputs = [constant(name) for name in ("input_ids", "input_mask", "segment_ids", "label_id")]
        _, _, logits, _ = run_classifier.create_model(config, False, *inputs, 2, False)
        return evaluate(logits, model)


def cpu(lengths: List[int]) -> Tuple[Any, Operations]:
    """Returns the layout of batches and the operations with which the trainer runs on a CPU."""
    device = CpuDevice()
    return device.layout(lengths, PAIRS, WIDTH), device.operations(tf.constant(0), seed=1, training=False)


def rows(lengths: List[int]) -> Tuple[Any, Operations]:
    """Returns those of static shape, for the NPU and for exported models."""
    return PackedLayout(lengths, PAIRS, WIDTH), PackedOperations(gelu, dropout=lambda x, _rate: x)


def ours(corpus: Path, model: PretrainedModel, form: Form) -> np.ndarray:
    pairs = encode_pairs(read_pairs(corpus / "dev.tsv", TASKS["MRPC"])[:PAIRS], model.vocabulary, WIDTH)
    with tf.Graph().as_default():
        layout, operations = form([len(pair.ids) for pair in pairs])
        (placements,) = layout.pack(range(PAIRS))
        features = {name: tf.constant(array) for name, array in layout.assemble(placements, pairs).items()}
        logits = evaluate(Bert(model.config, operations, WIDTH).logits(features, 2), model)
    return logits[np.argsort([placement.pair for placement in placements])]


def assert_logits_are_the_reference_s(corpus: Path, name: str) -> None:
    folder = weights(name)
    model = pretrained.load(folder, "custom", WIDTH)
    expected = theirs(corpus, folder, model)
    scale = np.abs(expected).max()
    assert np.ptp(expected, axis=0).min() > 1e-2 * scale  # pairs differ by a thousand times what is tolerated
    for form in (cpu, rows):
        found = ours(corpus, model, form)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * scale, err_msg=form.__name__)
