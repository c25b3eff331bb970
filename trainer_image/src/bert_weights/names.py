"""Names of BERT in PyTorch (Hugging Face) and in Google's checkpoints (google-research/bert, ``modeling.py``)."""

from __future__ import annotations

import re
from typing import Iterator

import numpy as np

CONFIG_KEYS = (
    "attention_probs_dropout_prob",
    "hidden_act",
    "hidden_dropout_prob",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
)


def from_hugging_face(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename a PyTorch ``BertModel`` state; dense weights change from [out, in] to TensorFlow's [in, out]."""
    return dict(_renamed(tensors))


def _renamed(tensors: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    for name, tensor in tensors.items():
        if name == "embeddings.position_ids":
            continue  # 0..511, an index buffer of the PyTorch module and not a weight
        path = "bert/" + re.sub(r"/layer/(\d+)/", r"/layer_\1/", name.replace(".", "/"))
        if path.endswith("/LayerNorm/weight"):
            yield path[: -len("weight")] + "gamma", tensor
        elif path.endswith("/LayerNorm/bias"):
            yield path[: -len("bias")] + "beta", tensor
        elif path.endswith("_embeddings/weight"):
            yield path[: -len("/weight")], tensor
        elif path.endswith("/weight"):
            yield path[: -len("weight")] + "kernel", tensor.T
        else:
            yield path, tensor
