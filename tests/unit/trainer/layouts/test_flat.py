"""Flat batches: every pair once, in order, whole, and what the arrays say of it."""

from typing import List

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bert_trainer.data.tokenization import EncodedPair
from bert_trainer.layouts.flat import FlatLayout


@given(st.lists(st.integers(3, 30), max_size=40), st.integers(1, 9), st.randoms(use_true_random=False))
def test_every_pair_is_in_one_batch_in_order(lengths: List[int], slots: int, random: "np.random.RandomState") -> None:
    order = list(range(len(lengths)))
    random.shuffle(order)
    batches = list(FlatLayout(lengths, slots).pack(order))
    assert [placement.pair for batch in batches for placement in batch] == order
    assert all(len(batch) == slots for batch in batches[:-1])
    for batch in batches:
        ends = [placement.offset + lengths[placement.pair] for placement in batch]
        assert [placement.offset for placement in batch] == [0, *ends[:-1]]


def test_assemble() -> None:
    pairs = [
        EncodedPair(np.array([2, 7, 3, 8, 3], np.int32), 3, 1),
        EncodedPair(np.array([2, 3, 9, 3], np.int32), 2, 0),
    ]
    layout = FlatLayout([5, 4], 3)
    features = layout.assemble(next(layout.pack([1, 0])), pairs)
    expected = {
        "input_ids": [2, 3, 9, 3, 2, 7, 3, 8, 3],
        "token_types": [0, 0, 1, 1, 0, 0, 0, 1, 1],
        "positions": [0, 1, 2, 3, 0, 1, 2, 3, 4],
        "offsets": [0, 4, 9],
        "cls_index": [0, 4],
        "labels": [0, 1],
        "weights": [1.0, 1.0],
    }
    assert {name: array.tolist() for name, array in features.items()} == expected
    assert {name: array.dtype for name, array in features.items()} == {
        name: array.dtype for name, array in layout.assemble([], []).items()
    }
