"""The device of one of several cards: what it refuses, and what another rank than the first does not do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import tensorflow.compat.v1 as tf

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.devices.by_name import open_device
from bert_trainer.devices.npu import NpuDevice
from bert_trainer.devices.rank_table import rank_table
from bert_trainer.errors import BadConfigError
from bert_trainer.processes import child
from bert_trainer.training import run
from npu_bridge.estimator import npu_ops
from npu_bridge.estimator.npu import npu_config, npu_loss_scale_optimizer
from support.trainer import small_task
from support.trainer.two_cards import Flags


def test_the_other_number_of_cards_is_a_wrong_flag(
    flags: Flags,
    tmp_path: Path,
    in_this_process: None,  # noqa: ARG001
) -> None:
    assert entry.main(small_task.arguments(flags(tmp_path / "output"))) == contract.EXIT_BAD_CONFIG
    assert json.loads((tmp_path / "output.log").read_text())["message"] == (
        "--devices=2: ASCEND_VISIBLE_DEVICES='4' names 1 card(s); give the process as many cards, or pass --devices=1"
    )
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("devices", "visible", "message"),
    [
        (2, "", "--devices=2: ASCEND_VISIBLE_DEVICES='' names 0 card(s); give the process as many cards, or pass --d"),
        (2, "0,1,2,3", "names 4 card(s); give the process as many cards, or pass --devices=4"),
        (4, "4,4,5,6", "--devices=4: ASCEND_VISIBLE_DEVICES='4,4,5,6': a card is named twice; correct it"),
        (2, "all", "--devices=2: ASCEND_VISIBLE_DEVICES='all': 'all' is not a card's number"),
    ],
)
def test_cards_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, devices: int, visible: str, message: str) -> None:
    monkeypatch.setenv("ASCEND_VISIBLE_DEVICES", visible)
    with pytest.raises(BadConfigError) as refused:
        open_device("npu", devices)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(rank_table([4, 6], {}, "10.0.0.1")), "names card(s) [4, 6], and this process sees [4, 5]"),
        (None, "No such file"),
        ("{", "Expecting property name"),
        (json.dumps(dict(rank_table([4, 5], {}, "10.0.0.1"), status="initializing")), "not a completed rank table"),
        (json.dumps(rank_table([4, 5, 6, 7], {}, "10.0.0.1")), "names 4 card(s)"),
    ],
)
def test_a_rank_table_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, message: str
) -> None:
    monkeypatch.setenv("ASCEND_VISIBLE_DEVICES", "4,5")
    table = tmp_path / "hccl.json"
    if text is not None:
        table.write_text(text)
    monkeypatch.setenv("RANK_TABLE_FILE", str(table))
    with pytest.raises(BadConfigError) as refused:
        open_device("npu", 2)
    assert str(refused.value).startswith(f"--devices=2: RANK_TABLE_FILE={str(table)!r}")
    assert message in str(refused.value)


@pytest.fixture
def rank_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> NpuDevice:
    """The device of the second of two ranks."""
    table = tmp_path / "rank_table.json"
    table.write_text(json.dumps(rank_table([4, 5], {}, "10.0.0.1")))
    two = {"ASCEND_VISIBLE_DEVICES": "4,5", "RANK_TABLE_FILE": str(table), "RANK_SIZE": "2", "RANK_ID": "1"}
    for name, value in {**two, "DEVICE_ID": "1", child.STARTER: str(os.getppid())}.items():
        monkeypatch.setenv(name, value)
    return NpuDevice(2)


def model_fn(features: Any, labels: Any, mode: str) -> Any:
    raise NotImplementedError


def test_another_rank_keeps_no_checkpoints(rank_1: NpuDevice, flags: Flags, tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    real = npu_config.NPURunConfig
    with mock.patch.object(npu_config, "NPURunConfig", side_effect=lambda **kw: given.update(kw) or real(**kw)):
        rank_1.estimator(model_fn, Config(**flags(tmp_path / "output")))
    assert given["save_checkpoints_steps"] == 0


def test_a_loss_that_is_no_number_is_a_wrong_flag_on_another_rank_too(
    rank_1: NpuDevice,  # noqa: ARG001
    flags: Flags,
    tmp_path: Path,
) -> None:
    """It may end before rank 0, which perhaps evaluates first."""
    no_number = tf.train.NanLossDuringTrainingError
    with mock.patch.object(run, "_take_steps", side_effect=no_number), pytest.raises(BadConfigError, match="smaller"):
        run.follow(Config(**flags(tmp_path / "output")))


def test_each_rank_drops_other_units(rank_1: NpuDevice) -> None:
    with tf.Graph().as_default(), mock.patch.object(npu_ops, "dropout", wraps=npu_ops.dropout) as dropout:
        rank_1.operations(tf.constant(0), 5, training=True).dropout(tf.ones([8]), 0.1)
    assert dropout.call_args[1] == {"seed": 1001}


def test_the_loss_scale_is_that_of_all_ranks(rank_1: NpuDevice) -> None:
    with mock.patch.object(npu_loss_scale_optimizer, "NPULossScaleOptimizer") as scaling:
        rank_1.distribute(tf.train.GradientDescentOptimizer(0.1), 1024)
    assert scaling.call_args[1] == {"is_distributed": True}
