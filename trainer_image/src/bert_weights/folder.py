"""The finished folder: vocab.txt, bert_config.json, bert_model.ckpt.* and the manifest.json that proves it complete."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import numpy as np
import tensorflow as tf

from bert_trainer import contract
from bert_trainer.errors import TrainerError
from bert_trainer.model import pretrained

from . import WeightsError

MANIFEST = "manifest.json"
CHUNK_BYTES = 1 << 20
LOST_AND_FOUND = "lost+found"  # in the root of an ext4 volume


class Model(NamedTuple):
    """``config`` in the keys of ``bert_config.json``, word pieces by id, float32 tensors by Google's names."""

    config: Dict[str, Any]
    vocabulary: List[str]
    tensors: Dict[str, np.ndarray]


def write(folder: Path, model: Model, origin: dict[str, str]) -> None:
    """Write and verify a complete folder; ``origin`` (what and whence) becomes part of its manifest."""
    (folder / pretrained.VOCAB_FILE).write_text("".join(token + "\n" for token in model.vocabulary), encoding="utf-8")
    config_json = json.dumps(model.config, indent=2, sort_keys=True)
    (folder / pretrained.CONFIG_FILE).write_text(config_json + "\n", encoding="utf-8")
    _write_checkpoint(folder / pretrained.CHECKPOINT, model.tensors)
    verify(folder)
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    manifest = dict(origin, files=files)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def verify(folder: Path) -> None:
    """Put the folder to the trainer's own test, and refuse variables that the trainer would not read.

    Raises:
        WeightsError: configuration, vocabulary and variables do not fit each other.
    """
    try:
        model = pretrained.load(folder, contract.MODEL_NAMES[0], max_seq_length=1)
    except TrainerError as error:
        raise WeightsError(f"the trainer refuses the converted weights: {error}") from error
    dtypes = tf.train.load_checkpoint(model.checkpoint).get_variable_to_dtype_map()
    for name, dtype in sorted(dtypes.items()):
        if name not in model.variables:
            raise WeightsError(f"variable {name} is none of the model that bert_config.json describes: report this")
        if dtype != tf.float32:
            raise WeightsError(f"variable {name} is {dtype.name}, not float32: use a source with float32 weights")


def is_complete(folder: Path, origin: dict[str, str]) -> bool:
    """Tell whether ``folder`` already holds exactly what ``origin`` describes; False if there is nothing yet.

    Raises:
        WeightsError: something else is there; it is never overwritten.
    """
    if not folder.exists() or (folder.is_dir() and not any(map(_is_content, folder.iterdir()))):
        return False
    remedy = "Remove it or choose another --output."
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        if manifest["sha256"] != origin["sha256"]:
            raise WeightsError(f"{folder} holds {manifest['source']}, not {origin['source']}. {remedy}")
        damaged = sorted(name for name, digest in files.items() if sha256(folder / name) != digest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{folder} exists and is not a complete weights folder: {error!r}. {remedy}") from error
    if damaged:
        raise WeightsError(f"{folder / damaged[0]} is not the file that was written. {remedy}")
    return True


def publish(folder: Path, output: Path) -> None:
    """Give ``folder`` the name ``output``, or move its files there if ``output`` is an empty folder, such as a volume.

    The manifest comes last, so that a folder without one is known to be incomplete.
    """
    if not output.exists():
        folder.rename(output)
        return
    for path in sorted(folder.iterdir(), key=lambda path: path.name == MANIFEST):
        path.rename(output / path.name)


def _is_content(path: Path) -> bool:
    """Tell whether an entry is more than what a file system or a killed run has left; nobody reads hidden folders."""
    return path.name != LOST_AND_FOUND and not (path.is_dir() and path.name.startswith("."))


def sha256(path: Path) -> str:
    """Return the lower-case hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _write_checkpoint(prefix: Path, tensors: dict[str, np.ndarray]) -> None:
    # The bare op, fed: a Saver would need variables, and constants of this size break the 2 GB limit of a graph.
    names = sorted(tensors)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        inputs = [tf.compat.v1.placeholder(tensors[name].dtype, tensors[name].shape) for name in names]
        save = tf.raw_ops.SaveV2(
            prefix=str(prefix), tensor_names=names, shape_and_slices=[""] * len(names), tensors=inputs
        )
        session.run(save, feed_dict=dict(zip(inputs, (tensors[name] for name in names))))
