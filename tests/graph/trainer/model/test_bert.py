"""The model against the published implementation (bert-tensorflow 1.0.1), and packed rows against one pair per row."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from bert import modeling as reference
from bert import run_classifier

from bert_trainer.data.tokenization import EncodedPair
from bert_trainer.devices.cpu import CpuDevice
from bert_trainer.errors import BadModelError
from bert_trainer.layouts.flat import FlatLayout
from bert_trainer.layouts.packed import Features
from bert_trainer.model.bert import Bert, read_bert_config, variable_shapes
from bert_trainer.model.operations import Operations, PackedOperations, gelu
from support.trainer import small_bert, small_task

Evaluated = Tuple[np.ndarray, float, Dict[str, np.ndarray]]


def evaluate(logits: tf.Tensor, loss: tf.Tensor) -> Evaluated:
    """Returns logits, loss and the dense gradient of every variable, at the fixed random weights."""
    variables = tf.trainable_variables()
    gradients = [tf.convert_to_tensor(gradient) for gradient in tf.gradients(loss, variables)]
    weights = small_bert.random_weights()
    with tf.Session() as session:
        for variable in variables:
            variable.load(weights[variable.op.name], session)
        values = session.run([logits, loss, gradients])
    return values[0], values[1], dict(zip([variable.op.name for variable in variables], values[2]))


def ours(features: Features, operations: Callable[[], Operations]) -> Evaluated:
    with tf.Graph().as_default():
        tensors = {name: tf.constant(array) for name, array in features.items()}
        logits = Bert(small_bert.CONFIG, operations(), small_task.WIDTH).logits(tensors, 2)
        labels = tf.cast(tensors["labels"], tf.int32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        loss = tf.reduce_sum(losses * tensors["weights"]) / tf.reduce_sum(tensors["weights"])
        return evaluate(logits, loss)


def in_rows(features: Features) -> Evaluated:
    return ours(features, lambda: PackedOperations(gelu, lambda x, _rate: x))


def flat(pairs: List[EncodedPair]) -> Evaluated:
    layout = FlatLayout([len(pair.ids) for pair in pairs], len(pairs))
    features = layout.assemble(next(layout.pack(range(len(pairs)))), pairs)
    return ours(features, lambda: CpuDevice().operations(tf.constant(0), seed=1, training=False))


def theirs(features: Features) -> Evaluated:
    config = reference.BertConfig(**small_bert.CONFIG.__dict__)
    with tf.Graph().as_default():
        ids, types = (tf.constant(features[name]) for name in ("input_ids", "token_types"))
        mask, labels = (
            tf.constant(np.minimum(features["pair_ids"], 1)),
            tf.cast(features["labels"], tf.int32),
        )
        loss, _, logits, _ = run_classifier.create_model(config, False, ids, mask, types, labels, 2, False)
        return evaluate(logits, loss)


def assert_equal(one: Evaluated, other: Evaluated, slots: int, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(one[0][:slots], other[0][:slots], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one[1], other[1], rtol=tolerance)
    assert set(one[2]) == set(other[2])
    for name, gradient in other[2].items():
        # A gradient's error is measured against its largest element; the key's bias has the gradient 0, up to rounding.
        scale = max(np.abs(gradient).max(), 1e-3)
        np.testing.assert_allclose(one[2][name] / scale, gradient / scale, rtol=0, atol=tolerance, err_msg=name)


def test_logits_loss_and_gradients_are_the_reference_s() -> None:
    pairs = small_task.random_pairs(6)
    batch = small_task.one_per_row(pairs)
    published = theirs(batch)
    assert_equal(in_rows(batch), published, slots=6)
    assert_equal(flat(pairs), published, slots=6)


@pytest.mark.parametrize("seed", range(3))
def test_packed_rows_and_flat_tokens_compute_what_one_pair_per_row_computes(seed: int) -> None:
    pairs = small_task.random_pairs(7, seed)
    batch = small_task.packed(pairs, rows=6, slots=9)
    assert batch["pair_ids"].any(axis=1).sum() < 7  # something was packed
    plain = in_rows(small_task.one_per_row(pairs))
    assert_equal(in_rows(batch), plain, slots=7)
    assert_equal(flat(pairs), plain, slots=7)


@pytest.mark.parametrize(
    "compute", [lambda pairs: in_rows(small_task.packed(pairs, rows=6, slots=7)), flat], ids=["packed", "flat"]
)
def test_a_pair_does_not_see_its_neighbors(compute: Callable[[List[EncodedPair]], Evaluated]) -> None:
    pairs = small_task.random_pairs(7)
    changed = [pairs[0]] + [pair._replace(ids=pair.ids[::-1].copy()) for pair in pairs[1:]]
    before, after = (compute(each)[0] for each in (pairs, changed))
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[1:] != after[1:]).all()


def test_variables_are_those_of_the_reference() -> None:
    batch = small_task.one_per_row(small_task.random_pairs(2))
    found = {name: list(gradient.shape) for name, gradient in theirs(batch)[2].items()}
    assert found == dict(variable_shapes(small_bert.CONFIG), output_weights=[2, 64], output_bias=[2])


def replaced(**changes: Any) -> Callable[[Dict[str, Any]], str]:
    return lambda config: json.dumps(dict(config, **changes))


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (lambda _: "{", "not JSON"),
        (lambda _: "[]", "vocab_size is None"),
        (replaced(hidden_size="64"), "hidden_size is '64', must be of type int"),
        (replaced(num_hidden_layers=True), "num_hidden_layers is True"),
        (replaced(hidden_act="relu"), "'relu', only 'gelu'"),
        (replaced(type_vocab_size=1), "sentence pairs need 2"),
        (replaced(num_attention_heads=5), "hidden_size 64 does not divide"),
        (replaced(num_attention_heads=0), "num_attention_heads 0"),
    ],
)
def test_bad_bert_config(tmp_path: Path, rewrite: Callable[[Dict[str, Any]], str], message: str) -> None:
    path = tmp_path / "bert_config.json"
    path.write_text(rewrite(small_bert.CONFIG.__dict__))
    with pytest.raises(BadModelError, match="bert_config.json: .*" + message):
        read_bert_config(path)


def test_bert_config_may_hold_more_than_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bert_config.json"
    path.write_text(json.dumps(dict(small_bert.CONFIG.__dict__, initializer_range=0.02, hidden_dropout_prob=0)))
    assert read_bert_config(path).hidden_dropout_prob == 0
