"""The parts of BERT that devices compute in their own way, and how TensorFlow alone computes them on packed rows."""

import abc
import math
from typing import Callable, Dict, NamedTuple

import tensorflow.compat.v1 as tf

LAYER_NORM_EPSILON = 1e-12
MASKED_SCORE = -10000.0  # as published; also representable in half precision
Features = Dict[str, tf.Tensor]


class Norm(NamedTuple):
    """A layer normalization (Ba et al. 2016): its variables, [hidden] each, and the name scope they stand in."""

    gamma: tf.Tensor
    beta: tf.Tensor
    scope: str


class Operations(abc.ABC):
    """One graph's operations; [tokens, hidden] holds all tokens of a batch, as its layout orders them."""

    @abc.abstractmethod
    def dropout(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        """Returns x with a share `rate` of it set to 0 and the rest scaled up; outside training x itself."""

    @abc.abstractmethod
    def norm(self, x: tf.Tensor, norm: Norm) -> tf.Tensor:
        """Returns the layer normalization of x, [tokens, hidden]."""

    @abc.abstractmethod
    def add_norm(self, x: tf.Tensor, bias: tf.Tensor, residual: tf.Tensor, norm: Norm, rate: float) -> tf.Tensor:
        """Returns norm(residual + dropout(x + bias)), all [tokens, hidden]."""

    @abc.abstractmethod
    def bias_gelu(self, x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        """Returns the Gaussian error linear unit (Hendrycks and Gimpel 2016, its tanh form) of x + bias."""

    @abc.abstractmethod
    def attend(
        self,
        features: Features,
        query: tf.Tensor,
        query_bias: tf.Tensor,
        key_value: tf.Tensor,
        key_value_bias: tf.Tensor,
        *,
        heads: int,
        rate: float,
        cls_only: bool,
    ) -> tf.Tensor:
        """Returns what each query reads from the tokens of its own pair (Vaswani et al. 2017, multi-head attention).

        Args:
            features: the batch, whose layout tells which tokens form a pair.
            query: [tokens, hidden]; with cls_only [slots, hidden], of the [CLS] of every pair.
            query_bias: [hidden].
            key_value: [tokens, 2 * hidden], keys beside values.
            key_value_bias: [2 * hidden].
            heads: among which the hidden units are divided.
            rate: share of the attention weights that is dropped.
            cls_only: whether only the [CLS] tokens ask.
        """


class PackedOperations(Operations):
    """For packed rows (layouts.packed), on any device that TensorFlow runs on."""

    def __init__(
        self, gelu: Callable[[tf.Tensor], tf.Tensor], dropout: Callable[[tf.Tensor, float], tf.Tensor]
    ) -> None:
        self._gelu = gelu
        self._dropout = dropout

    def dropout(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        return self._dropout(x, rate)

    def norm(self, x: tf.Tensor, norm: Norm) -> tf.Tensor:
        # The nodes and scopes of tf.contrib.layers.layer_norm, which CANN replaces by one operation and its gradient
        # (ScopeLayerNormPass, ScopeLayerNormGradPass): it looks for `moments` and `batchnorm`.
        with tf.name_scope(norm.scope):
            mean, variance = tf.nn.moments(x, [-1], keepdims=True)
            return tf.nn.batch_normalization(x, mean, variance, norm.beta, norm.gamma, LAYER_NORM_EPSILON)

    def add_norm(self, x: tf.Tensor, bias: tf.Tensor, residual: tf.Tensor, norm: Norm, rate: float) -> tf.Tensor:
        return self.norm(residual + self._dropout(tf.nn.bias_add(x, bias), rate), norm)

    def bias_gelu(self, x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return self._gelu(tf.nn.bias_add(x, bias))

    def attend(
        self,
        features: Features,
        query: tf.Tensor,
        query_bias: tf.Tensor,
        key_value: tf.Tensor,
        key_value_bias: tf.Tensor,
        *,
        heads: int,
        rate: float,
        cls_only: bool,
    ) -> tf.Tensor:
        width, size = features["pair_ids"].shape[1].value, query.shape[-1].value // heads

        def split(x: tf.Tensor, tokens: int) -> tf.Tensor:
            """Returns [groups, heads, tokens, size] of [groups * tokens, hidden]."""
            return tf.transpose(tf.reshape(x, [-1, tokens, heads, size]), [0, 2, 1, 3])

        keys_and_values = tf.split(tf.nn.bias_add(key_value, key_value_bias), 2, axis=-1)
        key, value = (split(x, width) for x in keys_and_values)
        mask = attention_mask(features["pair_ids"])
        query = split(tf.nn.bias_add(query, query_bias), 1 if cls_only else width)
        if cls_only:
            key, value = (tf.gather(x, features["cls_row"]) for x in (key, value))
            mask = tf.gather(tf.reshape(mask, [-1, 1, 1, width]), features["cls_index"])
        scores = tf.matmul(query, key, transpose_b=True) * (1.0 / math.sqrt(size)) + mask
        weights = self._dropout(tf.nn.softmax(scores), rate)
        return tf.reshape(tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3]), [-1, heads * size])


def gelu(x: tf.Tensor) -> tf.Tensor:
    """Gaussian error linear unit, tanh approximation (Hendrycks and Gimpel 2016)."""
    return 0.5 * x * (1.0 + tf.tanh(0.7978845608028654 * (x + 0.044715 * tf.pow(x, 3))))


def attention_mask(pair_ids: tf.Tensor) -> tf.Tensor:
    """Returns [rows, 1, width, width]: 0 where both tokens are of one pair, MASKED_SCORE elsewhere."""
    same = tf.equal(pair_ids[:, None, :, None], pair_ids[:, None, None, :])
    return (1.0 - tf.cast(same, tf.float32)) * MASKED_SCORE
