"""GLUE's scores against scikit-learn's and SciPy's, degenerate inputs included."""

from typing import Any, List, Optional, Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from bert_trainer.data.tasks import TASKS
from bert_trainer.evaluation import scores

pytestmark = pytest.mark.filterwarnings(  # where a score is undefined
    "ignore::RuntimeWarning:sklearn",
    "ignore::scipy.stats.PearsonRConstantInputWarning",
    "ignore::scipy.stats.SpearmanRConstantInputWarning",
)


def answers(classes: int) -> "st.SearchStrategy[List[Tuple[int, int]]]":
    """Pairs of a label and a prediction; short lists are often of one class."""
    one = st.integers(0, classes - 1)
    return st.lists(st.tuples(one, one), min_size=1, max_size=40)


NUMBERS = st.one_of(st.integers(0, 5).map(float), st.floats(-10, 10, width=32))


def defined(value: float) -> Optional[Any]:
    return None if np.isnan(value) else pytest.approx(value, abs=1e-6)


@given(answers(2))
def test_accuracy_and_f1(pairs: List[Tuple[int, int]]) -> None:
    labels, predictions = np.array(pairs).T
    assert scores.accuracy(labels, predictions) == pytest.approx(metrics.accuracy_score(labels, predictions))
    assert scores.f1(labels, predictions) == pytest.approx(metrics.f1_score(labels, predictions, zero_division=0))


@given(st.integers(2, 4).flatmap(answers))
def test_matthews(pairs: List[Tuple[int, int]]) -> None:
    labels, predictions = np.array(pairs).T
    assert scores.matthews(labels, predictions) == pytest.approx(metrics.matthews_corrcoef(labels, predictions))


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=40))
def test_correlations(pairs: List[Tuple[float, float]]) -> None:
    labels, predictions = np.array(pairs).T
    assert scores.spearman(labels, predictions) == defined(stats.spearmanr(labels, predictions)[0])
    spread = min(np.ptp(labels), np.ptp(predictions))
    if not spread or spread > 1e-3:  # between them SciPy's own rounding decides
        assert scores.pearson(labels, predictions) == defined(stats.pearsonr(labels, predictions)[0])


@given(st.lists(NUMBERS, min_size=1, max_size=40))
def test_ranks_share_the_mean_of_ties(values: List[float]) -> None:
    assert scores.ranks(np.array(values)).tolist() == stats.rankdata(values).tolist()


def test_many_examples_at_once() -> None:
    random = np.random.RandomState(0)
    labels = random.uniform(0, 5, 3000).round(1)
    predictions = labels + random.normal(0, 1, 3000)
    assert scores.pearson(labels, predictions) == pytest.approx(stats.pearsonr(labels, predictions)[0], abs=1e-12)
    assert scores.spearman(labels, predictions) == pytest.approx(stats.spearmanr(labels, predictions)[0], abs=1e-12)


@given(st.integers(2, 3).flatmap(lambda classes: st.tuples(st.just(classes), answers(classes))), st.integers(0, 2**31))
def test_the_loss_is_the_cross_entropy(drawn: Tuple[int, List[Tuple[int, int]]], seed: int) -> None:
    classes, pairs = drawn
    labels, _ = np.array(pairs).T
    logits = np.random.RandomState(seed).normal(0, 3, (len(labels), classes)).astype(np.float32)
    shares = np.exp(logits.astype(np.float64))
    shares /= shares.sum(axis=1, keepdims=True)
    task = TASKS["MNLI" if classes == 3 else "RTE"]
    expected = metrics.log_loss(labels, shares, labels=list(range(classes)))
    assert task.mean_loss(labels.astype(np.float32), logits) == pytest.approx(expected)


def test_the_loss_of_extreme_logits_is_finite() -> None:
    assert TASKS["RTE"].mean_loss(np.array([0.0]), np.array([[-500.0, 500.0]], np.float32)) == 1000.0


def test_majority_class_of_mrpc_s_dev_set() -> None:
    labels = np.array([1.0] * 279 + [0.0] * 129)
    found = scores.scores(TASKS["MRPC"], labels, np.tile(np.float32([0.0, 1.0]), (408, 1)))
    assert found == {
        "accuracy": 0.6838235,
        "f1": 0.8122271,
        "matthews": 0.0,
        "loss": pytest.approx(0.6294381, abs=1e-6),
    }


def test_scores_of_a_regression() -> None:
    labels = np.array([0.0, 2.5, 5.0])
    found = scores.scores(TASKS["STS-B"], labels, np.float32([[1.0], [2.0], [4.0]]))
    assert found == {"pearson": 0.9819805, "spearman": 1.0, "loss": 0.75}
    constant = scores.scores(TASKS["STS-B"], labels, np.full([3, 1], 2.5, np.float32))
    assert (constant["pearson"], constant["spearman"]) == (None, None)
