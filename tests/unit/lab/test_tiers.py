"""Each test file lies in the folder of one tier, and make runs it once: the Makefile's recipes name every folder."""

import configparser
import os
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

import pytest

from lab.cluster.layout import PROJECT

TIERS = {"unit", "graph", "api", "node", "pages", "release"}
TARGETS = ("test", "test-pages", "test-release")
"""What runs before a release: all of it, and nothing twice."""
OF_3_7 = ("tests/unit/trainer", "tests/graph", "tests/release/trainer")


class Pytest(NamedTuple):
    """One call of pytest in a recipe."""

    is_of_trainer: bool
    """With the trainer's Python and configuration."""
    paths: tuple[str, ...]
    ignored: tuple[str, ...]
    picks: tuple[str, ...]
    """Options by which some tests of a file are left out."""

    def runs(self, file: str) -> bool:
        return any(lies_in(file, path) for path in self.paths) and not any(lies_in(file, path) for path in self.ignored)


def lies_in(file: str, path: str) -> bool:
    return PurePosixPath(file).is_relative_to(path)


def calls(recipe: str, usual: Iterable[str] = ()) -> Iterator[Pytest]:
    """The calls in what `make -n` prints; `usual` are the options of pytest.ini."""
    for line in recipe.splitlines():
        if " -m pytest " not in line:
            continue
        words = shlex.split(line, comments=True)
        is_of_trainer = "tests/pytest-py37.ini" in words
        options = [*words[words.index("pytest") + 1 :], *(() if is_of_trainer else usual)]
        if "--changed-pages" in options:  # some pages once more, on request of their own change
            options.remove("tests/pages")
        ignored = tuple(word.removeprefix("--ignore=") for word in options if word.startswith("--ignore="))
        picks = tuple(word for word in options if word.startswith(("-k", "-m", "--deselect")))
        paths = tuple(word for word in options if word.startswith("tests/") and not word.endswith(".ini"))
        yield Pytest(is_of_trainer, paths, ignored, picks)


def recipes() -> str:
    """What make would run; Helm counts as built, without which `make check` leaves out the chart."""
    ours = ("MAKE", "MFLAGS", "TESTS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = ["make", "--dry-run", "--no-print-directory", "HELMS_BUILT=yes", *TARGETS]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=PROJECT, env=environment).stdout


def files() -> list[str]:
    """Every file that pytest would collect, wherever it lies."""
    found = [*PROJECT.glob("tests/**/test_*.py"), *PROJECT.glob("tests/**/*_test.py")]
    return sorted(file.relative_to(PROJECT).as_posix() for file in found)


def test_each_file_is_in_a_tier() -> None:
    elsewhere = [file for file in files() if file.split("/")[1] not in TIERS]
    assert elsewhere == []


def test_make_runs_each_file_once() -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(PROJECT / "pytest.ini")
    runs = list(calls(recipes(), settings["pytest"]["addopts"].split()))
    assert [run for run in runs if run.picks] == []
    found = {file: [run.is_of_trainer for run in runs if run.runs(file)] for file in files()}
    assert len(found) > 100
    expected = {file: [any(lies_in(file, folder) for folder in OF_3_7)] for file in found}
    assert found == expected


@pytest.mark.parametrize(
    ("recipe", "usual", "file", "times"),
    [
        ("python -m pytest tests/unit", [], "tests/unit/a/test_b.py", 1),
        ("python -m pytest tests/unit", [], "tests/api/test_b.py", 0),
        ("python -m pytest tests/uni", [], "tests/unit/test_b.py", 0),
        ("python -m pytest --ignore=tests/unit/a tests/unit", [], "tests/unit/a/test_b.py", 0),
        ("python -m pytest tests/unit # tests/api", [], "tests/api/test_b.py", 0),
        ("python -m pytest tests/unit\necho\npython -m pytest tests/unit/a", [], "tests/unit/a/test_b.py", 2),
        ("python -m pytest tests/unit", ["--ignore=tests/unit/a"], "tests/unit/a/test_b.py", 0),
        (
            "python -m pytest -c tests/pytest-py37.ini tests/unit/a",
            ["--ignore=tests/unit/a"],
            "tests/unit/a/test_b.py",
            1,
        ),
        ("python -m pytest tests/node --changed-pages tests/pages", [], "tests/pages/test_b.py", 0),
    ],
)
def test_what_a_recipe_runs(recipe: str, usual: list[str], file: str, times: int) -> None:
    assert sum(run.runs(file) for run in calls(recipe, usual)) == times


@pytest.mark.parametrize("option", ["-k name", "-kname", "-m slow", "--deselect=tests/unit/test_b.py::test_c"])
def test_a_recipe_that_leaves_out_single_tests_is_seen(option: str) -> None:
    (run,) = calls(f"python -m pytest {option} tests/unit")
    assert run.picks
