"""``python -m lab.durations FOLDER``: how long each tier took, and the slowest tests, from pytest's JUnit files.

NAME.seconds is what took so long without being pytest: the linters.
"""

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SLOWEST = 10


class Suite(NamedTuple):
    """One run of pytest, or of something else that has no tests."""

    name: str
    seconds: float
    """From its start to its end, also where two processes share the tests."""
    tests: dict[str, float]
    """Seconds by test, fixtures included."""


def read(file: Path) -> Suite:
    """A file that ``pytest --junitxml`` wrote, or one with nothing but seconds; its name is the suite's."""
    if file.suffix == ".seconds":
        return Suite(file.stem, float(file.read_text()), {})
    suite = ET.parse(file).getroot().find("testsuite")  # noqa: S314 - our own file
    assert suite is not None
    tests = {f"{case.get('classname')}::{case.get('name')}": float(case.get("time", 0)) for case in suite}
    return Suite(file.stem, float(suite.get("time", 0)), tests)


def table(suites: Iterable[Suite]) -> str:
    """Two tables in Markdown: the suites with a sum, and the slowest tests of all."""
    suites = list(suites)
    rows = [(suite.name, len(suite.tests), suite.seconds) for suite in suites]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    lines = ["| tier | tests | seconds |", "| --- | ---: | ---: |"]
    lines += [f"| {name} | {tests} | {seconds:.0f} |" for name, tests, seconds in rows]
    slowest = sorted(((took, test) for suite in suites for test, took in suite.tests.items()), reverse=True)
    lines += ["", "| the slowest tests | seconds |", "| --- | ---: |"]
    lines += [f"| {test} | {took:.0f} |" for took, test in slowest[:SLOWEST]]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(read(file) for file in sorted(Path(sys.argv[1]).iterdir(), key=lambda file: file.stat().st_mtime)))
