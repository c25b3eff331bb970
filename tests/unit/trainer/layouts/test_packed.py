"""No pair lost, none twice, none across a row's end, none next to another pair's positions."""

import itertools
from typing import List

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_trainer.data.tokenization import EncodedPair
from bert_trainer.layouts import packed
from bert_trainer.layouts.packed import Placement, Shape
from lab.bench.trainer import on_paper


@st.composite
def workloads(draw: st.DrawFn) -> "tuple[List[int], Shape]":
    width = draw(st.integers(3, 40))
    lengths = draw(st.lists(st.integers(3, width), max_size=60))
    slots = draw(st.integers(1, 9))
    return lengths, Shape(slots, draw(st.integers(1, slots)), width)


@given(workloads())
def test_every_pair_is_in_exactly_one_batch_and_nothing_overlaps(workload: "tuple[List[int], Shape]") -> None:
    lengths, shape = workload
    batches = list(packed.pack(range(len(lengths)), lengths, shape))
    assert sorted(placement.pair for batch in batches for placement in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 0 < len(batch) <= shape.slots
        taken = [(p.row, cell) for p in batch for cell in range(p.offset, p.offset + lengths[p.pair])]
        assert len(set(taken)) == len(taken)
        assert all(row < shape.rows and cell < shape.width for row, cell in taken)


@given(workloads(), st.sampled_from([1, 2, 4, 8]), st.integers(0, 5))
def test_the_ranks_share_the_batches_of_every_step(workload: "tuple[List[int], Shape]", ranks: int, first: int) -> None:
    """Together and in turn they have what is left after the first steps: so each pair once an epoch, on one card."""
    lengths, shape = workload
    batches = list(packed.pack(range(len(lengths)), lengths, shape))
    parts = [list(packed.part_of_rank(iter(batches), first, rank, ranks)) for rank in range(ranks)]
    in_turn = [batch for step in itertools.zip_longest(*parts) for batch in step if batch is not None]
    assert in_turn == batches[first * ranks :]
    assert all(len(parts[0]) - len(part) in (0, 1) for part in parts)


@given(workloads())
def test_a_pair_without_room_is_first_in_the_next_batch(workload: "tuple[List[int], Shape]") -> None:
    lengths, shape = workload
    seen = 0
    waiting: List[int] = []
    for batch in packed.pack(range(len(lengths)), lengths, shape):
        offered = waiting + list(range(seen, min(len(lengths), seen + shape.slots - len(waiting))))
        seen = max([seen - 1, *offered]) + 1
        placed = [placement.pair for placement in batch]
        assert set(placed) <= set(offered)
        # As many waiting pairs as there are rows always find room, so no pair waits for ever.
        assert set(waiting[: shape.rows]) <= set(placed)
        waiting = [pair for pair in waiting if pair not in placed] + sorted(
            (pair for pair in offered if pair not in placed and pair not in waiting), key=lambda pair: -lengths[pair]
        )


@pytest.mark.parametrize(
    ("lengths", "rows", "placements", "left_over"),
    [
        ([10], 1, [(0, 0, 0)], []),
        ([6, 4, 5], 2, [(0, 0, 0), (1, 0, 6), (2, 1, 0)], []),
        ([6, 5, 4, 5], 2, [(0, 0, 0), (1, 1, 0), (2, 0, 6), (3, 1, 5)], []),
        ([6, 6, 6, 4], 2, [(0, 0, 0), (1, 1, 0), (3, 0, 6)], [2]),
    ],
)
def test_first_fit(lengths: List[int], rows: int, placements: List[Placement], left_over: List[int]) -> None:
    assert packed.place(range(len(lengths)), lengths, rows, width=10) == (placements, left_over)


def test_shuffled_is_a_permutation_an_epoch_and_depends_on_the_seed() -> None:
    epochs = [list(itertools.islice(packed.shuffled(20, seed), 20)) for seed in (1, 1, 2)]
    assert epochs[0] == epochs[1] != epochs[2]
    two_epochs = list(itertools.islice(packed.shuffled(20, 1), 40))
    assert sorted(two_epochs[:20]) == sorted(two_epochs[20:]) == list(range(20))
    assert two_epochs[:20] != two_epochs[20:]


def test_seeds_that_follow_each_other_share_no_epoch() -> None:
    first, second = (list(itertools.islice(packed.shuffled(20, seed), 60)) for seed in (1, 2))
    epochs = [tuple(order[start : start + 20]) for order in (first, second) for start in (0, 20, 40)]
    assert len(set(epochs)) == 6


@given(st.lists(st.integers(3, 32), min_size=1, max_size=80), st.integers(1, 9))
def test_fitted_shape_holds_whole_batches_of_its_epoch(lengths: List[int], slots: int) -> None:
    shape = packed.fit_shape(lengths, slots, 32)
    batches = packed.pack(packed.shuffled(len(lengths), 0), lengths, shape)
    for batch in itertools.islice(batches, len(lengths) // slots):
        assert len(batch) == slots
    assert 1 <= shape.rows <= slots


@given(st.lists(st.integers(3, 32), min_size=1, max_size=60), st.sampled_from([4, 8, 12]), st.sampled_from([1, 2, 4]))
def test_lots_hold_the_rows_of_the_batch_one_lot_after_the_other(lengths: List[int], slots: int, lots: int) -> None:
    pairs = [EncodedPair(np.full(length, pair + 1, np.int32), 2, pair) for pair, length in enumerate(lengths)]
    whole, parts = (packed.PackedLayout(lengths, slots, 32, count) for count in (1, lots))
    batch = next(whole.pack(packed.shuffled(len(lengths), 3)))
    assert batch == next(parts.pack(packed.shuffled(len(lengths), 3)))  # the same pairs, whatever the lots
    expected, features = whole.assemble(batch, pairs), parts.assemble(batch, pairs)
    shapes = {name: array.shape for name, array in parts.assemble([], []).items()}
    assert {name: array.shape for name, array in features.items()} == shapes
    assert parts.lots <= min(lots, whole.shape.rows)
    rows = len(features["input_ids"])
    assert whole.shape.rows <= rows < whole.shape.rows + parts.lots
    for name in ("input_ids", "token_types", "positions"):
        assert (features[name][: whole.shape.rows] == expected[name]).all()
    seen = []
    for part in zip(
        *(np.split(features[name], parts.lots) for name in ("input_ids", "cls_index", "labels", "weights"))
    ):
        ids, cls_index, labels, weights = part
        assert [int(label) for label in labels[weights == 1]] == [
            int(i) - 1 for i in ids.ravel()[cls_index[weights == 1]]
        ]
        seen += [int(label) for label in labels[weights == 1]]
    assert sorted(seen) == sorted(placement.pair for placement in batch)


def test_no_lot_of_a_batch_of_few_rows_is_always_empty() -> None:
    layouts = [packed.PackedLayout([16] * 26, 26, 32, lots) for lots in (1, 2, 8, 13, 26)]
    assert [layout.shape.rows for layout in layouts] == [13] * 5
    assert [layout.lots for layout in layouts] == [1, 2, 7, 13, 13]


# How many of MRPC's training pairs have 19, 20, ... tokens of BERT's uncased vocabulary.
MRPC = (
    *(
        2,
        0,
        2,
        3,
        2,
        2,
        11,
        15,
        12,
        29,
        19,
        20,
        31,
        46,
        37,
        46,
        46,
        63,
        70,
        82,
        61,
        72,
        86,
        73,
        74,
        92,
        112,
        97,
        91,
        76,
    ),
    *(
        88,
        93,
        105,
        84,
        109,
        109,
        95,
        91,
        86,
        97,
        115,
        104,
        119,
        89,
        74,
        106,
        73,
        69,
        69,
        59,
        68,
        56,
        44,
        43,
        36,
        40,
        26,
    ),
    *(24, 19, 23, 13, 11, 14, 5, 10, 8, 1, 3, 4, 2, 3, 1, 1, 0, 0, 0, 0, 2, 1, 1, 0, 2, 0, 0, 1),
)


def test_mrpc_has_the_rows_that_the_page_about_the_speed_on_a_card_computes_with() -> None:
    lengths = [length for length, count in enumerate(MRPC, 19) for _ in range(count)]
    assert len(lengths) == 3668
    assert packed.fit_shape(lengths, on_paper.SLOTS, on_paper.WIDTH).rows == on_paper.PACKED_ROWS


def test_assemble() -> None:
    pairs = [
        EncodedPair(np.array([2, 7, 3, 8, 3], np.int32), 3, 1),
        EncodedPair(np.array([2, 3, 9, 3], np.int32), 2, 0),
    ]
    features = packed.assemble([Placement(1, 0, 0), Placement(0, 0, 4)], pairs, Shape(slots=3, rows=2, width=10))
    blank = [0] * 10
    expected = {
        "input_ids": [[2, 3, 9, 3, 2, 7, 3, 8, 3, 0], blank],
        "token_types": [[0, 0, 1, 1, 0, 0, 0, 1, 1, 0], blank],
        "positions": [[0, 1, 2, 3, 0, 1, 2, 3, 4, 0], blank],
        "pair_ids": [[1, 1, 1, 1, 2, 2, 2, 2, 2, 0], blank],
        "cls_index": [0, 4, 0],
        "cls_row": [0, 0, 0],
        "labels": [0, 1, 0],
        "weights": [1.0, 1.0, 0.0],
    }
    assert {name: array.tolist() for name, array in features.items()} == expected
    assert {name for name, array in features.items() if array.dtype == np.float32} == {"labels", "weights"}
