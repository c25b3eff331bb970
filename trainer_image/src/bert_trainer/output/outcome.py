"""The run's outcome: one line of JSON for the operator, four lines of text for a person."""

import json
import logging
import traceback
from pathlib import Path
from typing import Any, Dict, Optional

from bert_trainer import contract
from bert_trainer.errors import TrainerError

log = logging.getLogger(__name__)
Outcome = Dict[str, Any]


def failure(error: Exception) -> Outcome:
    """Returns the outcome of a run that ended with this exception."""
    if isinstance(error, TrainerError):
        exit_code, message = error.exit_code, str(error)
    else:
        exit_code, message = contract.EXIT_UNKNOWN, traceback.format_exception_only(type(error), error)[-1].strip()
    return {
        "outcome": contract.OUTCOME_FAILED,
        "class": contract.EXIT_CLASSES.get(exit_code, "Unknown"),
        "message": message,
    }


def to_line(outcome: Outcome) -> str:
    """Returns what the contract says of the outcome as one line of ASCII JSON within MAX_RESULT_BYTES.

    Where there is too much, a failure's message loses its middle, a success its oldest evaluations.
    """
    failed = outcome["outcome"] == contract.OUTCOME_FAILED
    line = json.dumps({key: outcome.get(key) for key in (contract.FAILURE_KEYS if failed else contract.RESULT_KEYS)})
    if len(line) <= contract.MAX_RESULT_BYTES:
        return line
    if not failed:
        return to_line(dict(outcome, evaluations=outcome["evaluations"][1:]))
    message = outcome["message"]
    kept = int(len(message) * 0.45)
    return to_line(dict(outcome, message=message[:kept] + " ... " + message[-kept:]))


def write_termination_log(outcome: Outcome, path: str) -> None:
    """Leaves the outcome where the kubelet reads it; "" for nowhere. A failure is logged: the result is in its file."""
    if not path:
        return
    try:
        Path(path).write_text(to_line(outcome))
    except OSError as reason:
        log.warning("--termination_log=%s: %s; the result stands in the output folder only", path, reason.strerror)


def final_block(outcome: Outcome) -> str:
    """Returns the closing lines of a successful run, as the reference prints them; "-" for what there is not.

    A collapsed run says so in a line of its own before them.
    """
    lines = (
        "---------Final Result--------",
        "Final Precision Accuracy : {}".format(_or_dash(outcome["accuracy"])),
        "Final Performance ms/step : {}".format(_or_dash(outcome["msPerStep"])),
        "Final Training Duration sec : {}".format(outcome["durationSeconds"]),
    )
    collapsed = ["This run has collapsed: {}".format(outcome["collapseReason"])] if outcome["collapsed"] else []
    return "\n".join([*collapsed, *lines])


def _or_dash(value: Optional[float]) -> str:
    return "-" if value is None else str(value)
