"""The operations on flat batches, by the library built from trainer_image/kernels, with their gradients: CPU only."""

import functools
import importlib.util
import itertools
from pathlib import Path
from typing import Any, Tuple

import tensorflow.compat.v1 as tf

from bert_trainer.errors import BadConfigError
from bert_trainer.model.operations import LAYER_NORM_EPSILON, Features, Norm, Operations
from bert_trainer.model.optimization import BETA_1, BETA_2, EPSILON, Gradient, Update

LIBRARY = "bert_kernels"  # a file on the Python path, so that every installation finds its own


@functools.lru_cache(maxsize=None)
def load(cpuinfo: Path = Path("/proc/cpuinfo")) -> Any:
    """Returns the library's operations; raises BadConfigError where it was not built, or not for this processor."""
    missing = {"avx2", "fma"}.difference(cpuinfo.read_text().split())
    if missing:
        message = "--device=cpu: this processor has no {}; run on one that has (Intel since 2013, AMD since 2015)"
        raise BadConfigError(message.format(", ".join(sorted(missing))))
    found = importlib.util.find_spec(LIBRARY)
    if found is None:
        message = "--device=cpu: {} is not on the Python path; build it with trainer_image/kernels/build.sh"
        raise BadConfigError(message.format(LIBRARY))
    return tf.load_op_library(found.origin)


class FlatOperations(Operations):
    """For flat batches (layouts.flat).

    Dropout is a function of the seed, the step and its place in the graph, so that a resumed run draws what the
    uninterrupted one would have drawn.
    """

    def __init__(self, library: Any, step: tf.Tensor, seed: int, training: bool) -> None:
        self._library = library
        self._step = tf.cast(step, tf.int32)
        self._seed = seed
        self._training = training
        self._places = itertools.count(1)

    def _dropout_seed(self) -> tf.Tensor:
        place = (self._seed + 0x9E3779B1 * next(self._places)) % 2**31
        return tf.stack([self._step, place])

    def _rate(self, rate: float) -> float:
        return rate if self._training else 0.0

    def dropout(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        if not self._rate(rate):
            return x
        return self._library.bert_dropout(x, self._dropout_seed(), rate=rate)

    def norm(self, x: tf.Tensor, norm: Norm) -> tf.Tensor:
        return layer_norm(x, norm)

    def add_norm(self, x: tf.Tensor, bias: tf.Tensor, residual: tf.Tensor, norm: Norm, rate: float) -> tf.Tensor:
        seed, rate = self._dropout_seed(), self._rate(rate)
        return self._library.bert_add_norm(x, bias, residual, norm.gamma, norm.beta, seed, rate=rate).y

    def bias_gelu(self, x: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
        return self._library.bert_bias_gelu(x, bias)

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
        offsets = features["offsets"]
        query_offsets = tf.range(tf.size(offsets)) if cls_only else offsets
        return self._library.bert_attention(
            *(query, query_bias, key_value, key_value_bias, query_offsets, offsets, self._dropout_seed()),
            heads=heads,
            rate=self._rate(rate),
        ).context


def layer_norm(x: tf.Tensor, norm: Norm) -> tf.Tensor:
    """Returns the layer normalization of [tokens, hidden] by TensorFlow's own operations."""
    centered = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    inverse = tf.rsqrt(tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    return centered * inverse * norm.gamma + norm.beta


def apply_update(update: Update, gradient: Gradient) -> tf.Operation:
    """Returns one operation that carries out an optimizer's update."""
    *inputs, decay = update
    # The betas go over as differences from 1: in single precision 1 - 0.999 would be 1.3e-5 off.
    settings = {"decay": decay, "gain1": 1 - BETA_1, "gain2": 1 - BETA_2, "epsilon": EPSILON}
    if isinstance(gradient, tf.IndexedSlices):
        return load().bert_apply_adam_rows(*inputs, gradient.values, tf.cast(gradient.indices, tf.int32), **settings)
    return load().bert_apply_adam(*inputs, gradient, **settings)


@tf.RegisterGradient("BertDropout")
def _dropout_gradient(op: tf.Operation, dy: tf.Tensor) -> Tuple[tf.Tensor, None]:
    return load().bert_dropout(dy, op.inputs[1], rate=op.get_attr("rate")), None


@tf.RegisterGradient("BertAddNorm")
def _add_norm_gradient(op: tf.Operation, dy: tf.Tensor, *_: tf.Tensor) -> Tuple[Any, ...]:
    x, bias, residual, gamma, _beta, seed = op.inputs
    gradients = load().bert_add_norm_grad(dy, x, bias, residual, gamma, seed, *op.outputs[1:], rate=op.get_attr("rate"))
    return (*gradients, None)


@tf.RegisterGradient("BertBiasGelu")
def _bias_gelu_gradient(op: tf.Operation, dy: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
    return tuple(load().bert_bias_gelu_grad(dy, *op.inputs))


@tf.RegisterGradient("BertAttention")
def _attention_gradient(op: tf.Operation, dcontext: tf.Tensor, _: tf.Tensor) -> Tuple[Any, ...]:
    dquery, dkey_value = load().bert_attention_grad(
        dcontext, *op.inputs, *op.outputs, heads=op.get_attr("heads"), rate=op.get_attr("rate")
    )
    return dquery, tf.reduce_sum(dquery, axis=0), dkey_value, tf.reduce_sum(dkey_value, axis=0), None, None, None
