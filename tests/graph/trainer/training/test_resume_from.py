"""--resume_from: a run goes on from another run's newest whole checkpoint, and only reads that run's folder."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from bert_trainer import __main__ as entry
from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.errors import InterruptedRunError
from bert_trainer.output import lease
from bert_trainer.reporting.stop import StopRequest
from bert_trainer.training import run
from support.trainer import small_task
from support.trainer.outputs import curves_of, last_step, result_of, weights

Arguments = Callable[..., List[str]]
EVERY_3 = {"save_checkpoints_steps": 3}
SAME = (*contract.SCORE_KEYS, "evalLoss", "steps", "checkpoint", "collapsed", "evaluations")


@pytest.fixture(autouse=True)
def _own_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves pytest's signal handlers alone."""
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)


class StopAtSeven(StopRequest):
    """A stop request that arrives during the seventh step."""

    def __init__(self, output: Path) -> None:
        self._output = output

    @property
    def signal(self) -> str:
        return "SIGTERM" if last_step(self._output) >= 7 else ""


def trained(config: Config, stop: StopRequest) -> Dict[str, Any]:
    return run.run(config, stop, started=time.monotonic())


@pytest.fixture(scope="module")
def make(model_folder: Path, data_folder: Path) -> Callable[..., Config]:
    return lambda output, **flags: Config(**small_task.flags(model_folder, data_folder, output, **flags))


@pytest.fixture(scope="module")
def whole(make: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run that nothing happened to."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    trained(make(output, **EVERY_3), StopRequest())
    return output


@pytest.fixture(scope="module")
def partly(make: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run that was stopped after seven of its ten steps."""
    output = tmp_path_factory.mktemp("runs") / "partly"
    with pytest.raises(InterruptedRunError):
        trained(make(output, **EVERY_3), StopAtSeven(output))
    return output


@pytest.fixture
def earlier(partly: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(str(partly), str(tmp_path / "earlier")))


def state(folder: Path) -> Dict[Path, Any]:
    """Returns what a folder holds, and what shows that a file was written or has got another name."""
    files = [(path, path.stat()) for path in sorted(folder.rglob("*"))]
    return {path: (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_nlink, stat.st_size) for path, stat in files}


def assert_same_run(output: Path, whole: Path) -> None:
    ours, expected = weights(output), weights(whole)
    assert set(ours) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)
    assert {key: result_of(output)[key] for key in SAME} == {key: result_of(whole)[key] for key in SAME}
    assert (output / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()


def seconds_in_steps(folder: Path) -> float:
    """As recorded, and not rounded as in the result: these steps take milliseconds."""
    return json.loads((folder / "times.json").read_text())["phases"]["steps"]


def test_with_the_same_settings_it_is_the_uninterrupted_run(
    make: Callable[..., Config], tmp_path: Path, earlier: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before, output = state(earlier), tmp_path / "output"
    with caplog.at_level("INFO"):
        trained(make(output, resume_from=str(earlier), run_id="another", **EVERY_3), StopRequest())
    assert state(earlier) == before
    assert f"resuming from model.ckpt-7 of {earlier}" in caplog.text
    assert_same_run(output, whole)
    assert seconds_in_steps(output) > seconds_in_steps(earlier)
    assert [step for step, _ in curves_of(output)["train/loss"]] == [8, 9, 10]


def test_its_own_checkpoints_come_first(
    make: Callable[..., Config], tmp_path: Path, earlier: Path, whole: Path
) -> None:
    output = tmp_path / "output"
    config = make(output, resume_from=str(earlier), **EVERY_3)
    with pytest.raises(InterruptedRunError, match=f"{output}/model.ckpt-7 saved"):
        trained(config, StopAtSeven(output))
    shutil.rmtree(str(earlier))
    trained(config, StopRequest())
    assert_same_run(output, whole)


def test_more_epochs(make: Callable[..., Config], tmp_path: Path, whole: Path) -> None:
    before, output = state(whole), tmp_path / "output"
    outcome = trained(make(output, resume_from=str(whole), num_train_epochs=3.0, **EVERY_3), StopRequest())
    assert state(whole) == before
    assert outcome["steps"] == 15
    assert [evaluation["step"] for evaluation in outcome["evaluations"]] == [5, 10, 15]
    assert outcome["evaluations"][:2] == result_of(whole)["evaluations"]
    rates = curves_of(output)["train/learning_rate"]
    assert [step for step, _ in rates] == [11, 12, 13, 14, 15]
    # The schedule is the new run's: from the peak of 1e-3 linearly to 0 in 15 steps.
    assert [rate for _, rate in rates] == pytest.approx([1e-3 * left / 15 for left in (5, 4, 3, 2, 1)], rel=1e-5)


def test_no_step_is_left(make: Callable[..., Config], tmp_path: Path, whole: Path) -> None:
    """Such a run does what the other one was not asked for."""
    output = tmp_path / "output"
    trained(make(output, resume_from=str(whole), export_saved_model=True, **EVERY_3), StopRequest())
    assert_same_run(output, whole)
    assert (output / "saved_model" / "1" / "saved_model.pb").exists()


def test_a_later_generation(make: Callable[..., Config], tmp_path: Path, earlier: Path, whole: Path) -> None:
    with lease.held(earlier, StopRequest()) as held:
        held.begin_generation()
    (earlier / "generation-2").mkdir()
    for path in earlier.glob("*.*"):
        path.rename(earlier / "generation-2" / path.name)
    output = tmp_path / "output"
    trained(make(output, resume_from=str(earlier), **EVERY_3), StopRequest())
    assert_same_run(output, whole)


def test_a_damaged_checkpoint_costs_its_steps(
    make: Callable[..., Config], tmp_path: Path, earlier: Path, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (earlier / "model.ckpt-7.data-00000-of-00001").write_bytes(b"half of it")
    output = tmp_path / "output"
    trained(make(output, resume_from=str(earlier), **EVERY_3), StopRequest())
    assert "model.ckpt-7: damaged" in caplog.text
    assert_same_run(output, whole)


def described(earlier: Path, part: str, **changes: Any) -> None:
    path = earlier / "run.json"
    run = json.loads(path.read_text())
    run[part].update(changes)
    path.write_text(json.dumps(run))


def damaged(earlier: Path) -> None:
    for path in earlier.glob("model.ckpt-*.index"):
        path.write_bytes(b"")


REFUSED: Dict[str, Any] = {
    "no folder": (lambda earlier: shutil.rmtree(str(earlier)), "no such folder; pass the output folder of the run"),
    "no run": (lambda earlier: (earlier / "run.json").unlink(), "holds no run, as there is no run.json; pass"),
    "no whole checkpoint": (damaged, "holds no whole checkpoint; start without it"),
    "another task": (lambda earlier: described(earlier, "config", task_name="RTE"), "task_name was 'RTE', is 'MRPC'"),
    "another model": (
        lambda earlier: described(earlier, "model", **{"bert_model.ckpt.index": "ab"}),
        "bert_model.ckpt.index was 'ab', is '",
    ),
    "other data": (lambda earlier: described(earlier, "data", **{"train.tsv": "ab"}), "train.tsv was 'ab', is '"),
    "another batch": (
        lambda earlier: described(earlier, "config", train_batch_size=16),
        "pairs in a step was 16, is 8",
    ),
    "another case": (
        lambda earlier: described(earlier, "config", do_lower_case=False),
        "do_lower_case was False, is ",
    ),
    "more cards": (lambda earlier: described(earlier, "config", devices=2), "pairs in a step was 16, is 8"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(make_arguments: Arguments, tmp_path: Path, earlier: Path, kind: str) -> None:
    change, message = REFUSED[kind]
    change(earlier)
    before, log = state(earlier), tmp_path / "log"
    assert entry.main(make_arguments(resume_from=earlier, termination_log=log)) == contract.EXIT_BAD_CONFIG
    outcome = json.loads(log.read_text())
    assert re.search(f"^--resume_from={earlier}: .*{re.escape(message)}", outcome["message"])
    assert state(earlier) == before
    assert not list((tmp_path / "output").glob("model.ckpt-*"))


def test_an_output_folder_of_another_run_is_left_as_it_is(
    make_arguments: Arguments, tmp_path: Path, earlier: Path
) -> None:
    output, log = tmp_path / "output", tmp_path / "log"
    shutil.copytree(str(earlier), str(output))
    before = state(output)
    arguments = make_arguments(learning_rate=0.5, termination_log=log)
    assert entry.main(arguments) == contract.EXIT_BAD_CONFIG
    assert "belongs to another run" in json.loads(log.read_text())["message"]
    assert state(output) == before


def test_fewer_steps_than_were_taken(make_arguments: Arguments, tmp_path: Path, whole: Path) -> None:
    log = tmp_path / "log"
    arguments = make_arguments(resume_from=whole, num_train_epochs=1.0, termination_log=log)
    assert entry.main(arguments) == contract.EXIT_BAD_CONFIG
    message = "has taken 10 steps, this run takes 5 in all; pass a larger --num_train_epochs"
    assert message in json.loads(log.read_text())["message"]


def test_a_wrong_folder_can_be_corrected_by_hand(
    make_arguments: Arguments, tmp_path: Path, earlier: Path, whole: Path
) -> None:
    assert entry.main(make_arguments(resume_from=tmp_path / "none", **EVERY_3)) == contract.EXIT_BAD_CONFIG
    assert entry.main(make_arguments(resume_from=earlier, **EVERY_3)) == 0
    assert_same_run(tmp_path / "output", whole)


def test_the_folder_of_a_run_of_0_2_0(make: Callable[..., Config], tmp_path: Path, earlier: Path, whole: Path) -> None:
    """It has no leases, and its run.json lacks the flags that came later."""
    shutil.rmtree(str(earlier / "leases"))
    run = json.loads((earlier / "run.json").read_text())
    for name in ("resume_from", *contract.LATER_FLAGS):
        run["config"].pop(name, None)
    (earlier / "run.json").write_text(json.dumps(run))
    output = tmp_path / "output"
    trained(make(output, resume_from=str(earlier), **EVERY_3), StopRequest())
    assert_same_run(output, whole)
