"""Metrics as promtool reads them, and the log's lines of progress."""

import subprocess
import time
from typing import Iterator

import pytest

from bert_trainer import contract
from bert_trainer.reporting.telemetry import Telemetry
from bert_trainer.training.hooks import progress_line
from lab.trainer import metrics_table
from support.trainer.serving import fetch, serving


@pytest.fixture
def run() -> Telemetry:
    return Telemetry("npu-simulated", "MRPC", started=time.monotonic() - 5.0)


@pytest.fixture
def telling() -> Iterator[str]:
    """Serves a run that has a value for each metric."""
    with serving(metrics_table.telling()) as address:
        yield address + contract.METRICS_PATH


def test_promtool_finds_nothing_to_say(telling: str) -> None:
    check = ["promtool", "check", "metrics"]
    done = subprocess.run(
        check, input=fetch(telling), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_progress_lines(run: Telemetry) -> None:
    run.start(0, 10, epochs=1.0)
    run.step(1, 0.5, 9.0, 8, learning_rate=1e-5)
    assert progress_line(run.progress) == "step 1/10 (10%) loss 0.5000"
    for step in (2, 3):
        run.step(step, 0.25, 1.5, 8, learning_rate=1e-5)
    assert progress_line(run.progress) == "step 3/10 (30%) loss 0.2500, 1500 ms/step, 10 s left"
