"""The process above one that works on a card: it only tells how its child ended when that could not."""

import contextlib
import dataclasses
import os
import signal
from pathlib import Path
from types import FrameType
from typing import Dict, List, NamedTuple, Optional, Set

from bert_trainer.config import Config
from bert_trainer.contract import EXIT_INTERRUPTED
from bert_trainer.errors import ReportedError, StorageError
from bert_trainer.output import lease
from bert_trainer.output.folder import RunFolder
from bert_trainer.output.outcome import Outcome, failure
from bert_trainer.processes.child import STARTER, Child, ChildError, flags, scratch_folder
from bert_trainer.reporting.stop import StopRequest

PATHS = ("data_path", "model_path", "output_dir", "resume_from", "termination_log")


class End(NamedTuple):
    """The end of a child's process: what it means if a signal was it."""

    pid: int
    death: Optional[ChildError]


def is_needed(config: Config) -> bool:
    """Returns whether this process should leave the work to a child: on a card, unless it is one already."""
    return config.device == "npu" and STARTER not in os.environ


def run(config: Config, stop: StopRequest) -> Outcome:
    """Lets a child train; returns {}, as the child reports its outcome.

    Raises:
        ReportedError: the child failed and has reported that, too.
        ChildError: a signal ended it.
    """
    end = follow(["bert_trainer", *flags(_absolute(config))], stop)
    if end.death:
        output = Path(config.output_dir)
        with contextlib.suppress(StorageError), lease.inherited(output, end.pid) as held:
            if held:
                records = RunFolder(held.folder, held.check)
                records.record_failure_of(dataclasses.asdict(config), failure(end.death))
        raise end.death
    return {}


def follow(command: List[str], stop: StopRequest) -> End:
    """Runs a child, to which the signals of this process go, to its end; ReportedError if it has reported a failure."""
    forwarded: Set[int] = set()
    with scratch_folder() as folder:
        child = Child(command, folder, {"RANK_ID": "0", **_absolute_variables()})

        def forward(number: int, _frame: Optional[FrameType]) -> None:
            forwarded.add(number)
            child.process.send_signal(number)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, forward)
        if stop.signal:
            forward(signal.Signals[stop.signal], None)
        code = child.wait()
    if code > 0:
        raise ReportedError(code)
    return End(child.process.pid, _death(child, code, forwarded) if code else None)


def _death(child: Child, code: int, forwarded: Set[int]) -> ChildError:
    if -code in forwarded:  # before it listened, or at the second request
        name = signal.Signals(-code).name
        return ChildError("ended by {}; start again with the same flags".format(name), EXIT_INTERRUPTED)
    exit_code, text = child.death(code)
    return ChildError(text, exit_code)


def _absolute(config: Config) -> Config:
    paths = {name: getattr(config, name) for name in PATHS}
    return dataclasses.replace(config, **{name: str(Path(path).absolute()) for name, path in paths.items() if path})


def _absolute_variables() -> Dict[str, str]:
    """What the environment names from this process's folder, for a process in another."""
    table = os.environ.get("RANK_TABLE_FILE")
    return {"RANK_TABLE_FILE": str(Path(table).absolute())} if table else {}
