"""GLUE's scores, from the labels and the model's outputs of a whole data set."""

from typing import Callable, Dict, Optional

import numpy as np

from bert_trainer.data.tasks import Task

Score = Callable[[np.ndarray, np.ndarray], Optional[float]]


def accuracy(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Returns the share of predictions that are right."""
    return float(np.mean(labels == predictions))


def f1(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Returns the F1 of class 1; 0 when that class is neither present nor predicted."""
    right = np.sum((labels == 1) & (predictions == 1))
    claimed = np.sum(labels == 1) + np.sum(predictions == 1)
    return float(2 * right / claimed) if claimed else 0.0


def matthews(labels: np.ndarray, predictions: np.ndarray) -> float:
    """Returns Matthews' correlation, for any number of classes as Gorodkin 2004 extends it; 0 when it is undefined."""
    classes = np.unique(np.concatenate([labels, predictions]))
    actual, claimed = ((x[:, None] == classes[None]).astype(np.float64) for x in (labels, predictions))
    actual, claimed = actual - actual.mean(axis=0), claimed - claimed.mean(axis=0)
    norm = np.sqrt(np.sum(actual * actual) * np.sum(claimed * claimed))
    return float(np.sum(actual * claimed) / norm) if norm else 0.0


def pearson(labels: np.ndarray, predictions: np.ndarray) -> Optional[float]:
    """Returns Pearson's correlation; None when either side is constant, which leaves it undefined."""
    if not np.ptp(labels) or not np.ptp(predictions):
        return None
    actual, claimed = (x.astype(np.float64) - x.mean(dtype=np.float64) for x in (labels, predictions))
    norm = np.linalg.norm(actual) * np.linalg.norm(claimed)
    return float(np.clip(np.dot(actual, claimed) / norm, -1.0, 1.0)) if norm else None


def spearman(labels: np.ndarray, predictions: np.ndarray) -> Optional[float]:
    """Returns Spearman's rank correlation, equal values sharing their mean rank; None when either side is constant."""
    return pearson(ranks(labels), ranks(predictions))


def ranks(values: np.ndarray) -> np.ndarray:
    """Returns each value's rank, from 1; equal values share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[places]


SCORES: Dict[str, Score] = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
}


def scores(task: Task, labels: np.ndarray, outputs: np.ndarray) -> Dict[str, Optional[float]]:
    """Returns the task's scores and "loss", rounded to 7 digits as the reference prints them.

    Args:
        task: says which scores.
        labels: [examples] labels.
        outputs: the model's, [examples, task.outputs].
    """
    predictions = task.predictions(outputs)
    values = {name: SCORES[name](labels, predictions) for name in task.scores}
    values["loss"] = task.mean_loss(labels, outputs)
    return {name: None if value is None else round(value, 7) for name, value in values.items()}
