"""A bash that goes on from command to command, as the one in a reader's terminal."""

import os
import secrets
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self


class Done(NamedTuple):
    """What a command came to."""

    status: int
    output: str
    """Standard output and standard error."""


class Shell:
    """Runs commands one after the other; `cd`, `export` and variables stay."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        self._process.__exit__(kind, error, trace)  # waits, and closes the pipes

    def go_home(self) -> None:
        """Back to where it began."""
        self.run(f"cd {shlex.quote(str(self._folder))}")

    def run(self, command: str, seconds: float = 180) -> Done:
        """Run a command with no input; status 124 if it had to be killed, and the shell with it, after `seconds`."""
        assert self._process.stdin
        assert self._process.stdout
        mark = secrets.token_hex(8)
        # eval: a syntax error is the command's, not the end of this shell
        self._process.stdin.write(f"eval {shlex.quote(command)} </dev/null; printf '\\n{mark} %d\\n' $?\n")
        self._process.stdin.flush()
        killer = threading.Timer(seconds, self._kill)
        killer.start()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(mark):
                killer.cancel()
                return Done(int(line.split()[1]), "".join(lines)[:-1])
            lines.append(line)
        killer.cancel()
        return Done(124, "".join(lines))

    def serve(self, command: str, seconds: int) -> Done:
        """Run a command that ends only with Ctrl-C, which it gets after `seconds`; its status is then 124."""
        return self.run(f"timeout --signal=INT --kill-after=20 {seconds} bash -c {shlex.quote(command)}")

    def _kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
