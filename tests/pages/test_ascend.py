"""The arguments of the `docker run` for an Ascend host: the trainer takes them, on the simulated adapter."""

import os
import subprocess
from pathlib import Path

import pytest

from lab.cluster.layout import PROJECT
from pages import sandbox
from pages.commands import all_commands
from pages.docker_run import docker, parse_run

SIMULATION = PROJECT / "tests/lab/ascend/npu_bridge_sim"


@pytest.mark.parametrize("page", sorted({command.page for command in docker("run")}))
def test_the_trainer_takes_these_arguments(page: str, copy: Path, tmp_path: Path) -> None:
    """In the folders that are mounted: a path elsewhere would not be there."""
    run, other = (parse_run(command) for command in docker("run") if command.page == page)
    assert run.arguments == other.arguments
    arguments = " ".join(run.arguments)
    [place] = {command.words[1] for command in all_commands() if command.needs and command.words[0] == "cd"}
    for source, target, *_ in (volume.split(":") for volume in run.volume):
        home = tmp_path if target == "/output" else copy / place
        if source.startswith("$PWD"):
            arguments = arguments.replace(f"={target}", f"={source.replace('$PWD', str(home))}")
    variables = dict(setting.split("=", 1) for setting in run.env) | {"ASCEND_SIM_CARDS": "0"}
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
