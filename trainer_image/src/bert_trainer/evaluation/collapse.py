"""Collapse: a fine-tuning run that learned nothing, although it ended without an error.

Fine-tuning large models on small data sets does so for some seeds (Devlin et al. 2018; Mosbach et al. 2020; Zhang et
al. 2020), and accuracy alone hides it: where two thirds of the pairs are of one class, answering that class scores two
thirds. A later epoch may recover, so a verdict holds for the epoch whose evaluation it is drawn from.
"""

import math
from typing import Optional, Sequence

import numpy as np

from bert_trainer.data.tasks import Task
from bert_trainer.evaluation.scores import matthews


def collapse(
    task: Task, labels: np.ndarray, predictions: np.ndarray, losses: Sequence[float], chance: float
) -> Optional[str]:
    """Returns why a run has collapsed, as a sentence for people; None when it has not.

    Args:
        task: the task.
        labels: [examples] labels of the development set.
        predictions: [examples] the model's answers.
        losses: training loss of each step of the epoch that has just ended.
        chance: the task's chance_level of the training set.
    """
    reason = _answers(task, labels, predictions)
    if reason is not None:
        return reason
    settled = losses[len(losses) // 2 :]
    if settled and np.mean(settled) >= chance:
        text = "the mean training loss over the epoch's last {} steps is {:.4f}, that of a constant answer is {:.4f}"
        return text.format(len(settled), np.mean(settled), chance)
    return None


def _answers(task: Task, labels: np.ndarray, predictions: np.ndarray) -> Optional[str]:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) < 2:
        return None  # there is nothing to tell apart
    constant = task.constant_answer(labels, predictions)
    if constant or "matthews" not in task.scores:
        return constant
    right, majority = int(np.sum(labels == predictions)), int(counts.max())
    correlation = matthews(labels, predictions)
    # Answers given at random correlate by about 1 / sqrt(examples): twice that still counts as no correlation.
    if abs(right - majority) <= 1 and abs(correlation) <= 2 / math.sqrt(len(labels)):
        text = "{} of {} predictions are right, {} are of the majority class, Matthews correlation {:.4f}"
        return text.format(right, len(labels), majority, correlation)
    return None
