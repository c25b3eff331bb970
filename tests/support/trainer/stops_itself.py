"""The trainer, which stops itself (SIGSTOP) at a moment: python -m support.trainer.stops_itself MOMENT FLAG..."""

import os
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Dict

from bert_trainer import __main__ as entry
from bert_trainer.output import lease
from bert_trainer.output.folder import SAVED_MODEL, TIMES_FILE, RunFolder
from bert_trainer.program import quiet_tensorflow

quiet_tensorflow()

from tensorflow.python.training import checkpoint_management  # noqa: E402

from bert_trainer.reporting.telemetry import Telemetry  # noqa: E402

STEP = 7  # of ten


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def before(owner: Any, name: str, is_it: Callable[..., bool]) -> None:
    """Stops before the first call of owner.name whose arguments are those."""
    original, stopped = getattr(owner, name), []

    def patched(*arguments: Any, **options: Any) -> Any:
        if not stopped and is_it(*arguments):
            stopped.append(True)
            stop()
        return original(*arguments, **options)

    setattr(owner, name, patched)


def in_a_step() -> None:
    before(Telemetry, "step", lambda _telemetry, step, *_: step == STEP)


def in_a_checkpoint() -> None:
    """Its weights are written; the list that names it is not, and the oldest is still to be removed."""
    saved = "update_checkpoint_state_internal"
    before(checkpoint_management, saved, lambda *_: _saves() == 2)


def _saves(count: list = []) -> int:  # noqa: B006 - it counts its calls
    count.append(None)
    return len(count)


def in_a_line_of_the_history() -> None:
    append = RunFolder.append

    def half(folder: RunFolder, name: str, text: str) -> None:
        if f'"step": {STEP},' not in text:
            append(folder, name, text)
            return
        folder.check()
        with (folder.path / name).open("a") as file:
            file.write(text[:5])
            file.flush()
            stop()
            file.write(text[5:])

    RunFolder.append = half  # ty: ignore


def in_a_record(name: str) -> Callable[[], None]:
    """The file is written under another name, which it has not yet exchanged."""
    return lambda: before(Path, "replace", lambda _path, target: target.name == name and target.exists())


MOMENTS: Dict[str, Callable[[], None]] = {
    "in a step": in_a_step,
    "in a checkpoint": in_a_checkpoint,
    "in a line of the history": in_a_line_of_the_history,
    "in the times": in_a_record(TIMES_FILE),
    "in the result": lambda: before(Path, "replace", lambda _path, target: target.name == "result.json"),
    "in the export": lambda: before(Path, "rename", lambda _path, target: target.parent.name == SAVED_MODEL),
}

if __name__ == "__main__":
    lease.RENEW_SECONDS, lease.FRESH_SECONDS = 0.1, 0.02  # the second far below what a takeover takes, as in earnest
    MOMENTS[sys.argv[1]]()
    sys.exit(entry.main(sys.argv[2:]))
