"""A tiny model and a tiny task in the formats of the real ones, and packed batches of random pairs."""

import json
import random
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from bert_trainer import packing
from bert_trainer.modeling import BertConfig, variable_shapes
from bert_trainer.tasks import TASKS
from bert_trainer.tokenization import EncodedPair

WORDS = [
    "the",
    "a",
    "bank",
    "river",
    "rose",
    "fell",
    "five",
    "ten",
    "percent",
    "on",
    "monday",
    "friday",
    "shares",
    "prices",
    "said",
    "minister",
    "rain",
    "storm",
    "court",
    "team",
]
OUTCOMES = ("lost", "won")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = SPECIAL + WORDS + list(OUTCOMES) + ["##s", "##ed", ".", ","]
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
WIDTH = 32
HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"


def random_weights(seed: int = 0) -> Dict[str, np.ndarray]:
    """Returns weights large enough for every part of the model to matter."""
    random_state = np.random.RandomState(seed)
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


def write_task(folder: Path, train: int = 40, dev: int = 13) -> Path:
    """Writes pairs of random sentences of which the second says who won or lost, and that is the label."""
    generator = random.Random(1)

    def row(number: int) -> str:
        first, second = (generator.choices(WORDS, k=generator.randint(3, 9)) for _ in range(2))
        label = int(generator.random() < 0.6)
        return "{}\t{}\t{}\t{}\t{} {}\n".format(
            label, number, number, " ".join(first), " ".join(second), OUTCOMES[label]
        )

    for name, count in (("train.tsv", train), ("dev.tsv", dev)):
        (folder / name).write_text(HEADER + "".join(row(number) for number in range(count)), encoding="utf-8")
    return folder


def write_glue(folder: Path, task_name: str, train: int = 40, dev: int = 13) -> Path:
    """Writes train, development and test files of any GLUE task, of which the last words say the label."""
    generator, task = random.Random(1), TASKS[task_name]
    columns = task.columns or ("other", *task.sentences, task.label)

    def write(name: str, header: Sequence[str], count: int) -> None:
        rows = [header] if name.startswith(("test", "diagnostic")) or not task.columns else []
        for number in range(count):
            label = generator.randrange(len(task.labels) or 2)
            words = [*generator.choices(WORDS, k=5), (*OUTCOMES, "storm")[label]]
            row = dict.fromkeys(header, "x")
            row.update({name: " ".join(words) for name in task.sentences})
            row.update({task.label: task.labels[label] if task.labels else str(4.5 * label), task.index: str(number)})
            rows.append([row[column] for column in header])
        (folder / name).write_text("".join("\t".join(row) + "\n" for row in rows))

    write("train.tsv", columns, train)
    for name in task.dev_files:
        write(name, columns, dev)
    for name, _ in task.test_files:
        write(name, (task.index, *task.sentences), dev)
    return folder


def flags(model: Path, data: Path, output: Path, **changes: Any) -> Dict[str, Any]:
    """Returns the flags of a run of ten steps."""
    common = {
        "train_batch_size": 8,
        "eval_batch_size": 8,
        "num_train_epochs": 2.0,
        "max_seq_length": WIDTH,
        "learning_rate": 1e-3,
    }
    folders = {"model_path": str(model), "data_path": str(data), "output_dir": str(output)}
    return {**common, **folders, **changes}


def random_pairs(count: int, seed: int = 0) -> List[EncodedPair]:
    """Returns pairs of 5 to WIDTH random tokens."""
    random_state = np.random.RandomState(seed)
    pairs = []
    for _ in range(count):
        length = random_state.randint(5, WIDTH + 1)
        ids = random_state.randint(0, CONFIG.vocab_size, length).astype(np.int32)
        pairs.append(EncodedPair(ids, int(random_state.randint(2, length - 1)), int(random_state.randint(2))))
    return pairs


def one_per_row(pairs: Sequence[EncodedPair]) -> packing.Features:
    """Returns the batch that the reference would make of the pairs."""
    placements = [packing.Placement(index, index, 0) for index in range(len(pairs))]
    return packing.assemble(placements, pairs, packing.Shape(len(pairs), len(pairs), WIDTH))


def packed(pairs: Sequence[EncodedPair], rows: int, slots: int) -> packing.Features:
    """Returns the pairs, in their order, packed into few rows, with empty slots at the end."""
    placements, left_over = packing.place(range(len(pairs)), [len(pair.ids) for pair in pairs], rows, WIDTH)
    assert not left_over
    return packing.assemble(placements, pairs, packing.Shape(slots, rows, WIDTH))
