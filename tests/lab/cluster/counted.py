"""A long command, with a count that moves while it works."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.cluster.layout import PROJECT

PROGRESS = PROJECT / "tests/lab/setup/progress.sh"


def run_counted(argv: Sequence[str | Path], log: Path, marks: re.Pattern[str], total: int, what: str) -> int:
    """Run a command, keep all that it says in `log`, and count the lines that begin with a mark, of `total`.

    Returns the command's exit code. The count goes to standard output: a line that moves on a terminal, else one at
    every tenth.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w") as file,
        subprocess.Popen([PROGRESS, str(total), what], stdin=subprocess.PIPE, text=True) as progress,
        subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as command,
    ):
        assert progress.stdin
        for line in command.stdout or ():
            file.write(line)
            file.flush()
            if marks.match(line):
                progress.stdin.write(line)
                progress.stdin.flush()
        progress.stdin.close()
    return command.returncode
