"""Doing what a page says: each command in the way that fits it, and what was wrong with it."""

import re
from collections.abc import Callable, Iterable, Iterator

from pages import exceptions, sandbox
from pages.commands import Block, Command, look_up
from pages.shell import Done, Shell

SERVING_SECONDS = 10
ONE_TEST_SECONDS = 600  # seconds, where its tier has been run; else make builds what it lacks
FIND = '-c "import sys, importlib.util as u; sys.exit(u.find_spec(sys.argv[1]) is None)" {0}'
MODULE_EXISTS = f"python {FIND} || python3.11 {FIND}"  # the trainer's Python, else the operator's

Fill = Callable[[Command], str]
"""The command with what there is in the place of the page's placeholders."""


def follow(page_blocks: Iterable[Block], shell: Shell, fill: Fill, after: Callable[[Command], None]) -> list[str]:
    """Run the commands in order, as a reader would, each block from the project's root; what was wrong with them.

    `after` is told of each command once it has run.
    """
    problems = []
    for block in page_blocks:
        shell.go_home()
        for command in block:
            if not command.exception:
                problems += wrong(command, perform(command, shell, fill))
                after(command)
    return problems


def wrong(command: Command, done: Done) -> Iterator[str]:
    """What differs from the page."""
    place = f"{command.page}:{command.line}: {command.text}"
    if done.status:
        yield f"{place}\nends with {done.status}: {done.output[-2000:]}"
    elif line := missing_line(command.output, done.output):
        yield f"{place}\nthe page shows {line!r}, and this was printed: {done.output[-4000:]}"


def perform(command: Command, shell: Shell, fill: Fill) -> Done:
    """What came of it; status 0 if that is what should come of it."""
    text = fill(command)
    if command.is_a_name:
        is_module = command.words[0] == "python"
        return shell.run(MODULE_EXISTS.format(command.words[2]) if is_module else f"{text} --help")
    if command.runs_tests:
        return run_to_its_end(command, shell, sandbox.at_home(text), ONE_TEST_SECONDS)
    if command.only_seen:
        return shell.run(text.replace("make ", "make --dry-run ", 1))
    words = look_up(exceptions.SERVING, command.text)
    if words is not None:
        return expect(shell.serve(text, SERVING_SECONDS), 124, words)
    return run_to_its_end(command, shell, text)


def run_to_its_end(command: Command, shell: Shell, text: str, seconds: float = 180) -> Done:
    """Run it; status 0 also if it is refused as it should be here."""
    done = shell.run(text, seconds)
    refused = look_up(exceptions.REFUSED, command.text)
    return expect(done, *refused) if refused else done


def expect(done: Done, status: int, words: str) -> Done:
    """Status 0 for that status with these words in the output, and never for anything else."""
    return done._replace(status=0 if done.status == status and words in done.output else done.status or -1)


def missing_line(shown: str, printed: str) -> str:
    """The first line of what a page shows that was not printed, numbers aside; `...` stands for any lines."""
    shapes = {shape(line) for line in printed.splitlines()}
    return next((line for line in shown.splitlines() if line.strip(" .") and shape(line) not in shapes), "")


def shape(line: str) -> str:
    """A line without what changes from time to time: numbers and the width of gaps."""
    return " ".join(re.sub(r"\d+(\.\d+)?(e-?\d+)?", "#", line).split())
