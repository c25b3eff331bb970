"""What a run has left in its output folder."""

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from bert_trainer import contract


def weights(output: Path) -> Dict[str, np.ndarray]:
    """Returns the variables of the latest checkpoint."""
    reader = tf.train.load_checkpoint(str(output))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def result_of(output: Path) -> Dict[str, Any]:
    return json.loads((output / contract.RESULT_FILE).read_text())


def last_step(output: Path) -> int:
    """Returns the last step in the history whose line is whole; 0 for none."""
    history = output / "history.jsonl"
    lines = history.read_text().split("\n")[:-1] if history.exists() else []
    return max((json.loads(line)["step"] for line in lines), default=0)


def curves_of(folder: Path) -> Dict[str, List[Tuple[int, float]]]:
    """Returns tag -> (step, value) of every point, in the order in which TensorBoard draws them."""
    accumulator = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(point.step, point.value) for point in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def assert_same_numbers(output: Path, expected: Path, rtol: float = 0.0) -> None:
    """The losses of all steps, the evaluations and the weights are the same; with a tolerance Adam's moments need not.

    (They may be as small as what rounding leaves of a gradient of 0.)
    """
    mine, theirs = ((folder / "history.jsonl").read_text().splitlines() for folder in (output, expected))
    assert len(mine) == len(theirs)
    for line, other in zip(map(json.loads, mine), map(json.loads, theirs)):
        assert line == pytest.approx(other, rel=rtol, abs=0)
    ours, reference = weights(output), weights(expected)
    assert set(ours) == set(reference)
    for name, value in reference.items():
        if not rtol or "adam_" not in name:
            tolerance = rtol * np.abs(value).max()
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=tolerance, err_msg=name)
