"""Lays the pairs of a batch one after the other, without padding and without rows.

For a CPU, which needs no shapes beforehand. Layers that work on single tokens see all of them as one matrix; attention
alone knows where a pair ends (Effective Transformer, ByteDance 2020; Zhai et al. 2022, "ByteTransformer").
"""

import itertools
from typing import Iterable, Iterator, List, Sequence

import numpy as np

from bert_trainer.data.tokenization import EncodedPair
from bert_trainer.layouts.packed import Features, Placement


class FlatLayout:
    """Batches of `slots` pairs, the last one smaller, in arrays as long as their tokens."""

    is_static = False

    def __init__(self, lengths: Sequence[int], slots: int, lots: int = 1) -> None:
        """Takes how many lots of equally many pairs a batch of `slots` pairs consists of."""
        self.lots = lots
        self._lengths = lengths
        self._slots = slots

    def pack(self, order: Iterable[int]) -> Iterator[List[Placement]]:
        """Yields batches until the order of pairs is exhausted."""
        stream = iter(order)
        while True:
            pairs = list(itertools.islice(stream, self._slots))
            if not pairs:
                return
            ends = itertools.accumulate(self._lengths[pair] for pair in pairs)
            yield [Placement(pair, 0, end - self._lengths[pair]) for pair, end in zip(pairs, ends)]

    def assemble(self, placements: Sequence[Placement], encoded: Sequence[EncodedPair]) -> Features:
        """Returns the arrays of one batch.

        Keys:
            input_ids, token_types, positions: [tokens] int32; positions restart at 0 with every pair.
            offsets: [slots + 1] int32; pair i is tokens offsets[i] to offsets[i + 1].
            cls_index: [slots] int32 index of each pair's [CLS].
            labels: [slots] float32; the index of the label, or the score of a regression.
            weights: [slots] float32, all 1: there are no empty slots.
        """
        pairs = [encoded[placement.pair] for placement in placements]
        offsets = np.cumsum([0, *(len(pair.ids) for pair in pairs)], dtype=np.int32)
        positions = [np.arange(len(pair.ids), dtype=np.int32) for pair in pairs]
        return {
            "input_ids": _concatenate([pair.ids for pair in pairs]),
            "token_types": _concatenate(
                [(position >= pair.first_segment).astype(np.int32) for pair, position in zip(pairs, positions)]
            ),
            "positions": _concatenate(positions),
            "offsets": offsets,
            "cls_index": offsets[:-1],
            "labels": np.array([pair.label for pair in pairs], np.float32),
            "weights": np.ones(len(pairs), np.float32),
        }


def _concatenate(arrays: List[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.int32), *arrays])
