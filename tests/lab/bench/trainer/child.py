"""Runs a program in a process of its own and notes when it said what, and how much memory it needed."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

SECONDS_BETWEEN_LINES = 20.0
LINES_OF_A_FAILURE = 20


class BenchError(Exception):
    """A measurement that cannot be made; the message says why."""


class Line(NamedTuple):
    """One line of output, and the seconds from the start of the process to its arrival."""

    seconds: float
    text: str


class Run(NamedTuple):
    """A finished process: its whole duration, its peak of resident memory, and its output.

    The peak is at least what the caller held when it started the process: Linux counts from the fork.
    """

    seconds: float
    peak_rss_mb: float
    lines: List[Line]


def run(arguments: Sequence[str], log: Path, step: Optional[str] = None, python: str = sys.executable) -> Run:
    """Runs an interpreter with `arguments` to its end.

    Args:
        arguments: what follows `python`.
        log: file that receives the output, stdout and stderr mixed.
        step: regular expression of a line about a training step, its group the step's number; without a group such
            lines are counted. The number is printed every few seconds.
        python: the interpreter, this one by default.

    Raises:
        BenchError: the process failed; with the end of its output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    process = subprocess.Popen(
        [python, "-u", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
        errors="replace",
    )
    lines: List[Line] = []
    try:
        _read(process, started, lines, log, step)
        _, status, usage = os.wait4(process.pid, 0)  # Popen.wait would lose the peak of memory
        process.returncode = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
    if process.returncode:
        end = "\n".join(line.text for line in lines[-LINES_OF_A_FAILURE:])
        raise BenchError(f"{' '.join(arguments[:2])} ended with {process.returncode}; all of it is in {log}:\n{end}")
    return Run(time.monotonic() - started, usage.ru_maxrss * 1024 / 1e6, lines)


def _read(process: subprocess.Popen, started: float, lines: List[Line], log: Path, step: Optional[str]) -> None:
    done, shown = 0, started
    with log.open("w", encoding="utf-8") as file:
        for text in process.stdout or ():
            now = time.monotonic()
            lines.append(Line(now - started, text.rstrip("\n")))
            file.write(text)
            match = re.match(step, text) if step else None
            if match:
                done = int(match.group(1)) if match.groups() else done + 1
                if now - shown >= SECONDS_BETWEEN_LINES:
                    shown = now
                    print(f"    {now - started:.0f} s: step {done}", flush=True)
