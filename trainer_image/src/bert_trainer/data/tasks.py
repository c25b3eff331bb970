"""GLUE's tasks (Wang et al. 2018): where sentences and labels stand in their files, and how they are scored."""

import dataclasses
from typing import Tuple


@dataclasses.dataclass(frozen=True)
class Task:
    """A task on sentences or pairs of sentences, in the files in which GLUE publishes it.

    Attributes:
        sentences: columns of the sentence or of both sentences.
        label: column of the label.
        labels: what that column holds, in the order of the model's outputs; none for a score.
        scores: names of the scores (keys of scores.SCORES) in the order in which GLUE reports them.
        columns: columns of the training and development files where these have no header.
        index: column that numbers the rows of a test file.
        dev_files: development files; a second one is of another domain.
        test_files: test files, each with the name under which GLUE takes its predictions.
    """

    name: str
    sentences: Tuple[str, ...]
    label: str
    labels: Tuple[str, ...]
    scores: Tuple[str, ...]
    columns: Tuple[str, ...] = ()
    index: str = "index"
    dev_files: Tuple[str, ...] = ("dev.tsv",)
    test_files: Tuple[Tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not self.test_files:
            object.__setattr__(self, "test_files", (("test.tsv", self.name + ".tsv"),))

    @property
    def outputs(self) -> int:
        """Outputs of the model: one for each label, or the score itself."""
        return len(self.labels) or 1


TRAIN_FILE = "train.tsv"
DIAGNOSTIC_FILE = "diagnostic.tsv"  # GLUE publishes it apart from the tasks, so it may be missing
SCORE_RANGE = (0.0, 5.0)  # of STS-B, the only task whose label is a score
BINARY = ("0", "1")
ENTAILMENT = ("entailment", "not_entailment")
PAIR = ("sentence1", "sentence2")

TASKS = {
    task.name: task
    for task in (
        Task(
            "CoLA",
            ("sentence",),
            "label",
            BINARY,
            ("matthews", "accuracy"),
            columns=("source", "label", "notation", "sentence"),
        ),
        Task("SST-2", ("sentence",), "label", BINARY, ("accuracy", "matthews")),
        Task("MRPC", ("#1 String", "#2 String"), "Quality", BINARY, ("accuracy", "f1", "matthews")),
        Task("STS-B", PAIR, "score", (), ("pearson", "spearman")),
        Task("QQP", ("question1", "question2"), "is_duplicate", BINARY, ("accuracy", "f1", "matthews"), index="id"),
        Task(
            "MNLI",
            PAIR,
            "gold_label",
            ("contradiction", "entailment", "neutral"),
            ("accuracy", "matthews"),
            dev_files=("dev_matched.tsv", "dev_mismatched.tsv"),
            test_files=(
                ("test_matched.tsv", "MNLI-m.tsv"),
                ("test_mismatched.tsv", "MNLI-mm.tsv"),
                (DIAGNOSTIC_FILE, "AX.tsv"),
            ),
        ),
        Task("QNLI", ("question", "sentence"), "label", ENTAILMENT, ("accuracy", "matthews")),
        Task("RTE", PAIR, "label", ENTAILMENT, ("accuracy", "matthews")),
        Task("WNLI", PAIR, "label", BINARY, ("accuracy", "matthews")),
    )
}
