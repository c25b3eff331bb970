"""The `docker` commands for a real Ascend host: what can be said of them without one."""

import argparse
import re

import pytest

from bertfinetune_operator.api.accelerator import ASCEND_910, CARD_ADDRESSES, DRIVER, environment
from lab.cluster.layout import PROJECT
from pages.docker_run import docker, parse_run

DEVICES = {"/dev/davinci0", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc"}
"""A card and the three devices of its driver: what Ascend's device plugin mounts where there is no runtime for it."""


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


def test_the_image_that_runs_is_the_one_that_is_built() -> None:
    (build,) = docker("build")
    options = dict(word.split("=", 1) for word in build.words[2:] if word.startswith("--"))
    assert {run.image for run in RUNS} == {options["--tag"]}
    dockerfile = (PROJECT / build.words[-1] / "Dockerfile").read_text()
    assert f"ARG {options['--build-arg'].split('=')[0]}=" in dockerfile


def test_the_check_of_a_card_mounts_what_a_pod_mounts() -> None:
    script = (PROJECT / "trainer_image/test/check_card.sh").read_text()
    words = set(re.split(r"[\s:;]+", script))
    assert {part.path for part in (*DRIVER, CARD_ADDRESSES)} <= words
    assert (
        DEVICES - {"/dev/davinci0", "/dev/davinci_manager"} <= words
    )  # those two follow from the cards that are there


def test_no_example_is_for_cards_that_are_younger_than_the_base_image() -> None:
    """Atlas A2's, and the names that it gives its shares: CANN 20.2 does not know them."""
    examples = [file for place in ("charts", "crds") for file in (PROJECT / place).rglob("*") if file.is_file()]
    examples += [PROJECT / "README.md", PROJECT / "operator/README.md"]
    assert [f.name for f in examples if re.search(r"\bA2\b|910B|\dc\.\dcpu", f.read_text(errors="replace"))] == []
