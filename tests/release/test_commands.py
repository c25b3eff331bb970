"""The pages' long commands, as they stand, in a fresh clone: an hour, before a release."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from lab.cluster.layout import PROJECT
from pages import exceptions, sandbox
from pages.commands import Command, all_commands
from pages.practice import run_to_its_end, wrong
from pages.shell import Shell

SECONDS = 3600
pytestmark = pytest.mark.timeout(SECONDS + 60)


def long_commands() -> list[Command]:
    """Each once, in the order of the table, from the page that shows most of what it prints."""
    found = [c for c in all_commands() if c.make_target in exceptions.LONG and not c.exception]
    most = {tuple(command.words): command for command in sorted(found, key=lambda command: len(command.output))}
    return sorted(most.values(), key=lambda command: list(exceptions.LONG).index(command.make_target))


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """In the root of a clone that has nothing but what git has, and pairs beside it.

    Two layers stand for the real weights, which take half an hour to train; the command for BERT-Base refuses them.
    """
    clone = tmp_path_factory.mktemp("clone") / "bertfinetune"
    subprocess.run(["git", "clone", "--quiet", PROJECT, clone], check=True)
    sandbox.write_pairs(clone / "glue_data/MRPC", train=640, dev=128)
    weights = clone / "glue_data/weights"
    weights.mkdir()
    sandbox.write_models([weights / "minilm", weights / "bert-base-uncased"])
    ours = ("PYTHON", "TRAINER_PYTHON", "BERTFINETUNE", "MAKE", "KUBECONFIG")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with Shell(clone, environment | {"MAKEFLAGS": f"WEIGHTS={weights}"}) as shell:
        yield shell


@pytest.mark.parametrize("command", long_commands(), ids=lambda command: " ".join(command.words))
def test_does_what_its_page_says(command: Command, shell: Shell) -> None:
    text = command.text.replace("DATA=folder", "DATA=glue_data/MRPC")
    if command.make_target == "clean":
        text = f"XDG_CACHE_HOME=$PWD/cache {text}"  # what other tests have stored stays
    assert list(wrong(command, run_to_its_end(command, shell, text, SECONDS))) == []
