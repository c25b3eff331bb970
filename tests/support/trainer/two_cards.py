"""Runs on two simulated cards: started, watched and ended."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterator

from support.trainer import small_task
from support.trainer.outputs import last_step
from support.trainer.places import NPU_SIMULATION

PROMPTLY = 30.0  # seconds, of a machine that is busy; HCCL would wait for half an hour


Flags = Callable[..., "dict[str, Any]"]


@contextlib.contextmanager
def started(flags: dict[str, Any], **environment: str) -> Iterator[subprocess.Popen]:
    """Runs the trainer on the cards 4 and 5, without dropout; nothing of it is left afterwards.

    The device plugin has named them in the order in which the kubelet did.
    """
    two_cards = {"ASCEND_VISIBLE_DEVICES": "5,4", "ASCEND_SIM_CARDS": "4,5", "ASCEND_SIM_DROPOUT": "off"}
    two_cards["PYTHONPATH"] = os.pathsep.join([str(NPU_SIMULATION), *sys.path])
    outer = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}  # of the tests' own
    process = subprocess.Popen(
        [sys.executable, "-m", "bert_trainer", *small_task.arguments(flags)],
        env={**outer, **two_cards, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen, exit_code: int) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == exit_code, output
    return output


def others(process: subprocess.Popen) -> list[int]:
    """Returns the process ids of the ranks that rank 0 has started, which is the only child of its parent."""
    (rank_0,) = children(process.pid)
    return children(rank_0)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_for_step(process: subprocess.Popen, output: Path, step: int) -> None:
    while last_step(output) < step:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def outcome_of(output: Path) -> dict[str, Any]:
    return json.loads(output.with_suffix(".log").read_text())


LONG = {"num_train_epochs": 40.0, "save_checkpoints_steps": 10}  # a hundred steps
