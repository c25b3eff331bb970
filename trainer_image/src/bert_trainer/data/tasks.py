"""GLUE's tasks (Wang et al. 2018): where sentences and labels stand in their files, and how they are scored."""

import abc
import contextlib
import dataclasses
from typing import Any, List, Optional, Tuple

import numpy as np

TRAIN_FILE = "train.tsv"
DIAGNOSTIC_FILE = "diagnostic.tsv"  # GLUE publishes it apart from the tasks, so it may be missing
SCORE_RANGE = (0.0, 5.0)  # of STS-B, the only task whose label is a score
SAME_SCORE = 0.01  # scores that spread less than this share of the labels' standard deviation are one answer
BINARY = ("0", "1")
ENTAILMENT = ("entailment", "not_entailment")
PAIR = ("sentence1", "sentence2")


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """A task on sentences or pairs of sentences, in the files in which GLUE publishes it.

    A label is a number here: its index in `labels`, or the score itself.

    Attributes:
        sentences: columns of the sentence or of both sentences.
        label: column of the label.
        scores: names of the scores (keys of scores.SCORES) in the order in which GLUE reports them.
        labels: what the column of the label holds, in the order of the model's outputs; none for a score.
        columns: columns of the training and development files where these have no header.
        index: column that numbers the rows of a test file.
        dev_files: development files; a second one is of another domain.
        test_files: test files, each with the name under which GLUE takes its predictions.
    """

    name: str
    sentences: Tuple[str, ...]
    label: str
    scores: Tuple[str, ...]
    labels: Tuple[str, ...] = ()
    columns: Tuple[str, ...] = ()
    index: str = "index"
    dev_files: Tuple[str, ...] = ("dev.tsv",)
    test_files: Tuple[Tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.test_files:
            object.__setattr__(self, "test_files", (("test.tsv", self.name + ".tsv"),))

    @property
    @abc.abstractmethod
    def outputs(self) -> int:
        """Outputs of the model for one example."""

    @property
    @abc.abstractmethod
    def allowed(self) -> str:
        """What the labels are, in words."""

    @abc.abstractmethod
    def number(self, text: str) -> Optional[float]:
        """Returns the label that a field of a file holds; None where that is no label of this task."""

    @abc.abstractmethod
    def losses(self, labels: Any, outputs: Any) -> Any:
        """Returns the graph's [slots] losses, of [slots] labels and [slots, outputs] outputs."""

    @abc.abstractmethod
    def mean_loss(self, labels: np.ndarray, outputs: np.ndarray) -> float:
        """Returns the mean loss of [examples] labels and [examples, outputs] outputs."""

    @abc.abstractmethod
    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the [examples] labels that the model's [examples, outputs] outputs stand for."""

    @abc.abstractmethod
    def answers(self, outputs: np.ndarray) -> List[str]:
        """Returns the predictions as GLUE takes them."""

    @abc.abstractmethod
    def served(self, outputs: Any) -> Tuple[str, Any]:
        """Returns the name and the tensor by which a SavedModel answers."""

    @abc.abstractmethod
    def chance_level(self, labels: np.ndarray) -> float:
        """Returns the loss of the best constant answer."""

    @abc.abstractmethod
    def constant_answer(self, labels: np.ndarray, predictions: np.ndarray) -> Optional[str]:
        """Returns that all predictions are the same, as a sentence; None where they differ."""


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """A task whose answer is one of several labels; the loss is the cross entropy, in nats."""

    labels: Tuple[str, ...] = BINARY

    @property
    def outputs(self) -> int:
        return len(self.labels)

    @property
    def allowed(self) -> str:
        return ", ".join(self.labels)

    def number(self, text: str) -> Optional[float]:
        return float(self.labels.index(text)) if text in self.labels else None

    def losses(self, labels: Any, outputs: Any) -> Any:
        import tensorflow.compat.v1 as tf  # noqa: PLC0415 - what reads files and scores does without

        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.cast(labels, tf.int32), logits=outputs)

    def mean_loss(self, labels: np.ndarray, outputs: np.ndarray) -> float:
        exact = outputs.astype(np.float64)
        shifted = exact - exact.max(axis=1, keepdims=True)
        chosen = shifted[np.arange(len(labels)), labels.astype(np.int64)]
        return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - chosen))

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.argmax(axis=1)

    def answers(self, outputs: np.ndarray) -> List[str]:
        return [self.labels[prediction] for prediction in self.predictions(outputs)]

    def served(self, outputs: Any) -> Tuple[str, Any]:
        import tensorflow.compat.v1 as tf  # noqa: PLC0415

        return "probabilities", tf.nn.softmax(outputs)

    def chance_level(self, labels: np.ndarray) -> float:
        """The entropy of the classes, in nats."""
        _, counts = np.unique(labels, return_counts=True)
        shares = counts / counts.sum()
        return float(-np.sum(shares * np.log(shares)))

    def constant_answer(self, labels: np.ndarray, predictions: np.ndarray) -> Optional[str]:
        if (predictions == predictions[0]).all():
            return "all {} predictions are {}".format(len(predictions), self.labels[int(predictions[0])])
        return None


@dataclasses.dataclass(frozen=True)
class Regression(Task):
    """A task whose answer is a score; the loss is the squared error."""

    @property
    def outputs(self) -> int:
        return 1

    @property
    def allowed(self) -> str:
        return "numbers from {:g} to {:g}".format(*SCORE_RANGE)

    def number(self, text: str) -> Optional[float]:
        low, high = SCORE_RANGE
        with contextlib.suppress(ValueError):
            if low <= float(text) <= high:
                return float(text)
        return None

    def losses(self, labels: Any, outputs: Any) -> Any:
        import tensorflow.compat.v1 as tf  # noqa: PLC0415

        return tf.square(outputs[:, 0] - labels)

    def mean_loss(self, labels: np.ndarray, outputs: np.ndarray) -> float:
        return float(np.mean(np.square(outputs.astype(np.float64)[:, 0] - labels)))

    def predictions(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, 0]

    def answers(self, outputs: np.ndarray) -> List[str]:
        return ["{:.3f}".format(prediction) for prediction in np.clip(self.predictions(outputs), *SCORE_RANGE)]

    def served(self, outputs: Any) -> Tuple[str, Any]:
        return "score", outputs[:, 0]

    def chance_level(self, labels: np.ndarray) -> float:
        """The variance of the scores."""
        return float(np.var(labels))

    def constant_answer(self, labels: np.ndarray, predictions: np.ndarray) -> Optional[str]:
        if np.std(predictions) < SAME_SCORE * np.std(labels):
            return "all {} predictions are about {:.4g}".format(len(predictions), np.mean(predictions))
        return None


TASKS = {
    task.name: task
    for task in (
        Classification(
            "CoLA",
            ("sentence",),
            "label",
            ("matthews", "accuracy"),
            columns=("source", "label", "notation", "sentence"),
        ),
        Classification("SST-2", ("sentence",), "label", ("accuracy", "matthews")),
        Classification("MRPC", ("#1 String", "#2 String"), "Quality", ("accuracy", "f1", "matthews")),
        Regression("STS-B", PAIR, "score", ("pearson", "spearman")),
        Classification("QQP", ("question1", "question2"), "is_duplicate", ("accuracy", "f1", "matthews"), index="id"),
        Classification(
            "MNLI",
            PAIR,
            "gold_label",
            ("accuracy", "matthews"),
            ("contradiction", "entailment", "neutral"),
            dev_files=("dev_matched.tsv", "dev_mismatched.tsv"),
            test_files=(
                ("test_matched.tsv", "MNLI-m.tsv"),
                ("test_mismatched.tsv", "MNLI-mm.tsv"),
                (DIAGNOSTIC_FILE, "AX.tsv"),
            ),
        ),
        Classification("QNLI", ("question", "sentence"), "label", ("accuracy", "matthews"), ENTAILMENT),
        Classification("RTE", PAIR, "label", ("accuracy", "matthews"), ENTAILMENT),
        Classification("WNLI", PAIR, "label", ("accuracy", "matthews")),
    )
}
