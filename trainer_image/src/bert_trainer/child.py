"""A process of the trainer that another of its processes starts, reads and outlives.

The adapter of CANN 20.2 reports a card's fault by no exception: it logs a line of severity F and aborts the process
(https://github.com/Ascend/tensorflow, branch r1.2.0, tf_adapter/util/ge_plugin.cc and kernels/geop_npu.cc). Only a
process that is still there can tell what happened.
"""

import contextlib
import ctypes
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.errors import TrainerError

STARTER = "BERT_TRAINER_STARTER"  # process id, in the environment of what it has started
PR_SET_PDEATHSIG = 1  # of prctl(2)
ABORTS = (signal.SIGABRT, signal.SIGSEGV)
# TensorFlow's log: of severity E only the adapter's lines, which carry the graph engine's reason.
LAST_WORDS = re.compile(r"\d{4}-\d\d-\d\d [\d:.]+: (?:(F) \S+|(E) \S*tf_adapter/\S+)\] (.+)")
SECONDS_FOR_LAST_WORDS = 5.0  # compilers that the adapter has started may hold the pipe for longer than it lives
FAULT = "--device=npu: {}; start again, best on another card, and look at this one with npu-smi info"


class ChildError(TrainerError):
    """Another process of this run has failed; the exit code is that process's."""

    def __init__(self, message: str, exit_code: int = contract.EXIT_UNKNOWN) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def follow_starter() -> bool:
    """Returns whether another process of the trainer has started this one, which then ends when the other does."""
    starter = os.environ.get(STARTER)
    if starter is None:
        return False
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(starter):  # it ended before the line above
        os._exit(contract.EXIT_UNKNOWN)
    return True


class LastWords:
    """What the adapter says at last of a fault, among the lines that a process writes."""

    def __init__(self) -> None:
        self._words: Dict[str, str] = {}

    def hear(self, line: str) -> None:
        match = LAST_WORDS.match(line)
        if match:
            fatal, error, text = match.groups()
            self._words[fatal or error] = text.strip()

    def __str__(self) -> str:
        return " - ".join(self._words[severity] for severity in "FE" if severity in self._words)


class Child:
    """One such process, working in a folder of its own.

    The compilers of CANN write into the current folder and into HOME, and two processes in one folder disturb each
    other; the trainer's image is mounted read-only.
    """

    def __init__(self, command: List[str], folder: Path, environment: Dict[str, str], prefix: str = "") -> None:
        """Starts it.

        Args:
            command: its module and its arguments; every path in them is absolute.
            folder: its current folder and its HOME.
            environment: what differs from the environment of this process.
            prefix: stands before each line that it writes; without one its standard output is that of this process.
        """
        both: Dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        own = {**dict.fromkeys(("HOME", "TMPDIR"), str(folder)), STARTER: str(os.getpid())}
        own["PYTHONPATH"] = os.pathsep.join(sys.path)  # a relative one means another folder there
        self.process: subprocess.Popen = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=str(folder),
            env={**os.environ, **environment, **own},
            start_new_session=True,  # a terminal's Ctrl-C reaches the first process alone, which passes it on
            universal_newlines=True,
            errors="replace",
            **(both if prefix else {"stderr": subprocess.PIPE}),
        )
        self._prefix = prefix
        self._words = LastWords()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self) -> int:
        """Returns its exit code, or minus the signal that ended it, once it has ended."""
        code = self.process.wait()
        self._reader.join(SECONDS_FOR_LAST_WORDS)
        return code

    def death(self, code: int) -> Tuple[int, str]:
        """Returns the exit code that says what a signal's end means, and a sentence about it; `code` is wait's."""
        name = "ended by {}".format(signal.Signals(-code).name)
        if -code in ABORTS:
            words = str(self._words)
            return contract.EXIT_DEVICE_FAULT, FAULT.format("{} ({})".format(words, name) if words else name)
        if -code == signal.SIGKILL:
            name += ", as when memory runs out; give it more, or pass a smaller --train_batch_size"
        return 128 - code, name

    def _read(self) -> None:
        for line in self.process.stdout or self.process.stderr or ():
            sys.stderr.write(self._prefix + line)
            self._words.hear(line)


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """Returns a folder for what only lives as long as the run's processes, where TMPDIR says."""
    folder = tempfile.mkdtemp(prefix="bert-trainer-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a compiler that still writes there is no failure of the run


def flags(config: Config) -> List[str]:
    """Returns the command line that parses to `config`."""
    values = dataclasses.asdict(config).items()
    return ["--{}={}".format(name, str(value).lower() if isinstance(value, bool) else value) for name, value in values]
