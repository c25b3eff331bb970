"""The output folder belongs to one run and keeps its result."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any, Dict

import pytest

from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.errors import BadConfigError, BadDataError, StorageError
from bert_trainer.output.folder import INCIDENTAL_FLAGS, RunFolder

Run = Dict[str, Dict[str, Any]]
RUN: Run = {
    "config": {
        "seed": 1,
        "run_id": "uid",
        "data_path": "/data",
        "model_path": "m",
        "output_dir": "o",
        "metrics_port": 0,
        "termination_log": "",
    },
    "data": {"train.tsv": "ab"},
    "model": {"vocab.txt": "cd"},
    "versions": {"tensorflow": "1.15.0"},
}
SUCCESS = {"outcome": "Succeeded", "accuracy": 0.8}


def changed(part: str, key: str, value: Any) -> Run:
    run = copy.deepcopy(RUN)
    run[part][key] = value
    return run


def test_a_new_folder_is_made_and_described(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "b")
    assert folder.claim(RUN) is None
    assert json.loads((folder.path / "run.json").read_text()) == RUN
    assert folder.claim(RUN) is None


@pytest.mark.parametrize(
    ("part", "key", "message"),
    [
        ("config", "seed", "seed was 1, is 'x'"),
        ("data", "train.tsv", "train.tsv was 'ab'"),
        ("model", "vocab.txt", "vocab.txt was"),
        ("config", "run_id", "run_id"),
    ],
)
def test_another_run_s_folder_is_refused(tmp_path: Path, part: str, key: str, message: str) -> None:
    RunFolder(tmp_path).claim(RUN)
    with pytest.raises(BadConfigError, match=f"belongs to another run .*{message}.*choose another --output_dir"):
        RunFolder(tmp_path).claim(changed(part, key, "x"))


@pytest.mark.parametrize("key", INCIDENTAL_FLAGS)
def test_where_things_are_mounted_does_not_matter(tmp_path: Path, key: str) -> None:
    RunFolder(tmp_path).claim(RUN)
    assert RunFolder(tmp_path).claim(changed("config", key, "elsewhere")) is None


def test_versions_are_recorded_but_not_compared(tmp_path: Path) -> None:
    RunFolder(tmp_path).claim(RUN)
    assert RunFolder(tmp_path).claim(changed("versions", "tensorflow", "1.15.5")) is None
    assert json.loads((tmp_path / "run.json").read_text()) == RUN


@pytest.mark.parametrize(("flag", "other"), [("devices", 2), ("do_lower_case", "false")])
def test_a_folder_of_a_trainer_without_a_flag_belongs_to_a_run_with_its_default(
    tmp_path: Path, flag: str, other: Any
) -> None:
    RunFolder(tmp_path).claim(RUN)
    assert RunFolder(tmp_path).claim(changed("config", flag, contract.LATER_FLAGS[flag])) is None
    with pytest.raises(BadConfigError, match=f"{flag} was {contract.LATER_FLAGS[flag]!r}, is {other!r}"):
        RunFolder(tmp_path).claim(changed("config", flag, other))


def test_a_folder_of_0_2_0_is_gone_on_with(tmp_path: Path) -> None:
    """The flags of its run.json, and those of a start today."""
    later = ("gradient_accumulation_steps", "do_lower_case")
    config = dataclasses.asdict(Config(data_path="/data", model_path="m", output_dir="o", train_batch_size=16))
    before: Run = {**RUN, "config": {name: value for name, value in config.items() if name not in later}}
    RunFolder(tmp_path).claim(before)
    assert RunFolder(tmp_path).claim({**RUN, "config": {**config, "gradient_accumulation_steps": 4}}) is None


def test_a_finished_run_gives_its_result_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.claim(RUN)
    folder.record(SUCCESS)
    assert RunFolder(tmp_path).claim(RUN) == SUCCESS


def test_a_finished_run_by_hand_is_refused(tmp_path: Path) -> None:
    run = changed("config", "run_id", "")
    folder = RunFolder(tmp_path)
    folder.claim(run)
    folder.record(SUCCESS)
    with pytest.raises(
        BadConfigError, match=r"already finished, its result is in result.json; choose another --output_dir"
    ):
        RunFolder(tmp_path).claim(run)


def test_a_failed_run_may_start_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.claim(RUN)
    with pytest.raises(BadDataError), folder.recorded_failure():
        raise BadDataError("line 7")
    assert json.loads((tmp_path / "result.json").read_text()) == {
        "outcome": "Failed",
        "class": "BadData",
        "message": "line 7",
    }
    assert RunFolder(tmp_path).claim(RUN) is None


def test_checkpoints_of_unknown_origin_are_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("")
    with pytest.raises(BadConfigError, match=r"holds checkpoints but no run.json; choose another"):
        RunFolder(tmp_path).claim(RUN)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("name", ["run.json", "result.json"])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    RunFolder(tmp_path).claim(RUN)
    (tmp_path / name).write_text("{")
    with pytest.raises(StorageError, match=name + ": not JSON"):
        RunFolder(tmp_path).claim(RUN)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"run.json: (Not a directory|File exists); make the output folder writable"):
        RunFolder(tmp_path / "file").claim(RUN)
    with pytest.raises(StorageError, match=r"vocab.txt: "):
        RunFolder(tmp_path).copy(tmp_path / "missing" / "vocab.txt")
