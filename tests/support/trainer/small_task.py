"""A tiny task in the formats of the real ones, flags of a run, and packed batches of random pairs. No TensorFlow."""

import random
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

import numpy as np

from bert_trainer.data.glue import read_pairs
from bert_trainer.data.tasks import TASKS
from bert_trainer.data.tokenization import EncodedPair, encode_pairs
from bert_trainer.layouts import packed as room

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
WIDTH = 32
HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"


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


def write_glue(folder: Path, task_name: str, train: int = 40, dev: int = 13, length: int = 6) -> Path:
    """Writes all files of any GLUE task: sentences of `length` words, of which the last says the label."""
    generator, task = random.Random(1), TASKS[task_name]
    columns = task.columns or ("other", *task.sentences, task.label)

    def write(name: str, header: Sequence[str], count: int) -> None:
        rows = [header] if name.startswith(("test", "diagnostic")) or not task.columns else []
        for number in range(count):
            label = generator.randrange(len(task.labels) or 2)
            words = [*generator.choices(WORDS, k=length - 1), (*OUTCOMES, "storm")[label]]
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


def lengths(flags: Dict[str, Any]) -> List[int]:
    """Returns how many tokens each training pair of a run on the tiny task has."""
    pairs = read_pairs(Path(flags["data_path"]) / "train.tsv", TASKS["MRPC"])
    vocabulary = {token: index for index, token in enumerate(VOCABULARY)}
    return [len(pair.ids) for pair in encode_pairs(pairs, vocabulary, WIDTH)]


def arguments(flags: Dict[str, Any]) -> List[str]:
    """Returns flags as a command line."""
    return [f"--{name}={value}" for name, value in flags.items()]


def random_pairs(count: int, seed: int = 0) -> List[EncodedPair]:
    """Returns pairs of 5 to WIDTH random tokens."""
    random_state = np.random.RandomState(seed)  # ty: ignore[missing-attribute] - of a compiled module
    pairs = []
    for _ in range(count):
        length = random_state.randint(5, WIDTH + 1)
        ids = random_state.randint(0, len(VOCABULARY), length).astype(np.int32)
        pairs.append(EncodedPair(ids, int(random_state.randint(2, length - 1)), int(random_state.randint(2))))
    return pairs


def one_per_row(pairs: Sequence[EncodedPair]) -> room.Features:
    """Returns the batch that the reference would make of the pairs."""
    placements = [room.Placement(index, index, 0) for index in range(len(pairs))]
    return room.assemble(placements, pairs, room.Shape(len(pairs), len(pairs), WIDTH))


def packed(pairs: Sequence[EncodedPair], rows: int, slots: int) -> room.Features:
    """Returns the pairs, in their order, packed into few rows, with empty slots at the end."""
    placements, left_over = room.place(range(len(pairs)), [len(pair.ids) for pair in pairs], rows, WIDTH)
    assert not left_over
    return room.assemble(placements, pairs, room.Shape(slots, rows, WIDTH))


if __name__ == "__main__":  # python -m support.trainer.small_task FOLDER TASK ROWS: for tests of another Python
    write_glue(Path(sys.argv[1]), sys.argv[2], train=int(sys.argv[3]), dev=60, length=2)
