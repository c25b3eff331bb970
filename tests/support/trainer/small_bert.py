"""A tiny model in the format of the real ones."""

import json
from pathlib import Path
from typing import Dict

import numpy as np
import tensorflow.compat.v1 as tf

from bert_trainer.model.bert import BertConfig, variable_shapes
from support.trainer.small_task import VOCABULARY

CONFIG = BertConfig(
    vocab_size=len(VOCABULARY),
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=128,
    hidden_act="gelu",
    hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1,
    max_position_embeddings=40,
    type_vocab_size=2,
)


def random_weights(seed: int = 0) -> Dict[str, np.ndarray]:
    """Returns weights large enough for every part of the model to matter."""
    random_state = np.random.RandomState(seed)  # ty: ignore[missing-attribute] - of a compiled module
    shapes = dict(variable_shapes(CONFIG), output_weights=[2, CONFIG.hidden_size], output_bias=[2])
    return {name: random_state.normal(0, 0.2, shape).astype(np.float32) for name, shape in sorted(shapes.items())}


def write_model(folder: Path) -> Path:
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    (folder / "bert_config.json").write_text(json.dumps(CONFIG.__dict__))
    with tf.Graph().as_default(), tf.Session() as session:
        weights = random_weights()
        for name in variable_shapes(CONFIG):
            tf.get_variable(name, initializer=weights[name])
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False)
    return folder
