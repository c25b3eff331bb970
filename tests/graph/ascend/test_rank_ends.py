"""The end of one of two ranks is the end of both, with a class and a message."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from unittest import mock

import numpy as np

from bert_trainer import contract
from support.trainer import small_bert
from support.trainer.outputs import weights
from support.trainer.two_cards import (
    LONG,
    PROMPTLY,
    Flags,
    children,
    finish,
    is_running,
    others,
    outcome_of,
    started,
    wait_for_step,
)


def test_a_killed_rank_ends_the_run(flags: Flags, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with started(flags(output, **LONG)) as process:
        wait_for_step(process, output, 15)
        (follower,) = others(process)
        os.kill(follower, signal.SIGKILL)
        before = time.monotonic()
        finish(process, 128 + signal.SIGKILL)
    assert time.monotonic() - before < PROMPTLY
    assert outcome_of(output) == {
        "outcome": "Failed",
        "class": "Unknown",  # what killed it, only Kubernetes knows: OOMKilled where it was that
        "message": "rank 1 on card 5: ended by SIGKILL, as when memory runs out; give it more, or pass a smaller "
        "--train_batch_size",
    }
    assert weights(output)["global_step"] >= 10
    assert json.loads((output / "leases" / "1.json").read_text())["released"]  # the next start waits for nothing


def test_nothing_outlives_rank_0(flags: Flags, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with started(flags(output, **LONG)) as process:
        wait_for_step(process, output, 1)
        (follower,) = others(process)
        process.kill()
        process.wait()
        deadline = time.monotonic() + PROMPTLY
        while is_running(follower):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_run_that_lost_its_folder_ends_with_all_its_ranks(flags: Flags, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with started(flags(output, **LONG)) as process:
        wait_for_step(process, output, 15)
        (rank_0,) = children(process.pid)
        (follower,) = children(rank_0)
        taken = {"holder": "pod-2 (process 1)", "renewals": 1, "released": False, "generation": 1}
        (output / "leases" / "2.json").write_text(json.dumps(taken))
        before = time.monotonic()
        finish(process, contract.EXIT_INTERRUPTED)
    assert time.monotonic() - before < PROMPTLY
    assert not is_running(rank_0)
    assert not is_running(follower)
    outcome = outcome_of(output)
    assert outcome["class"] == "Interrupted"
    assert "pod-2 (process 1) has taken it" in outcome["message"]
    assert json.loads((output / "leases" / "2.json").read_text()) == taken


def test_a_loss_that_is_no_number_is_a_wrong_flag(flags: Flags, tmp_path: Path) -> None:
    output, weights = tmp_path / "output", small_bert.random_weights()
    weights["bert/pooler/dense/bias"][0] = np.nan
    with mock.patch.object(small_bert, "random_weights", return_value=weights):
        model = small_bert.write_model(tmp_path)
    with started(flags(output, model_path=model)) as process:
        finish(process, contract.EXIT_BAD_CONFIG)
    assert "--learning_rate=0.001: the loss is not a number" in outcome_of(output)["message"]
