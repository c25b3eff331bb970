"""Collapse: which runs have learned nothing."""

import math
from typing import List, Optional, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_trainer.data.tasks import TASKS
from bert_trainer.evaluation.collapse import collapse

MRPC, STSB, MNLI = TASKS["MRPC"], TASKS["STS-B"], TASKS["MNLI"]
LABELS = np.array([1] * 279 + [0] * 129)
CHANCE = 0.624
LEARNED = [0.6, 0.5, 0.4, 0.3]


def verdict(predictions: Sequence[int], losses: Sequence[float] = LEARNED) -> Optional[str]:
    return collapse(MRPC, LABELS, np.array(predictions), losses, CHANCE)


@pytest.mark.parametrize(
    ("predictions", "losses", "reason"),
    [
        # What the reference's README publishes for BERT-Large: 279 of 408.
        ([1] * 408, LEARNED, "all 408 predictions are 1"),
        ([0] * 408, LEARNED, "all 408 predictions are 0"),
        ([1] * 407 + [0], LEARNED, "280 of 408 predictions are right, 279 are of the majority class"),
        ([0] + [1] * 407, LEARNED, "278 of 408 predictions are right, 279 are of the majority class"),
        # The published results of BERT-Base, 347 of 408, and of a run that barely learns.
        ([1] * 258 + [0] * 21 + [0] * 89 + [1] * 40, LEARNED, None),
        ([1] * 270 + [0] * 9 + [0] * 20 + [1] * 109, LEARNED, None),
        # At the majority share, but by telling the classes apart.
        ([1] * 200 + [0] * 79 + [0] * 79 + [1] * 50, LEARNED, None),
        # The loss of the epoch's second half decides; the warm-up may be as bad as it likes.
        ([1] * 258 + [0] * 21 + [0] * 89 + [1] * 40, [0.8, 0.7, 0.63, 0.63], "last 2 steps is 0.6300"),
        ([1] * 258 + [0] * 21 + [0] * 89 + [1] * 40, [0.9, 0.8, 0.62, 0.62], None),
        ([1] * 258 + [0] * 21 + [0] * 89 + [1] * 40, [], None),
    ],
)
def test_mrpc(predictions: List[int], losses: List[float], reason: Optional[str]) -> None:
    found = verdict(predictions, losses)
    assert (found is None) == (reason is None)
    assert reason is None or (found and reason in found)


def test_a_regression() -> None:
    scores = np.array([0.0, 1.0, 2.5, 5.0])
    assert collapse(STSB, scores, np.full(4, 2.25, np.float32), [0.1], 3.0) == ("all 4 predictions are about 2.25")
    assert collapse(STSB, scores, np.float32([2.25, 2.26, 2.25, 2.26]), [0.1], 3.0) is not None
    assert collapse(STSB, scores, np.float32([1, 2, 3, 4]), [0.1], 3.0) is None
    assert "2.9000" in str(collapse(STSB, scores, np.float32([1, 2, 3, 4]), [9.0, 2.9], 2.9))


def test_three_classes() -> None:
    labels = np.tile([0, 1, 2], 30)
    assert collapse(MNLI, labels, np.full(90, 2), [0.1], 1.0) == "all 90 predictions are neutral"
    assert collapse(MNLI, labels, labels, [0.1], 1.0) is None
    assert "30 of 90 predictions are right" in str(collapse(MNLI, labels, np.repeat([0, 1, 2], 30), [0.1], 1.0))


def test_a_development_set_of_one_class_says_nothing() -> None:
    assert collapse(MRPC, np.ones(9), np.ones(9, np.int64), LEARNED, CHANCE) is None


@given(
    st.lists(st.integers(0, 1), min_size=2, max_size=60).filter(lambda labels: len(set(labels)) == 2), st.integers(0, 1)
)
def test_one_answer_for_all_has_collapsed(labels: List[int], answer: int) -> None:
    assert collapse(MRPC, np.array(labels), np.full(len(labels), answer), LEARNED, CHANCE) is not None


@given(st.lists(st.integers(0, 1), min_size=8, max_size=60).filter(lambda labels: 4 <= sum(labels) <= len(labels) - 4))
def test_right_answers_have_not(labels: List[int]) -> None:
    assert collapse(MRPC, np.array(labels), np.array(labels), LEARNED, CHANCE) is None


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=1, max_size=50))
def test_chance_is_the_loss_of_the_best_constant_answer(labels: List[float]) -> None:
    exact = np.array(labels)
    shares = [labels.count(label) / len(labels) for label in set(labels)]
    assert MNLI.chance_level(exact) == pytest.approx(-sum(share * math.log(share) for share in shares))
    assert STSB.chance_level(exact) == pytest.approx(min(np.mean((exact - c) ** 2) for c in (*labels, np.mean(exact))))
