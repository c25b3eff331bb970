"""The trained model as a SavedModel that TensorFlow Serving reads: operations of TensorFlow alone, one pair a row."""

import json
import shutil
from pathlib import Path
from typing import Dict, Tuple

import tensorflow.compat.v1 as tf

from bert_trainer.data.tasks import Task
from bert_trainer.model.bert import Bert, BertConfig
from bert_trainer.model.operations import PackedOperations, gelu
from bert_trainer.model.pretrained import VOCAB_FILE
from bert_trainer.output.folder import SAVED_MODEL
from bert_trainer.training.model_fn import Recipe

LABELS_FILE = "labels.txt"
TOKENIZER_FILE = "tokenizer_config.json"  # what Hugging Face's tokenizers read beside vocab.txt
INPUTS = ("input_ids", "input_mask", "segment_ids")


def write(recipe: Recipe, checkpoint: str, output: Path, version: int) -> Path:
    """Writes saved_model/<version> and returns it; until it is whole, it has a name that Serving passes over.

    Its signature serving_default takes int32 [any, max_seq_length] input_ids, input_mask (1 for a token, 0 for padding)
    and segment_ids, and gives float32 "probabilities" [any, labels], in the order of assets/labels.txt, or "score"
    [any] where the task has no labels. assets/vocab.txt is the vocabulary that the input_ids index, and
    assets/tokenizer_config.json says whether the text is lower-cased.

    Args:
        recipe: how the model was trained.
        checkpoint: prefix of the trained checkpoint.
        output: the folder to write it to.
        version: that of the model; Serving takes the highest one.

    Raises:
        OSError, tf.errors.OpError: the folder cannot be written.
    """
    config, task = recipe.config, recipe.task
    unfinished, finished = (output / SAVED_MODEL / name.format(version) for name in ("{}.unfinished", "{}"))
    for leftover in (unfinished, finished):
        if leftover.exists():
            shutil.rmtree(str(leftover))
    labels, tokenizer = (Path(config.output_dir) / name for name in (LABELS_FILE, TOKENIZER_FILE))
    labels.write_text("".join(label + "\n" for label in task.labels))
    tokenizer.write_text(json.dumps({"do_lower_case": recipe.model.lower_case}) + "\n")
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = {name: tf.placeholder(tf.int32, [None, config.max_seq_length], name) for name in INPUTS}
        name, answer = _answer(task, recipe.model.config, inputs)
        tf.train.Saver().restore(session, checkpoint)
        for asset in (Path(config.model_path) / VOCAB_FILE, tokenizer, labels):
            tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, tf.constant(str(asset)))
        builder = tf.saved_model.Builder(str(unfinished))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            {
                tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: tf.saved_model.predict_signature_def(
                    inputs, {name: answer}
                )
            },
            assets_collection=tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
            clear_devices=True,
            strip_default_attrs=True,
        )
        builder.save()
    for asset in (tokenizer, labels):
        asset.unlink()
    unfinished.rename(finished)
    return finished


def _answer(task: Task, config: BertConfig, inputs: Dict[str, tf.Tensor]) -> Tuple[str, tf.Tensor]:
    rows, width = tf.shape(inputs["input_ids"])[0], inputs["input_ids"].shape[1].value
    features = {
        "input_ids": inputs["input_ids"],
        "token_types": inputs["segment_ids"],
        "positions": tf.tile(tf.range(width)[None], [rows, 1]),
        "pair_ids": inputs["input_mask"],
        "cls_index": tf.range(rows) * width,
        "cls_row": tf.range(rows),
    }
    outputs = Bert(config, PackedOperations(gelu, lambda x, _rate: x), width).logits(features, task.outputs)
    return task.served(outputs)
