"""When a run is evaluated, on what, and what comes of it."""

from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_trainer.data.tasks import TASKS
from bert_trainer.data.tokenization import EncodedPair
from bert_trainer.layouts.input_fn import Dataset
from bert_trainer.layouts.packed import PackedLayout
from bert_trainer.output.folder import RunFolder
from bert_trainer.output.history import History
from bert_trainer.reporting.stop import StopRequest
from bert_trainer.reporting.telemetry import Telemetry
from bert_trainer.reporting.tensorboard import EventFile
from bert_trainer.training.evaluator import DevSet, Evaluator, epoch_ends, evaluation_line
from support.trainer.outputs import curves_of


@pytest.mark.parametrize(
    ("examples", "batch", "epochs", "total", "ends"),
    [
        (3668, 32, 3.0, 343, {114: 1.0, 229: 2.0, 343: 3.0}),  # MRPC: 114.6 steps an epoch
        (3668, 32, 1.0, 114, {114: 1.0}),
        (64, 32, 2.5, 5, {2: 1.0, 4: 2.0, 5: 2.5}),
        (64, 32, 0.5, 1, {1: 0.5}),
        (10, 32, 4.0, 1, {1: 4.0}),  # an epoch with less than one batch has no end of its own
        (16, 32, 5.0, 2, {1: 3.0, 2: 5.0}),
    ],
)
def test_epoch_ends(examples: int, batch: int, epochs: float, total: int, ends: Dict[int, float]) -> None:
    assert epoch_ends(examples, batch, epochs, total) == ends


@given(st.integers(1, 5000), st.integers(1, 64), st.integers(1, 400))
def test_the_last_step_ends_the_last_epoch(examples: int, batch: int, quarters: int) -> None:
    epochs = quarters / 4
    total = int(examples / batch * epochs)
    if total:
        ends = epoch_ends(examples, batch, epochs, total)
        assert ends[total] == epochs
        assert max(ends) == total
        assert min(ends) > 0
        assert list(ends.values()) == sorted(ends.values())


class Bench(NamedTuple):
    evaluator: Evaluator
    telemetry: Telemetry
    stop: StopRequest


LEARNING = (0.6, 0.4, 0.3, 0.2)


def bench(folder: Path, task: str, labels: List[float], counts: List[int], losses: Sequence[float] = LEARNING) -> Bench:
    """Returns an evaluator of a run of as many steps as there are losses, two epochs in all."""
    pairs = [EncodedPair(np.arange(4, dtype=np.int32), 2, label) for label in labels]
    dev = DevSet(Dataset(pairs, PackedLayout([4] * len(pairs), 3, 8)), counts)
    telemetry, stop, history = Telemetry("cpu", task, 0.0), StopRequest(), History(RunFolder(folder), 0)
    for step, loss in enumerate(losses, start=1):
        history.add_loss(step, loss)
    ends = {len(losses) // 2: 1.0, len(losses): 2.0}
    evaluator = Evaluator(
        TASKS[task],
        [0.0, 1.0] * 9,
        dev,
        ends,
        history,
        telemetry=telemetry,
        events=EventFile(folder, 0),
        stop=stop,
    )
    return Bench(evaluator, telemetry, stop)


def outputs_of(found: Bench, outputs: np.ndarray) -> List[np.ndarray]:
    """Returns the outputs batch by batch, with noise in the empty slots."""
    batches = []
    for placements in found.evaluator.batches:
        batch = np.full([3, outputs.shape[1]], 9.0, np.float32)
        batch[: len(placements)] = outputs[[placement.pair for placement in placements]]
        batches.append(batch)
    return batches


def test_every_example_counts_once_and_in_its_place(tmp_path: Path) -> None:
    labels = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    found = bench(tmp_path, "MRPC", labels, [7])
    outputs = np.float32([[2, 0], [0, 2], [0, 2], [2, 0], [0, 2], [2, 0], [2, 0]])  # the last is wrong
    assert found.evaluator.is_due(2)
    found.evaluator.evaluate(2, outputs_of(found, outputs))
    (evaluation,) = found.evaluator.history.evaluations
    assert (evaluation["epoch"], evaluation["step"]) == (1.0, 2)
    assert evaluation["accuracy"] == pytest.approx(6 / 7, abs=1e-6)
    assert evaluation["f1"] == pytest.approx(6 / 7, abs=1e-6)
    assert not evaluation["collapsed"]
    assert not found.evaluator.is_due(2)
    assert not found.evaluator.is_due(3)
    assert found.evaluator.is_due(4)
    assert found.telemetry.progress["collapsed"] is False


def test_both_files_of_mnli(tmp_path: Path) -> None:
    found = bench(tmp_path, "MNLI", [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 2.0], [3, 4])
    outputs = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 0, 2, 0]]
    evaluation = found.evaluator.judge(4, outputs)
    assert (evaluation["accuracy"], evaluation["accuracyMismatched"]) == (1.0, 0.5)
    assert "accuracy 1.0, " in evaluation_line(evaluation)
    assert evaluation_line(evaluation).startswith("epoch 2, step 4: ")


def test_only_the_epoch_s_own_losses_are_judged(tmp_path: Path) -> None:
    labels = [0.0, 1.0] * 5
    outputs = np.eye(2, dtype=np.float32)[np.array(labels, int)]
    found = bench(tmp_path, "MRPC", labels, [10], [0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    assert "last 2 steps is 0.9000" in found.evaluator.judge(4, outputs)["collapseReason"]
    assert found.evaluator.judge(8, outputs)["collapseReason"] is None


def test_a_collapse_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = bench(tmp_path, "MRPC", [0.0, 1.0, 1.0], [3])
    found.evaluator.evaluate(2, outputs_of(found, np.float32([[0, 1]] * 3)))
    assert curves_of(tmp_path).keys() == {"eval/loss", "eval/accuracy", "eval/f1", "eval/matthews"}
    assert found.evaluator.history.evaluations[0]["collapseReason"] == "all 3 predictions are 1"
    assert "collapsed: all 3 predictions are 1; a later epoch may recover" in caplog.text
    assert found.telemetry.progress["collapsed"] is True


def test_a_stop_leaves_the_evaluation_undone(tmp_path: Path) -> None:
    found = bench(tmp_path, "MRPC", [0.0, 1.0, 1.0, 0.0], [4])
    batches = outputs_of(found, np.float32([[0, 1]] * 4))
    assert len(batches) == 2

    def stopping() -> Iterator[np.ndarray]:
        yield batches[0]
        found.stop.signal = "SIGTERM"
        yield batches[1]

    found.evaluator.evaluate(2, stopping())
    assert found.evaluator.is_due(2)
    assert (tmp_path / "history.jsonl").read_text().count("\n") == 4
