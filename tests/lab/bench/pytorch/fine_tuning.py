"""What somebody without an NPU would take instead: BERT in PyTorch with transformers, at its best in single precision.

Batches of similar lengths by transformers' own sampler, padded to the longest of each. Weights are random, since they
change no duration. Prints a line a step; the last line is JSON, the mean milliseconds of the steps that count.
"""

import argparse
import csv
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizerFast,
    DataCollatorWithPadding,
    get_linear_schedule_with_warmup,
)
from transformers.trainer_pt_utils import get_length_grouped_indices

from lab.bench.trainer.programs import LEARNING_RATE, UNTIMED_STEPS


def read_pairs(file: Path) -> tuple[list[str], list[str], list[int]]:
    """First sentences, second sentences and labels of MRPC."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return [row[3] for row in rows], [row[4] for row in rows], [int(row[0]) for row in rows]


def epoch(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """The full batches of an epoch by the sampler, the longest pairs first."""
    indices = get_length_grouped_indices(lengths, batch_size)
    batches = [indices[start : start + batch_size] for start in range(0, len(indices), batch_size)]
    full = [batch for batch in batches if len(batch) == batch_size]
    return sorted(full, key=lambda batch: -max(lengths[index] for index in batch))


def evenly_spaced(batches: Sequence[list[int]], count: int) -> list[list[int]]:
    """So many of them that stand for all: their mean length is the epoch's."""
    return [batches[int((number + 0.5) * len(batches) / count)] for number in range(count)]


def main(data: Path, weights: Path, epochs: float, batch_size: int, max_seq_length: int) -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(1)
    first, second, labels = read_pairs(data / "train.tsv")
    tokenizer = BertTokenizerFast(str(weights / "vocab.txt"))
    encoded = tokenizer(first, second, truncation=True, max_length=max_seq_length)
    batches = epoch([len(ids) for ids in encoded["input_ids"]], batch_size)
    steps = int(len(first) / batch_size * epochs)
    # the longest batch first: it allocates what the others need
    chosen = [batches[0]] * UNTIMED_STEPS + evenly_spaced(batches, steps - UNTIMED_STEPS)
    collate = DataCollatorWithPadding(tokenizer)

    model = BertForSequenceClassification(BertConfig.from_json_file(weights / "bert_config.json")).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, fused=True)
    schedule = get_linear_schedule_with_warmup(optimizer, len(batches) // 10, len(batches))
    seconds: list[float] = []
    for number, batch in enumerate(chosen, start=1):
        before = time.monotonic()
        features = collate([{name: encoded[name][index] for name in encoded} for index in batch])
        loss = model(**features, labels=torch.tensor([labels[index] for index in batch])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        seconds.append(time.monotonic() - before)
        print(f"step {number}/{steps} loss {loss.item():.3f}, {seconds[-1]:.2f} s", flush=True)
    print(json.dumps({"msPerStep": 1000 * statistics.mean(seconds[UNTIMED_STEPS:])}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "weights"):
        parser.add_argument("--" + name, type=Path, required=True)
    parser.add_argument("--epochs", type=float, required=True)
    for name in ("batch_size", "max_seq_length"):
        parser.add_argument("--" + name, type=int, required=True)
    main(**vars(parser.parse_args()))
