"""The registry's labels against the published implementation."""

from typing import List

import pytest

from bert_trainer.data.tasks import TASKS


@pytest.mark.parametrize(
    ("task", "order"),
    [("MRPC", ["0", "1"]), ("CoLA", ["0", "1"]), ("MNLI", ["contradiction", "entailment", "neutral"])],
)
def test_labels_are_in_the_reference_s_order(task: str, order: List[str]) -> None:
    from bert import run_classifier  # noqa: PLC0415 - slow to import, and only needed here

    processors: dict[str, type] = {
        "MRPC": run_classifier.MrpcProcessor,
        "CoLA": run_classifier.ColaProcessor,
        "MNLI": run_classifier.MnliProcessor,
    }
    assert list(TASKS[task].labels) == processors[task]().get_labels() == order
