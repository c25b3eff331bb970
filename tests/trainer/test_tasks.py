"""MRPC's scores against scikit-learn's."""

from typing import Dict, List, Tuple

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from bert_trainer.tasks import MRPC


def scores(confusion: np.ndarray) -> Dict[str, float]:
    with tf.Graph().as_default(), tf.Session() as session:
        return session.run(MRPC.score(tf.constant(confusion, tf.float32)))


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_scores_are_those_of_scikit_learn(pairs: List[Tuple[int, int]]) -> None:
    labels, predictions = zip(*pairs)
    found = scores(confusion_matrix(labels, predictions, labels=[0, 1]))
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, predictions))
    assert found["f1"] == pytest.approx(f1_score(labels, predictions, zero_division=0))


def test_majority_class_of_mrpc_s_dev_set() -> None:
    found = scores(np.array([[0, 129], [0, 279]]))
    assert found["accuracy"] == pytest.approx(0.6838235)
    assert found["f1"] == pytest.approx(0.8122271)
