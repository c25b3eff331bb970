"""The outcome's forms: the line for the operator, the lines for a person."""

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bert_trainer import contract, errors
from bert_trainer.errors import TrainerError
from bert_trainer.output.outcome import failure, final_block, to_line, write_termination_log
from bert_trainer.processes.child import ChildError


@pytest.mark.parametrize("error", TrainerError.__subclasses__())
def test_every_anticipated_failure_has_a_class_of_the_contract(error: "type[TrainerError]") -> None:
    outcome = failure(error("what is wrong"))
    assert tuple(outcome) == contract.FAILURE_KEYS
    assert outcome == {"outcome": "Failed", "class": contract.EXIT_CLASSES[error.exit_code], "message": "what is wrong"}


def test_the_classes_cover_the_contract() -> None:
    codes = {error.exit_code for error in [TrainerError, *TrainerError.__subclasses__()]}
    assert codes == set(contract.EXIT_CLASSES) - {contract.EXIT_OK}


@pytest.mark.parametrize(
    ("code", "failure_class"), [(69, "DeviceFault"), (64, "BadConfig"), (137, "Unknown"), (1, "Unknown")]
)
def test_the_end_of_another_rank_has_that_rank_s_class(code: int, failure_class: str) -> None:
    assert failure(ChildError("rank 1", code))["class"] == failure_class


def test_a_bug_is_unknown() -> None:
    assert failure(KeyError("x")) == {"outcome": "Failed", "class": "Unknown", "message": "KeyError: 'x'"}


@given(st.text(min_size=1, max_size=20), st.sampled_from([1, 10, 1000]))
def test_the_line_fits_and_keeps_both_ends(text: str, repeated: int) -> None:
    message = "begin " + text * repeated + " end"
    line = to_line(failure(errors.BadDataError(message)))
    assert len(line.encode()) <= contract.MAX_RESULT_BYTES
    assert "\n" not in line
    kept = json.loads(line)["message"]
    assert kept.startswith("begin ")
    assert kept.endswith(" end")
    assert kept == message or len(json.dumps(message)) > contract.MAX_RESULT_BYTES - 100


def success(evaluations: int) -> Dict[str, Any]:
    outcome: Dict[str, Any] = dict.fromkeys(contract.RESULT_KEYS, 0.1234567)
    evaluation = {"epoch": 1.0, "step": 343, "accuracy": 0.1234567, "loss": 0.1, "collapseReason": "x" * 80}
    outcome.update(outcome="Succeeded", config={"seed": 1}, versions={"python": "3.7"})
    return dict(outcome, evaluations=[dict(evaluation, step=step) for step in range(evaluations)])


@pytest.mark.parametrize("evaluations", [1, 100])
def test_a_success_says_what_the_contract_says_and_loses_its_oldest_evaluations(evaluations: int) -> None:
    outcome = success(evaluations)
    line = to_line(outcome)
    assert len(line.encode()) <= contract.MAX_RESULT_BYTES
    kept = json.loads(line)
    assert tuple(kept) == contract.RESULT_KEYS
    assert kept["evaluations"] == outcome["evaluations"][-len(kept["evaluations"]) :]
    assert len(kept["evaluations"]) >= min(evaluations, 10)


def test_termination_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outcome = failure(errors.StorageError("full"))
    write_termination_log(outcome, str(tmp_path / "log"))
    assert json.loads((tmp_path / "log").read_text()) == outcome
    write_termination_log(outcome, "")
    assert not caplog.records
    write_termination_log(outcome, str(tmp_path / "missing" / "log"))
    assert "--termination_log={}".format(tmp_path / "missing" / "log") in caplog.text


def test_final_block_is_the_reference_s() -> None:
    outcome = {"accuracy": 0.8504902, "msPerStep": 83.29, "durationSeconds": 476, "collapsed": False}
    lines = [
        "---------Final Result--------",
        "Final Precision Accuracy : 0.8504902",
        "Final Performance ms/step : 83.29",
        "Final Training Duration sec : 476",
    ]
    assert final_block(outcome).splitlines() == lines
    assert "ms/step : -\n" in final_block(dict(outcome, msPerStep=None))
    assert "Accuracy : -\n" in final_block(dict(outcome, accuracy=None))  # a score is no class
    collapsed = dict(outcome, collapsed=True, collapseReason="all 408 predictions are 1")
    assert final_block(collapsed).splitlines() == [
        "This run has collapsed: all 408 predictions are 1",
        *lines,
    ]
