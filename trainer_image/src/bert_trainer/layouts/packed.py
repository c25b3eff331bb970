"""Packs several sentence pairs into each row of a batch, so that one static shape holds little padding.

Padding is most of a batch of short pairs. Here a batch of pairs is placed into rows of the full sequence length by
first-fit-decreasing bin packing; positions restart with every pair and attention stays within a pair, so that the model
computes what it would compute with one pair per row (Krell et al. 2021, "Efficient Sequence Packing without
Cross-contamination").
"""

import itertools
import math
from typing import Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple, TypeVar

import numpy as np

from bert_trainer.data.tokenization import EncodedPair

Features = Dict[str, np.ndarray]
Batch = TypeVar("Batch")


class Shape(NamedTuple):
    """A batch's static shape: slots for pairs, and rows of `width` tokens that hold them."""

    slots: int
    rows: int
    width: int


class Placement(NamedTuple):
    """Where a pair stands: its index in the data set, its row and the offset of its [CLS] in the row."""

    pair: int
    row: int
    offset: int


def place(pairs: Sequence[int], lengths: Sequence[int], rows: int, width: int) -> Tuple[List[Placement], List[int]]:
    """Places pairs, in the given order, each into the first row with room; returns placements and pairs left over."""
    used = [0] * rows
    placements, left_over = [], []
    for pair in pairs:
        row = next((row for row in range(rows) if used[row] + lengths[pair] <= width), None)
        if row is None:
            left_over.append(pair)
        else:
            placements.append(Placement(pair, row, used[row]))
            used[row] += lengths[pair]
    return placements, left_over


def pack(order: Iterable[int], lengths: Sequence[int], shape: Shape) -> Iterator[List[Placement]]:
    """Yields batches until the order is exhausted; every pair of it is in exactly one batch, whole.

    A pair that finds no room is placed first in the next batch, so none waits for long.

    Args:
        order: indices of pairs, possibly endless.
        lengths: tokens of each pair, at most shape.width.
        shape: the shape of every batch.
    """
    stream = iter(order)
    waiting: List[int] = []
    while True:
        fresh = sorted(itertools.islice(stream, shape.slots - len(waiting)), key=lambda pair: -lengths[pair])
        if not waiting and not fresh:
            return
        placements, waiting = place(waiting + fresh, lengths, shape.rows, shape.width)
        yield placements


def shuffled(count: int, seed: int) -> Iterator[int]:
    """Yields 0..count-1 in a new order each epoch, without end."""
    random = np.random.RandomState(seed)  # ty: ignore[missing-attribute] - of a compiled module
    while True:
        yield from random.permutation(count).tolist()


def fit_shape(lengths: Sequence[int], slots: int, width: int) -> Shape:
    """Returns the shape with as many rows as the fullest batch of one shuffled epoch needs.

    The order is that of seed 0: the shape, and with it the compiled graph, does not depend on a run's seed.
    """
    roomy = Shape(slots, slots, width)
    batches = itertools.islice(pack(shuffled(len(lengths), 0), lengths, roomy), max(1, len(lengths) // slots))
    return Shape(slots, max(1 + max(placement.row for placement in batch) for batch in batches), width)


def part_of_rank(batches: Iterable[Batch], steps: int, rank: int, ranks: int) -> Iterator[Batch]:
    """Yields a rank's batches after so many steps: a step takes as many batches as there are ranks, in their order."""
    return itertools.islice(iter(batches), steps * ranks + rank, None, ranks)


class PackedLayout:
    """Batches of one static shape: rows of `width` tokens that hold several pairs each."""

    is_static = True

    def __init__(self, lengths: Sequence[int], slots: int, width: int, lots: int = 1) -> None:
        """Fits the number of rows to pairs of these lengths, at most `slots` of them in a batch.

        A batch is assembled in up to so many lots of equally many rows: its arrays hold one lot after the other, in
        which cls_index and pair_ids count from the beginning of their lot. Fewer lots will do where rows are few.
        """
        self._lengths = lengths
        self.shape = fit_shape(lengths, slots, width)
        rows = math.ceil(self.shape.rows / lots)
        self.lots = math.ceil(self.shape.rows / rows)
        # The rows of a lot may hold more of the pairs than its share: as many as fit into them.
        slots_of_lot = min(slots, rows * (width // min(lengths))) if self.lots > 1 else slots
        self._lot = Shape(slots_of_lot, rows, width)

    def pack(self, order: Iterable[int]) -> Iterator[List[Placement]]:
        """Yields batches until the order of pairs is exhausted."""
        return pack(order, self._lengths, self.shape)

    def assemble(self, placements: Sequence[Placement], encoded: Sequence[EncodedPair]) -> Features:
        """Returns the arrays of one batch."""
        lots: List[List[Placement]] = [[] for _ in range(self.lots)]
        for placement in placements:
            lot, row = divmod(placement.row, self._lot.rows)
            lots[lot].append(placement._replace(row=row))
        arrays = [assemble(lot, encoded, self._lot) for lot in lots]
        return {name: np.concatenate([lot[name] for lot in arrays]) for name in arrays[0]}


def assemble(placements: Sequence[Placement], encoded: Sequence[EncodedPair], shape: Shape) -> Features:
    """Returns the arrays of one batch.

    Keys:
        input_ids, token_types, positions: [rows, width] int32; positions restart at 0 with every pair.
        pair_ids: [rows, width] int32; 0 for padding, else one more than the pair's slot.
        cls_index: [slots] int32 index of each pair's [CLS] in the flattened rows; 0 for an empty slot.
        cls_row: [slots] int32 row of each pair; 0 for an empty slot.
        labels: [slots] float32; the index of the label, or the score of a regression.
        weights: [slots] float32; 1 for a pair, 0 for an empty slot.
    """
    tokens = {
        name: np.zeros((shape.rows, shape.width), np.int32)
        for name in ("input_ids", "token_types", "positions", "pair_ids")
    }
    cls_index, cls_row = np.zeros(shape.slots, np.int32), np.zeros(shape.slots, np.int32)
    labels, weights = np.zeros(shape.slots, np.float32), np.zeros(shape.slots, np.float32)
    for slot, (pair, row, offset) in enumerate(placements):
        ids, first_segment, label = encoded[pair]
        span = slice(offset, offset + len(ids))
        tokens["input_ids"][row, span] = ids
        tokens["token_types"][row, offset + first_segment : offset + len(ids)] = 1
        tokens["positions"][row, span] = np.arange(len(ids))
        tokens["pair_ids"][row, span] = slot + 1
        cls_index[slot], cls_row[slot] = row * shape.width + offset, row
        labels[slot], weights[slot] = label, 1.0
    return dict(tokens, cls_index=cls_index, cls_row=cls_row, labels=labels, weights=weights)
