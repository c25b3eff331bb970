"""The model against the published implementation (bert-tensorflow 1.0.1), and packed rows against one pair per row."""

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
import small_bert
import tensorflow.compat.v1 as tf
from bert import modeling as reference
from bert import run_classifier

from bert_trainer.cpu import CpuDevice, drop
from bert_trainer.errors import BadModelError
from bert_trainer.modeling import Bert, layer_norm_and_gradient, read_bert_config, variable_shapes
from bert_trainer.packing import Features

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


def ours(features: Features) -> Evaluated:
    with tf.Graph().as_default():
        tensors = {name: tf.constant(array) for name, array in features.items()}
        operations = CpuDevice().operations(tf.constant(0), seed=1, training=False)
        logits = Bert(small_bert.CONFIG, operations).logits(tensors, 2)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tensors["labels"], logits=logits)
        loss = tf.reduce_sum(losses * tensors["weights"]) / tf.reduce_sum(tensors["weights"])
        return evaluate(logits, loss)


def theirs(features: Features) -> Evaluated:
    config = reference.BertConfig(**small_bert.CONFIG.__dict__)
    with tf.Graph().as_default():
        ids, types = (tf.constant(features[name]) for name in ("input_ids", "token_types"))
        mask, labels = tf.constant(np.minimum(features["pair_ids"], 1)), tf.constant(features["labels"])
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
    batch = small_bert.one_per_row(small_bert.random_pairs(6))
    assert_equal(ours(batch), theirs(batch), slots=6)


@pytest.mark.parametrize("seed", range(3))
def test_packed_rows_compute_what_one_pair_per_row_computes(seed: int) -> None:
    pairs = small_bert.random_pairs(7, seed)
    batch = small_bert.packed(pairs, rows=6, slots=9)
    assert batch["pair_ids"].any(axis=1).sum() < 7  # something was packed
    assert_equal(ours(batch), ours(small_bert.one_per_row(pairs)), slots=7)


def test_a_pair_does_not_see_its_neighbors() -> None:
    pairs = small_bert.random_pairs(7)
    changed = [pairs[0]] + [pair._replace(ids=pair.ids[::-1].copy()) for pair in pairs[1:]]
    before, after = (ours(small_bert.packed(each, rows=6, slots=7))[0] for each in (pairs, changed))
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[1:] != after[1:]).all()


def test_variables_are_those_of_the_reference() -> None:
    batch = small_bert.one_per_row(small_bert.random_pairs(2))
    found = {name: list(gradient.shape) for name, gradient in theirs(batch)[2].items()}
    assert found == dict(variable_shapes(small_bert.CONFIG), output_weights=[2, 64], output_bias=[2])


def test_layer_norm_gradient_is_the_derived_one() -> None:
    random = np.random.RandomState(0)
    with tf.Graph().as_default(), tf.Session() as session:
        x, gamma, beta = (tf.constant(random.normal(size=size)) for size in ((5, 8), (8,), (8,)))
        weights = tf.constant(random.normal(size=(5, 8)))
        derived = tf.gradients(weights * layer_norm_and_gradient(x, gamma, beta)[0], [x, gamma, beta])
        written = tf.gradients(weights * tf.custom_gradient(layer_norm_and_gradient)(x, gamma, beta), [x, gamma, beta])
        for one, other in zip(*session.run([derived, written])):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def all_dropped(training: bool, rate: float, step: int = 0, seed: int = 1, calls: int = 1) -> List[np.ndarray]:
    with tf.Graph().as_default(), tf.Session() as session:
        operations = CpuDevice().operations(tf.constant(step, tf.int64), seed, training)
        return session.run([operations.dropout(tf.ones([100, 1000]), rate) for _ in range(calls)])


def test_dropout_keeps_its_share_and_the_mean() -> None:
    (values,) = all_dropped(training=True, rate=0.1)
    assert abs((values == 0).mean() - 0.1) < 0.005
    np.testing.assert_allclose(values[values != 0], 1 / 0.9, rtol=1e-6)
    assert abs((values[1:] == values[:-1]).mean() - 0.82) < 0.01  # rows are independent: 0.9 * 0.9 + 0.1 * 0.1


@pytest.mark.parametrize("shape", [[1], [3, 5], [2, 3, 4]])
def test_dropout_of_any_shape(shape: List[int]) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.ones(shape)
        dropped = drop(x, 0.5, tf.constant([1, 2]))
        values, slope = session.run([dropped, tf.gradients(dropped, x)[0]])
    assert list(values.shape) == shape
    np.testing.assert_array_equal(values, slope)


def test_dropout_is_off_outside_training_and_at_rate_0() -> None:
    assert (all_dropped(training=False, rate=0.1)[0] == 1).all()
    assert (all_dropped(training=True, rate=0.0)[0] == 1).all()


def test_dropout_depends_on_seed_step_and_place_only() -> None:
    first, second = all_dropped(training=True, rate=0.5, calls=2)
    assert (first != second).any()
    np.testing.assert_array_equal(first, all_dropped(training=True, rate=0.5)[0])
    assert (first != all_dropped(training=True, rate=0.5, step=1)[0]).any()
    assert (first != all_dropped(training=True, rate=0.5, seed=2)[0]).any()


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
