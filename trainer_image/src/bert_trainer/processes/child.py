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
from typing import BinaryIO, Dict, Iterator, List, TextIO, Tuple

from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.errors import TrainerError

STARTER = "BERT_TRAINER_STARTER"  # process id, in the environment of what it has started
PR_SET_PDEATHSIG = 1  # of prctl(2)
ABORTS = (signal.SIGABRT, signal.SIGSEGV)
# The adapter says in TensorFlow's log, on standard error, what it was doing; the graph engine and what lies below say
# why in the driver's log, on standard output, where the adapter says its words again.
LAST_WORDS = (
    re.compile(r"\d{4}-\d\d-\d\d [\d:.]+: F \S+\] (.+)"),
    re.compile(r"\[ERROR\] (?!.*TF_ADAPTER)\w+\(\d+,[^)]*\): *(?:\d{4}-\d\d-\d\d-[\d:.]+ )?(.+)"),
)
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
        self._words = [""] * len(LAST_WORDS)

    def hear(self, line: str) -> None:
        for place, pattern in enumerate(LAST_WORDS):
            match = pattern.match(line)
            if match:
                self._words[place] = match.group(1).strip()

    def __str__(self) -> str:
        return " - ".join(filter(None, self._words))


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
            prefix: stands before each line that it writes; with one they all go to standard error.
        """
        own = {**dict.fromkeys(("HOME", "TMPDIR"), str(folder)), STARTER: str(os.getpid())}
        own["PYTHONPATH"] = os.pathsep.join(sys.path)  # a relative one means another folder there
        self.process: subprocess.Popen = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=str(folder),
            env={**os.environ, **environment, **own},
            start_new_session=True,  # a terminal's Ctrl-C reaches the first process alone, which passes it on
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if prefix else subprocess.PIPE,
        )
        self._prefix = prefix.encode()
        self._words = LastWords()
        streams = [(self.process.stdout, sys.stderr if prefix else sys.stdout), (self.process.stderr, sys.stderr)]
        self._readers = [threading.Thread(target=self._read, args=each, daemon=True) for each in streams if each[0]]
        for reader in self._readers:
            reader.start()

    def wait(self) -> int:
        """Returns its exit code, or minus the signal that ended it, once it has ended."""
        code = self.process.wait()
        for reader in self._readers:
            reader.join(SECONDS_FOR_LAST_WORDS)
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

    def _read(self, source: BinaryIO, target: TextIO) -> None:
        for line in source:
            with contextlib.suppress(OSError):  # who does not read on must not hold the child up
                target.buffer.write(self._prefix + line)
                target.flush()
            self._words.hear(line.decode(errors="replace"))


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
