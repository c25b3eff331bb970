"""BERT (Devlin et al. 2018) as graph functions over packed rows, with the variable names of the published checkpoints.

Two departures from the plain computation, each proven equal to it by a test: rows may hold several pairs (packing.py),
and the last layer is computed only for the [CLS] tokens, the only ones that the classifier reads.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple, get_type_hints

import tensorflow.compat.v1 as tf

from bert_trainer.data import read_bytes
from bert_trainer.errors import BadModelError

LAYER_NORM_EPSILON = 1e-12
CLASSIFIER_DROPOUT = 0.1
MASKED_SCORE = -10000.0  # as published; also representable in half precision
_INITIALIZER = tf.truncated_normal_initializer(stddev=0.02)


class Operations(NamedTuple):
    """What a device computes in its own way."""

    gelu: Callable[[tf.Tensor], tf.Tensor]
    layer_norm: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
    dropout: Callable[[tf.Tensor, float], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The fields of bert_config.json that fine-tuning reads."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    hidden_act: str
    hidden_dropout_prob: float
    attention_probs_dropout_prob: float
    max_position_embeddings: int
    type_vocab_size: int


def read_bert_config(path: Path) -> BertConfig:
    """Reads bert_config.json; raises BadModelError naming the key that is missing, of a wrong type or not supported."""
    try:
        content = json.loads(read_bytes(path, BadModelError).decode("utf-8"))
    except ValueError as reason:
        raise BadModelError(
            "{}: not JSON ({}); use the file published with the weights".format(path, reason)
        ) from reason
    values: Dict[str, Any] = {}
    for name, kind in get_type_hints(BertConfig).items():
        value = content.get(name) if isinstance(content, dict) else None
        if type(value) is not kind and not (kind is float and type(value) is int):
            message = "{}: {} is {!r}, must be of type {}; use the file published with the weights"
            raise BadModelError(message.format(path, name, value, kind.__name__))
        values[name] = value
    config = BertConfig(**values)
    if config.hidden_act != "gelu":
        raise BadModelError("{}: hidden_act is {!r}, only 'gelu' is supported".format(path, config.hidden_act))
    if config.type_vocab_size != 2:
        raise BadModelError("{}: type_vocab_size is {}, sentence pairs need 2".format(path, config.type_vocab_size))
    if min(config.num_hidden_layers, config.num_attention_heads) < 1 or config.hidden_size % config.num_attention_heads:
        message = "{}: hidden_size {} does not divide among num_attention_heads {}, or num_hidden_layers {} is below 1"
        raise BadModelError(
            message.format(path, config.hidden_size, config.num_attention_heads, config.num_hidden_layers)
        )
    return config


def variable_shapes(config: BertConfig) -> Dict[str, List[int]]:
    """Returns name -> shape of every variable that a checkpoint of this configuration holds and fine-tuning reads."""
    hidden, wide = config.hidden_size, config.intermediate_size
    shapes = {
        "bert/embeddings/word_embeddings": [config.vocab_size, hidden],
        "bert/embeddings/token_type_embeddings": [config.type_vocab_size, hidden],
        "bert/embeddings/position_embeddings": [config.max_position_embeddings, hidden],
    }
    dense = {"bert/pooler/dense": [hidden, hidden]}
    norms = ["bert/embeddings/LayerNorm"]
    for layer in range(config.num_hidden_layers):
        scope = "bert/encoder/layer_{}/".format(layer)
        for name in ("attention/self/query", "attention/self/key", "attention/self/value", "attention/output/dense"):
            dense[scope + name] = [hidden, hidden]
        dense[scope + "intermediate/dense"] = [hidden, wide]
        dense[scope + "output/dense"] = [wide, hidden]
        norms += [scope + "attention/output/LayerNorm", scope + "output/LayerNorm"]
    for name, shape in dense.items():
        shapes[name + "/kernel"], shapes[name + "/bias"] = shape, shape[1:]
    for name in norms:
        shapes[name + "/beta"], shapes[name + "/gamma"] = [hidden], [hidden]
    return shapes


def layer_norm_and_gradient(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> Tuple[tf.Tensor, Callable[..., Any]]:
    """Layer normalization (Ba et al. 2016) of [tokens, hidden] in the form tf.custom_gradient takes.

    The gradient written out needs fewer passes over memory than the one TensorFlow derives.
    """
    centered = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    inverse = tf.rsqrt(tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    normal = centered * inverse

    def gradient(dy: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        dnormal = dy * gamma
        along = tf.reduce_mean(dnormal * normal, axis=-1, keepdims=True)
        dx = (dnormal - tf.reduce_mean(dnormal, axis=-1, keepdims=True) - normal * along) * inverse
        return dx, tf.reduce_sum(dy * normal, axis=0), tf.reduce_sum(dy, axis=0)

    return normal * gamma + beta, gradient


class Bert:
    """Builds the graph from a configuration and the device's own operations."""

    def __init__(self, config: BertConfig, operations: Operations) -> None:
        self._config = config
        self._operations = operations

    def logits(self, features: Dict[str, tf.Tensor], label_count: int) -> tf.Tensor:
        """Returns [slots, labels] logits of packed features (packing.assemble); those of empty slots mean nothing."""
        config, cls_index = self._config, features["cls_index"]
        rows, width = features["input_ids"].shape.as_list()
        with tf.variable_scope("bert"):
            x = self._embed(features, width)
            mask = attention_mask(features["pair_ids"])
            cls_mask = tf.gather(tf.reshape(mask, [rows * width, 1, 1, width]), cls_index)
            with tf.variable_scope("encoder"):
                for layer in range(config.num_hidden_layers - 1):
                    with tf.variable_scope("layer_{}".format(layer)):
                        x = self._layer(x, x, mask)
                with tf.variable_scope("layer_{}".format(config.num_hidden_layers - 1)):
                    x = self._layer(tf.gather(x, cls_index), x, cls_mask, cls_index // width)
            with tf.variable_scope("pooler"):
                pooled = tf.tanh(self._dense(x, config.hidden_size, "dense"))
        weights = tf.get_variable("output_weights", [label_count, config.hidden_size], initializer=_INITIALIZER)
        bias = tf.get_variable("output_bias", [label_count], initializer=tf.zeros_initializer())
        dropped = self._operations.dropout(pooled, CLASSIFIER_DROPOUT)
        return tf.nn.bias_add(tf.matmul(dropped, weights, transpose_b=True), bias)

    def _embed(self, features: Dict[str, tf.Tensor], width: int) -> tf.Tensor:
        """Returns [tokens, hidden]; gradients of the tables have the form, and so the norm, of the reference's."""
        config = self._config
        with tf.variable_scope("embeddings"):
            words = tf.get_variable("word_embeddings", [config.vocab_size, config.hidden_size])
            types = tf.get_variable("token_type_embeddings", [config.type_vocab_size, config.hidden_size])
            positions = tf.get_variable("position_embeddings", [config.max_position_embeddings, config.hidden_size])
            x = tf.gather(words, tf.reshape(features["input_ids"], [-1]))
            x += tf.matmul(tf.one_hot(tf.reshape(features["token_types"], [-1]), config.type_vocab_size), types)
            x += tf.matmul(tf.one_hot(tf.reshape(features["positions"], [-1]), width), positions[:width])
            return self._operations.dropout(self._layer_norm(x), config.hidden_dropout_prob)

    def _layer(
        self, queries: tf.Tensor, memory: tf.Tensor, mask: tf.Tensor, rows: Optional[tf.Tensor] = None
    ) -> tf.Tensor:
        """One transformer layer for `queries` [tokens, hidden] that attend to `memory` [tokens, hidden]."""
        config, operations = self._config, self._operations
        with tf.variable_scope("attention"):
            with tf.variable_scope("self"):
                context = self._attend(queries, memory, mask, rows)
            with tf.variable_scope("output"):
                output = operations.dropout(
                    self._dense(context, config.hidden_size, "dense"), config.hidden_dropout_prob
                )
                attended = self._layer_norm(queries + output)
        with tf.variable_scope("intermediate"):
            wide = operations.gelu(self._dense(attended, config.intermediate_size, "dense"))
        with tf.variable_scope("output"):
            output = operations.dropout(self._dense(wide, config.hidden_size, "dense"), config.hidden_dropout_prob)
            return self._layer_norm(attended + output)

    def _attend(self, queries: tf.Tensor, memory: tf.Tensor, mask: tf.Tensor, rows: Optional[tf.Tensor]) -> tf.Tensor:
        """Multi-head attention; `mask` is [groups, 1, queries, keys], `rows` each group's row of keys."""
        config = self._config
        heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        _, _, query_count, key_count = mask.shape.as_list()

        def project(x: tf.Tensor, name: str, count: int) -> tf.Tensor:
            return tf.reshape(self._dense(x, config.hidden_size, name), [-1, count, heads, size])

        query = project(queries, "query", query_count)
        key, value = project(memory, "key", key_count), project(memory, "value", key_count)
        if rows is not None:
            key, value = tf.gather(key, rows), tf.gather(value, rows)
        query, key, value = (tf.transpose(x, [0, 2, 1, 3]) for x in (query, key, value))
        scores = tf.matmul(query, key, transpose_b=True) * (1.0 / math.sqrt(size)) + mask
        weights = self._operations.dropout(tf.nn.softmax(scores), config.attention_probs_dropout_prob)
        return tf.reshape(tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3]), [-1, config.hidden_size])

    def _dense(self, x: tf.Tensor, size: int, name: str) -> tf.Tensor:
        with tf.variable_scope(name):
            kernel = tf.get_variable("kernel", [x.shape[-1].value, size], initializer=_INITIALIZER)
            bias = tf.get_variable("bias", [size], initializer=tf.zeros_initializer())
            return tf.nn.bias_add(tf.matmul(x, kernel), bias)

    def _layer_norm(self, x: tf.Tensor) -> tf.Tensor:
        with tf.variable_scope("LayerNorm"):
            beta = tf.get_variable("beta", [x.shape[-1].value], initializer=tf.zeros_initializer())
            gamma = tf.get_variable("gamma", [x.shape[-1].value], initializer=tf.ones_initializer())
            return self._operations.layer_norm(x, gamma, beta)


def attention_mask(pair_ids: tf.Tensor) -> tf.Tensor:
    """Returns [rows, 1, width, width]: 0 where both tokens are of one pair, MASKED_SCORE elsewhere."""
    same = tf.equal(pair_ids[:, None, :, None], pair_ids[:, None, None, :])
    return (1.0 - tf.cast(same, tf.float32)) * MASKED_SCORE
