"""What a run's graph on a card is built from, and the norm that it had once."""

from pathlib import Path
from typing import Any, Dict

import tensorflow.compat.v1 as tf

from bert_trainer.config import Config
from bert_trainer.data import tasks
from bert_trainer.devices.by_name import open_device
from bert_trainer.model import pretrained
from bert_trainer.model.operations import LAYER_NORM_EPSILON, Norm, PackedOperations
from bert_trainer.training.model_fn import Recipe


def recipe_of(flags: Dict[str, Any]) -> Recipe:
    config = Config(**flags)
    model = pretrained.load(Path(config.model_path), config.model_name, config.max_seq_length)
    model = pretrained.without_top_layers(model, config.reinit_layers)
    return Recipe(config, tasks.TASKS["MRPC"], model, open_device("npu"))


def written_out_norm(_operations: PackedOperations, x: tf.Tensor, norm: Norm) -> tf.Tensor:
    """The norm as it was before it had contrib's nodes."""
    with tf.name_scope(norm.scope):
        centered = x - tf.reduce_mean(x, axis=-1, keepdims=True)
        inverse = tf.rsqrt(tf.reduce_mean(tf.square(centered), axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
        return centered * inverse * norm.gamma + norm.beta
