"""What a run has seen: the loss of every step and every evaluation, kept in the output folder across restarts.

The file holds one JSON object a line: {"step", "loss"} for a step, the evaluation itself for an evaluation. A step's
line is there before the step's checkpoint, so a run that resumes finds every line up to it; what came later is dropped,
it happens again.
"""

import json
from typing import Any, Dict, List

from bert_trainer.output.folder import RunFolder

FILE = "history.jsonl"
Evaluation = Dict[str, Any]  # as Evaluator.judge makes them


class History:
    """The losses and evaluations of a run."""

    def __init__(self, folder: RunFolder, last: int) -> None:
        """Reads the folder's history up to the step `last`, and makes the folder forget the rest."""
        self._folder = folder
        self._events = _read(folder, last)
        folder.write(FILE, "".join(map(_line, self._events)))

    @property
    def evaluations(self) -> List[Evaluation]:
        """All evaluations, oldest first."""
        return [event for event in self._events if "epoch" in event]

    def losses(self, after: int, until: int) -> List[float]:
        """Returns the training losses of the steps after + 1 to until."""
        return [event["loss"] for event in self._events if "epoch" not in event and after < event["step"] <= until]

    def add_loss(self, step: int, loss: float) -> None:
        """Keeps the training loss of a step."""
        self.add({"step": step, "loss": round(loss, 7)})

    def add(self, event: Dict[str, Any]) -> None:
        """Keeps an evaluation."""
        self._events.append(event)
        self._folder.append(FILE, _line(event))


def _read(folder: RunFolder, last: int) -> List[Dict[str, Any]]:
    events = []
    for line in folder.read(FILE).splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            break  # cut short by a power failure: nothing behind it is worth more
        if event["step"] <= last:
            events.append(event)
    return events


def _line(event: Dict[str, Any]) -> str:
    return json.dumps(event) + "\n"
