"""A step in lots on a card: packed rows, static shapes, a loss scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from bert_trainer import __main__ as entry
from bert_trainer.layouts.packed import PackedLayout
from bert_trainer.reporting.stop import StopRequest
from support.trainer import small_task
from support.trainer.outputs import assert_same_numbers
from support.trainer.two_cards import Flags


@pytest.fixture
def run(flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Runs the trainer on one card without dropout and returns the output folder."""
    monkeypatch.setenv("ASCEND_SIM_DROPOUT", "off")
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)

    def run(name: str, **changes: Any) -> Path:
        assert entry.main(small_task.arguments(flags(tmp_path / name, devices=1, **changes))) == 0
        return tmp_path / name

    return run


def test_lots_change_no_number(run: Callable[..., Path], flags: Flags, tmp_path: Path) -> None:
    """With this seed some batches are not full; none of them has a row for each of eight lots."""
    lengths = small_task.lengths(flags(tmp_path))
    layouts = [PackedLayout(lengths, 8, small_task.WIDTH, lots) for lots in (2, 8)]
    assert [layout.lots for layout in layouts] == [2, layouts[0].shape.rows]
    assert layouts[0].shape.rows < 8
    whole = run("whole", seed=23)
    for lots in (2, 8):
        assert_same_numbers(run(str(lots), seed=23, gradient_accumulation_steps=lots), whole, rtol=1e-5)


# Scales are powers of 2, so they change no number.
@pytest.mark.parametrize("loss_scale", [0, 1024])
def test_a_loss_scale_reaches_every_lot(run: Callable[..., Path], loss_scale: int) -> None:
    in_lots = run("lots", loss_scale=loss_scale, gradient_accumulation_steps=4, num_train_epochs=1.0)
    whole = run("whole", loss_scale=loss_scale, num_train_epochs=1.0)
    assert_same_numbers(in_lots, whole, rtol=1e-5)
