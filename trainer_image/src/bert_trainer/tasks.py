"""The tasks: where a task's sentences and labels stand in its files, and how its predictions are scored."""

import dataclasses
from typing import Callable, Dict, Tuple

import tensorflow.compat.v1 as tf


def accuracy_and_f1(confusion: tf.Tensor) -> Dict[str, tf.Tensor]:
    """Accuracy and the F1 of the second class, as GLUE scores MRPC.

    Args:
        confusion: [2, 2] float counts, rows are labels, columns are predictions.

    Returns:
        Scalars "accuracy" and "f1"; F1 is 0 when the second class is neither present nor predicted.
    """
    true_positives, missed, false_alarms = confusion[1, 1], confusion[1, 0], confusion[0, 1]
    return {
        "accuracy": tf.div_no_nan(tf.linalg.trace(confusion), tf.reduce_sum(confusion)),
        "f1": tf.div_no_nan(2.0 * true_positives, 2.0 * true_positives + missed + false_alarms),
    }


@dataclasses.dataclass(frozen=True)
class Task:
    """A sentence-pair classification task in GLUE's TSV format."""

    name: str
    sentence_columns: Tuple[str, str]
    label_column: str
    labels: Tuple[str, ...]
    score: Callable[[tf.Tensor], Dict[str, tf.Tensor]]


# Dolan and Brockett 2005; columns as in GLUE (Wang et al. 2018). The identifiers in between are not read.
MRPC = Task("MRPC", ("#1 String", "#2 String"), "Quality", ("0", "1"), accuracy_and_f1)

TASKS = {task.name: task for task in (MRPC,)}
