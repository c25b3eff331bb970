"""The `docker` commands for a real Ascend host: what can be said of them without one."""

import argparse
import os
import subprocess
from pathlib import Path

import pytest

from bertfinetune_operator.accelerator import ASCEND_910, DRIVER, environment
from cluster.layout import PROJECT
from docs import sandbox
from docs.commands import Command, all_commands

SIMULATION = PROJECT / "tests/ascend_sim/npu_bridge_sim"
DEVICES = {"/dev/davinci0", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc"}
"""A card and the three devices of its driver: what Ascend's device plugin mounts where there is no runtime for it."""


def docker(verb: str) -> list[Command]:
    return [command for command in all_commands() if command.needs and command.words[:2] == ["docker", verb]]


def parse_run(command: Command) -> argparse.Namespace:
    """The options of a `docker run`, as https://docs.docker.com/reference/cli/docker/container/run/ has them."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--rm", action="store_true", required=True)
    for once in ("--user", "--group-add", "--runtime"):
        parser.add_argument(once)
    for name, short in (("--device", "--device"), ("--volume", "-v"), ("--env", "-e")):
        parser.add_argument(name, short, action="append", default=[])
    parser.add_argument("image")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(command.words[2:])


RUNS = [parse_run(command) for command in docker("run")]
both = pytest.mark.parametrize("run", RUNS, ids=["by-hand", "by-runtime"])


@both
def test_the_software_of_the_card_is_told_what_the_operator_tells_it(run: argparse.Namespace) -> None:
    given = dict(setting.split("=", 1) for setting in run.env)
    assert given.pop("ASCEND_VISIBLE_DEVICES", "0") == "0"
    assert given.keys() == environment(ASCEND_910, "uid").keys()
    assert {name: given[name] for name in ASCEND_910.env} == ASCEND_910.env


@both
def test_the_card_and_its_driver_come_by_the_runtime_or_by_hand(run: argparse.Namespace) -> None:
    mounts = {tuple(volume.split(":")) for volume in run.volume}
    driver = {(part.path, part.path, *(["ro"] if part.read_only else [])) for part in DRIVER}
    by_hand = run.runtime is None
    assert set(run.device) == (DEVICES if by_hand else set())
    assert driver <= mounts if by_hand else not driver & mounts
    assert any("ASCEND_VISIBLE_DEVICES" in setting for setting in run.env) != by_hand


def test_the_trainer_takes_these_arguments(copy: Path, tmp_path: Path) -> None:
    """On the simulated adapter, in the folders that are mounted: a path elsewhere would not be there."""
    run, other = RUNS
    assert run.arguments == other.arguments
    arguments = " ".join(run.arguments)
    [place] = {command.words[1] for command in all_commands() if command.needs and command.words[0] == "cd"}
    for source, target, *_ in (volume.split(":") for volume in run.volume):
        home = tmp_path if target == "/output" else copy / place
        if source.startswith("$PWD"):
            arguments = arguments.replace(f"={target}", f"={source.replace('$PWD', str(home))}")
    variables = dict(setting.split("=", 1) for setting in run.env) | {"ASCEND_VISIBLE_DEVICES": "0"}
    done = subprocess.run(
        [sandbox.TRAINER / "python", "-m", "bert_trainer", *arguments.split()],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | variables | {"PYTHONPATH": str(SIMULATION)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Final Precision Accuracy" in done.stdout
    assert "npu-simulated" in (tmp_path / "output/mrpc/result.json").read_text()


def test_the_image_that_runs_is_the_one_that_is_built() -> None:
    (build,) = docker("build")
    options = dict(word.split("=", 1) for word in build.words[2:] if word.startswith("--"))
    assert {run.image for run in RUNS} == {options["--tag"]}
    dockerfile = (PROJECT / build.words[-1] / "Dockerfile").read_text()
    assert f"ARG {options['--build-arg'].split('=')[0]}=" in dockerfile
