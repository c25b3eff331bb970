"""The `git bisect` of CONTRIBUTING.md finds the commit that broke its test, in a clone of the project."""

import re
import subprocess
from pathlib import Path

import pytest

from lab.cluster.layout import PROJECT
from pages.commands import Command, all_commands
from pages.sandbox import environment
from pages.shell import Shell

BISECTS = [command for command in all_commands() if command.words[:3] == ["git", "bisect", "start"]]
BROKEN = "\n\ndef test_that_is_broken() -> None:\n    raise AssertionError\n"
COMMITS = 5
BAD = 3


def git(clone: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=tests", "-c", "user.email=tests@example.com", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=clone).stdout.strip()


@pytest.mark.parametrize(("page", "command"), [(command.page, command) for command in BISECTS])
def test_it_finds_the_commit(page: str, command: Command, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(PROJECT), str(clone))
    (clone / ".build").symlink_to(PROJECT / ".build")
    test = re.search(r"tests/\S+\.py", command.text)
    assert test, page
    commits = [git(clone, "rev-parse", "HEAD")]
    for number in range(COMMITS):
        with (clone / test[0]).open("a") as file:
            file.write(BROKEN if number == BAD else f"\n# {number}\n")
        git(clone, "commit", "--quiet", "--all", f"--message={number}")
        commits.append(git(clone, "rev-parse", "HEAD"))
    with Shell(clone, environment()) as shell:
        done = shell.run(command.text.replace("GOOD", commits[0]))
    assert done.status == 0, done.output
    assert f"{commits[1 + BAD]} is the first bad commit" in done.output
