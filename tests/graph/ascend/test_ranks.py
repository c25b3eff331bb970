"""A run on two simulated cards has the numbers of one card, and resumes after a stop and after a fault."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.devices.npu import NpuDevice
from bert_trainer.devices.rank_table import rank_table
from bert_trainer.layouts import packed
from bert_trainer.layouts.packed import PackedLayout, Placement, Shape
from bert_trainer.processes import parent
from bert_trainer.reporting.stop import StopRequest
from support.trainer import small_task
from support.trainer.outputs import assert_same_numbers, weights
from support.trainer.two_cards import (
    LONG,
    PROMPTLY,
    Flags,
    finish,
    is_running,
    others,
    outcome_of,
    started,
    wait_for_step,
)


class BothBatches(PackedLayout):
    """Batches of one card that hold what two cards have in a step: their two batches, one below the other."""

    def __init__(self, lengths: Any, slots: int, width: int) -> None:
        super().__init__(lengths, slots // 2, width)
        self._one = self.shape
        self.shape = self._lot = Shape(slots, 2 * self._one.rows, width)

    def pack(self, order: Any) -> Any:
        one = PackedLayout.__new__(PackedLayout)
        one.shape, one._lengths = self._one, self._lengths
        batches = one.pack(order)
        for first, second in zip(batches, batches):
            below = [Placement(pair, row + self._one.rows, offset) for pair, row, offset in second]
            yield [*first, *below]


def counts(seed: int, flags: dict[str, Any]) -> list[int]:
    """Returns how many pairs each card has in each step."""
    lengths = small_task.lengths(flags)
    batches = PackedLayout(lengths, 8, small_task.WIDTH).pack(packed.shuffled(len(lengths), seed))
    return [len(batch) for _, batch in zip(range(10), batches)]


# With seed 4 every batch is full; with seed 23 some pairs wait for the next one, so the cards have not equally many.
@pytest.mark.parametrize(("seed", "full"), [(4, True), (23, False)])
def test_two_cards_are_one_card_with_the_batch_of_both(
    flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, full: bool
) -> None:
    output, reference = tmp_path / "two", tmp_path / "one"
    one_card = flags(reference, train_batch_size=16, devices=1, seed=seed)
    monkeypatch.setattr(parent, "is_needed", lambda _config: False)
    assert (set(counts(seed, one_card)) == {8}) == full
    monkeypatch.setenv("ASCEND_SIM_DROPOUT", "off")
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)
    layout = lambda _self, lengths, slots, width, _lots=1: (BothBatches if slots == 16 else PackedLayout)(  # noqa: E731
        lengths, slots, width
    )
    with contextlib.nullcontext() if full else mock.patch.object(NpuDevice, "layout", layout):
        assert entry.main(small_task.arguments(one_card)) == 0
    with started(flags(output, seed=seed)) as process:
        log = finish(process, 0)
    assert_same_numbers(output, reference, rtol=1e-5)
    outcome = outcome_of(output)
    assert [outcome[key] for key in ("steps", "trainExamples", "backend")] == [5, 40, "npu-simulated"]
    pairs = 16.0 if full else sum(counts(seed, one_card)[4:]) / 3  # in the steps that are timed
    assert outcome["examplesPerSecond"] == pytest.approx(1000 * pairs / outcome["msPerStep"], rel=0.01)
    assert [line for line in log.splitlines() if line.startswith("rank 1: ") and "device 1 is card 5" in line]
    assert files(output) == files(reference)


@pytest.mark.parametrize("lots", [2, 8])
def test_lots_change_no_number_of_two_cards(flags: Flags, tmp_path: Path, lots: int) -> None:
    whole, in_lots = tmp_path / "whole", tmp_path / "lots"
    with started(flags(whole, seed=23)) as process:  # the cards and their lots have not equally many pairs
        finish(process, 0)
    with started(flags(in_lots, seed=23, gradient_accumulation_steps=lots)) as process:
        finish(process, 0)
    assert_same_numbers(in_lots, whole, rtol=1e-5)


def files(output: Path) -> list[str]:
    """Returns what a folder holds; an event file's name says only that it is one."""
    return sorted(path.name.split(".")[0] if path.name.startswith("events") else path.name for path in output.iterdir())


@pytest.fixture(scope="session")
def whole(flags: Flags, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run of two cards that nothing happened to."""
    output = tmp_path_factory.mktemp("ranks") / "whole"
    outside = {"HOME": str(output.parent), "ASCEND_SIM_SHUTDOWN": "0"}  # of what each test has
    with started(flags(output, **LONG), **outside) as process:
        finish(process, 0)
    return output


def assert_resumes(flags: dict[str, Any], output: Path, whole: Path) -> None:
    with started(flags) as process:
        finish(process, 0)
    assert_same_numbers(output, whole)


def test_sigterm_saves_a_checkpoint_ends_all_ranks_and_the_next_start_resumes(
    flags: Flags, tmp_path: Path, whole: Path
) -> None:
    output = tmp_path / "output"
    table = tmp_path / "given.json"
    table.write_text(json.dumps(rank_table([5, 4], {}, "10.0.0.1")))
    with started(flags(output, **LONG), RANK_TABLE_FILE=str(table)) as process:
        wait_for_step(process, output, 15)
        followers = others(process)
        for pid in [*followers, process.pid]:  # to all of them, as a terminal does
            os.kill(pid, signal.SIGTERM)
        finish(process, contract.EXIT_INTERRUPTED)
    assert len(followers) == 1
    assert not any(map(is_running, followers))
    saved = weights(output)["global_step"]
    assert 15 <= saved < 100
    assert f"model.ckpt-{saved} saved" in outcome_of(output)["message"]
    assert_resumes(flags(output, **LONG), output, whole)


def test_a_fault_of_another_card_ends_the_run_with_its_class(flags: Flags, tmp_path: Path, whole: Path) -> None:
    output = tmp_path / "output"
    with started(flags(output, **LONG), ASCEND_SIM_FAULT="26:1") as process:
        wait_for_step(process, output, 25)
        before = time.monotonic()
        log = finish(process, contract.EXIT_DEVICE_FAULT)
    assert time.monotonic() - before < PROMPTLY
    assert outcome_of(output)["class"] == "DeviceFault"
    assert outcome_of(output)["message"] == json.loads((output / "result.json").read_text())["message"]
    message = "rank 1 on card 5: --device=npu: GeOp1_0GEOP::::DoRunAsync Failed - simulated device fault (26) (ended by"
    assert outcome_of(output)["message"].startswith(message)
    assert message in log
    assert weights(output)["global_step"] == 20
    assert_resumes(flags(output, **LONG), output, whole)


def test_a_fault_of_rank_0_s_card_ends_all_ranks(flags: Flags, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with started(flags(output, **LONG), ASCEND_SIM_FAULT="26:0") as process:
        wait_for_step(process, output, 15)
        followers = others(process)
        finish(process, contract.EXIT_DEVICE_FAULT)
    assert len(followers) == 1
    assert not any(map(is_running, followers))
    assert outcome_of(output)["class"] == "DeviceFault"
    assert weights(output)["global_step"] == 20


def test_what_a_pod_s_environment_means_to_the_adapter_stays_away(flags: Flags, tmp_path: Path) -> None:
    """POD_NAME beside a rank table is another mode of the adapter's; the whitelist of HCCL is on by default."""
    output = tmp_path / "output"
    with started(flags(output), POD_NAME="minimal-abcde") as process:
        finish(process, 0)
