"""Every flag: its name, its default, its range, and what is said when it is wrong."""

import dataclasses
from typing import Any, List

import pytest

from bert_trainer import contract
from bert_trainer.config import Config, parse
from bert_trainer.errors import BadConfigError

NEEDED = ["--data_path=d", "--model_path=m", "--output_dir=o"]


def test_flags_are_the_contract_s() -> None:
    assert tuple(field.name for field in dataclasses.fields(Config)) == contract.FLAGS


def test_defaults_are_the_reference_s() -> None:
    config = parse(NEEDED)
    assert (config.task_name, config.train_batch_size, config.learning_rate, config.num_train_epochs) == (
        "MRPC",
        32,
        2e-5,
        3.0,
    )
    assert (config.max_seq_length, config.warmup_proportion, config.optimizer) == (128, 0.1, "AdamWeightDecay")


def test_both_spellings_of_a_value() -> None:
    assert parse([*NEEDED, "--seed=7"]) == parse([*NEEDED, "--seed", "7"])


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("task_name", contract.TASKS, ["mrpc", "SST", ""]),
        ("data_path", ["x"], [""]),
        ("model_path", ["x"], [""]),
        ("output_dir", ["x"], [""]),
        ("train_batch_size", [1, 1024], [0, 1025, -1, "3.5"]),
        ("eval_batch_size", [1, 1024], [0, 1025]),
        ("gradient_accumulation_steps", [1, 32], [0, 1025]),
        ("learning_rate", [1e-9, 1], [0, 1.01, -1e-5, "nan", "inf", "fast"]),
        ("num_train_epochs", [0.001, 100], [0, 100.5, "nan"]),
        ("model_name", contract.MODEL_NAMES, ["bert-base-cased"]),
        ("do_lower_case", ["", "true", "false"], ["True", "1", "yes"]),
        ("max_seq_length", [8, 512], [7, 513]),
        ("warmup_proportion", [0, 0.99], [1, -0.1, "nan"]),
        ("seed", [0, 2**31 - 1], [-1, 2**31]),
        ("optimizer", contract.OPTIMIZERS, ["Adam"]),
        ("reinit_layers", [0, 48], [-1, 49]),
        ("precision_mode", contract.PRECISION_MODES, ["fp16"]),
        ("save_checkpoints_steps", [1], [0]),
        ("keep_checkpoint_max", [1], [0]),
        ("export_saved_model", [], ["True", "1", "", "yes"]),
        ("device", contract.DEVICES, ["gpu"]),
        ("devices", [1], [0, 3, 16, "two"]),
        ("run_id", ["", "0f"], []),
        ("metrics_port", [0, 65535], [-1, 65536]),
        ("termination_log", ["", "/dev/termination-log"], []),
    ],
)
def test_ranges(name: str, allowed: List[Any], refused: List[Any]) -> None:
    for value in allowed:
        assert str(getattr(parse([*NEEDED, f"--{name}={value}"]), name)) in (
            str(value),
            str(float(value or 0)) if not isinstance(value, str) else "",
        )
    for value in refused:
        with pytest.raises(BadConfigError, match=f"--{name}.*{value}"):
            parse([*NEEDED, f"--{name}={value}"])


def test_a_flag_that_is_true_or_false() -> None:
    assert [parse([*NEEDED, f"--export_saved_model={text}"]).export_saved_model for text in ("true", "false")] == [
        True,
        False,
    ]


def test_several_devices_are_cards() -> None:
    for devices in contract.DEVICE_COUNTS:
        config = parse([*NEEDED, "--device=npu", f"--devices={devices}"])
        assert (config.devices, config.step_examples) == (devices, 32 * devices)
    with pytest.raises(BadConfigError, match="--devices=2: there are several cards with --device=npu only"):
        parse([*NEEDED, "--devices=2"])


def test_lots_are_equal() -> None:
    assert parse([*NEEDED, "--train_batch_size=12", "--gradient_accumulation_steps=4"]).step_examples == 12
    message = "--gradient_accumulation_steps=8: must divide --train_batch_size=12; pass one of its divisors"
    with pytest.raises(BadConfigError, match=message):
        parse([*NEEDED, "--train_batch_size=12", "--gradient_accumulation_steps=8"])


def test_flags_that_older_images_lack_have_the_default_that_the_operator_leaves_out() -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(Config)}
    assert {flag: defaults[flag] for flag in contract.LATER_FLAGS} == contract.LATER_FLAGS


def test_a_missing_flag_is_named() -> None:
    with pytest.raises(BadConfigError, match="--model_path=: must be given"):
        parse(["--data_path=d", "--output_dir=o"])


@pytest.mark.parametrize("argument", ["--train_batch=8", "stray", "--nproc=8"])
def test_unknown_arguments(argument: str) -> None:
    with pytest.raises(BadConfigError, match=argument + ".*--help"):
        parse([*NEEDED, argument])


def test_help_names_every_flag_with_its_default(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as left:
        parse(["--help"])
    assert left.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(Config):
        assert "--" + field.name in text
        assert f"(default: {field.default!r})" in text
