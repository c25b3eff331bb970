"""BERT (Devlin et al. 2018) as graph functions over packed rows, with the variable names of the published checkpoints.

Two departures from the plain computation, each proven equal to it by a test: a batch is laid out with little or no
padding (packed.py, flat.py), and the last layer is computed only for the [CLS] tokens, which alone are classified.
"""

import dataclasses
import json
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple, get_type_hints

import numpy as np
import tensorflow.compat.v1 as tf

from bert_trainer.data.glue import read_bytes
from bert_trainer.errors import BadModelError
from bert_trainer.model.operations import Features, Norm, Operations

InitFn = Callable[[tf.train.Scaffold, tf.Session], None]

CLASSIFIER_DROPOUT = 0.1
WORD_TABLE = "bert/embeddings/word_embeddings"
STDDEV = 0.02
_INITIALIZER = tf.truncated_normal_initializer(stddev=STDDEV)


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
        WORD_TABLE: [config.vocab_size, hidden],
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


class Bert:
    """Builds the graph from a configuration and the device's own operations, for pairs of up to `width` tokens."""

    def __init__(self, config: BertConfig, operations: Operations, width: int) -> None:
        self._config = config
        self._operations = operations
        self._width = width

    def logits(self, features: Features, label_count: int) -> tf.Tensor:
        """Returns [slots, labels] logits of a batch; those of its empty slots mean nothing."""
        config, cls_index = self._config, features["cls_index"]
        with tf.variable_scope("bert"):
            x = self._embed(features)
            with tf.variable_scope("encoder"):
                for layer in range(config.num_hidden_layers - 1):
                    with tf.variable_scope("layer_{}".format(layer)):
                        x = self._layer(features, x, x, cls_only=False)
                with tf.variable_scope("layer_{}".format(config.num_hidden_layers - 1)):
                    x = self._layer(features, tf.gather(x, cls_index), x, cls_only=True)
            with tf.variable_scope("pooler"), tf.variable_scope("dense"):
                kernel, bias = _dense_variables(config.hidden_size, config.hidden_size)
                pooled = tf.tanh(tf.nn.bias_add(tf.matmul(x, kernel), bias))
        weights = tf.get_variable("output_weights", [label_count, config.hidden_size], initializer=_INITIALIZER)
        bias = tf.get_variable("output_bias", [label_count], initializer=tf.zeros_initializer())
        dropped = self._operations.dropout(pooled, CLASSIFIER_DROPOUT)
        return tf.nn.bias_add(tf.matmul(dropped, weights, transpose_b=True), bias)

    def _embed(self, features: Features) -> tf.Tensor:
        """Returns [tokens, hidden]; gradients of the tables have the form, and so the norm, of the reference's."""
        config = self._config
        ids, types, positions = (tf.reshape(features[name], [-1]) for name in ("input_ids", "token_types", "positions"))
        with tf.variable_scope("embeddings"):
            word_table = tf.get_variable("word_embeddings", [config.vocab_size, config.hidden_size])
            type_table = tf.get_variable("token_type_embeddings", [config.type_vocab_size, config.hidden_size])
            position_table = tf.get_variable(
                "position_embeddings", [config.max_position_embeddings, config.hidden_size]
            )
            x = tf.gather(word_table, ids)
            x += tf.matmul(tf.one_hot(types, config.type_vocab_size), type_table)
            x += tf.matmul(tf.one_hot(positions, self._width), position_table[: self._width])
            with tf.variable_scope("LayerNorm"):
                norm = _norm_of(config.hidden_size)
            return self._operations.dropout(self._operations.norm(x, norm), config.hidden_dropout_prob)

    def _layer(self, features: Features, queries: tf.Tensor, memory: tf.Tensor, *, cls_only: bool) -> tf.Tensor:
        """One transformer layer for `queries`, all tokens or the [CLS] alone, that attend to all tokens, `memory`."""
        config = self._config
        with tf.variable_scope("attention"):
            with tf.variable_scope("self"):
                context = self._attend(features, queries, memory, cls_only=cls_only)
            with tf.variable_scope("output"):
                attended = self._project_back(context, queries)
        with tf.variable_scope("intermediate"), tf.variable_scope("dense"):
            kernel, bias = _dense_variables(config.hidden_size, config.intermediate_size)
            wide = self._operations.bias_gelu(tf.matmul(attended, kernel), bias)
        with tf.variable_scope("output"):
            return self._project_back(wide, attended)

    def _project_back(self, x: tf.Tensor, residual: tf.Tensor) -> tf.Tensor:
        """Dense layer to the hidden size, dropout, residual connection and layer normalization."""
        config = self._config
        with tf.variable_scope("dense"):
            kernel, bias = _dense_variables(x.shape[-1].value, config.hidden_size)
        with tf.variable_scope("LayerNorm"):
            norm = _norm_of(config.hidden_size)
        return self._operations.add_norm(tf.matmul(x, kernel), bias, residual, norm, config.hidden_dropout_prob)

    def _attend(self, features: Features, queries: tf.Tensor, memory: tf.Tensor, *, cls_only: bool) -> tf.Tensor:
        config = self._config
        kernels, biases = [], []
        for name in ("query", "key", "value"):
            with tf.variable_scope(name):
                kernel, bias = _dense_variables(config.hidden_size, config.hidden_size)
                kernels.append(kernel)
                biases.append(bias)
        return self._operations.attend(
            features,
            tf.matmul(queries, kernels[0]),
            biases[0],
            tf.matmul(memory, tf.concat(kernels[1:], axis=1)),
            tf.concat(biases[1:], axis=0),
            heads=config.num_attention_heads,
            rate=config.attention_probs_dropout_prob,
            cls_only=cls_only,
        )


def initializer(variables: Sequence[tf.Variable], seed: int) -> InitFn:
    """Returns what draws the variables that no checkpoint initializes, on the host, when a session begins.

    So they depend on the seed alone: TensorFlow's own numbers depend on how many operations the graph has before them,
    and on an NPU each seed would be another graph to compile.
    """

    def initialize(_scaffold: tf.train.Scaffold, session: tf.Session) -> None:
        for variable in variables:
            if variable.op.name.endswith(("/kernel", "output_weights")):
                variable.load(drawn(variable.op.name, variable.shape.as_list(), seed), session)

    return initialize


def drawn(name: str, shape: List[int], seed: int) -> np.ndarray:
    """Returns random numbers, as _INITIALIZER's, by the seed and the name: normal, none beyond two deviations."""
    key = [seed, zlib.crc32(name.encode())]
    random = np.random.RandomState(key)  # ty: ignore[missing-attribute] - of a compiled module
    values = random.standard_normal(shape)
    while (np.abs(values) > 2).any():
        values = np.where(np.abs(values) > 2, random.standard_normal(shape), values)
    return (STDDEV * values).astype(np.float32)


def _dense_variables(inputs: int, outputs: int) -> Tuple[tf.Variable, tf.Variable]:
    kernel = tf.get_variable("kernel", [inputs, outputs], initializer=_INITIALIZER)
    return kernel, tf.get_variable("bias", [outputs], initializer=tf.zeros_initializer())


def _norm_of(size: int) -> Norm:
    gamma = tf.get_variable("gamma", [size], initializer=tf.ones_initializer())
    beta = tf.get_variable("beta", [size], initializer=tf.zeros_initializer())
    return Norm(gamma, beta, tf.get_default_graph().get_name_scope() + "/")
