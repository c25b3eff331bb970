"""Each file in crds/samples runs to its end on the real kubelet: one that cannot start is never shipped.

What is changed in them is the table in samples.py. The run of crds/samples/bertfinetune.yaml, in which nothing is, is
the one that test_main_path.py watches.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.demo.target import Target
from node.device_plugin import plugin_with
from node.main_path import Watched
from node.samples import FOLDER, SAMPLES, changed, furnish, needs_the_whole_node, store
from node.season import ANY_TIME, NAMESPACE, PARTS, Part, Season, Stage, Status, enters, to_its_end
from support import runs as support

pytestmark = pytest.mark.timeout(1800)
OWN = "samples"
"""The namespace of those that need the node for themselves."""
ALONE = [name for name, raw in SAMPLES.items() if needs_the_whole_node(raw["spec"])]
BESIDE = [name for name in SAMPLES if name not in {*ALONE, "bertfinetune.yaml", "resumed.yaml"}]
TRAINER = 65532


def with_its_own_data(stage: Stage, file: str) -> dict[object, str]:
    spec = SAMPLES[file]["spec"]
    furnish(stage.target, NAMESPACE, spec)
    return stage.closing.enter_context(store(spec))


def after_the_main_path(stage: Stage, _file: str) -> dict[object, str]:
    """On the claims of bertfinetune.yaml, from the folder that its run has left. A test may have deleted that run."""
    return {FOLDER: stage.plays["mrpc"].result().status["outputFolder"]}


def enter(file: str, prepare: Callable[[Stage, str], dict[object, str]] = with_its_own_data) -> Any:
    """Have a sample play with the season; the parameter of its test."""

    def manifest(stage: Stage) -> str:
        return yaml.safe_dump(changed(file, prepare(stage, file)))

    part = enters(Part(SAMPLES[file]["metadata"]["name"], manifest, to_its_end, ANY_TIME))
    return pytest.param(part.fixture, id=file)


def has_ended_well(spec: dict[str, Any], status: Status) -> None:
    """It has learned at the first try, and as much as it was asked for."""
    assert (status["phase"], status["retries"], status.get("trials")) == ("Succeeded", 0, None), status
    told = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert told["Collapsed"] == "False"
    assert "minAccuracy" not in spec.get("quality", {}) or told["AccuracyReached"] == "True", status


@pytest.mark.parametrize("run", [enter(file) for file in BESIDE])
def test_beside_other_runs(season: Season, run: str) -> None:
    ended = season.result(PARTS[run])
    has_ended_well(ended.run.get("bft", ended.run.name)["spec"], ended.status)


@pytest.mark.parametrize("run", [enter("resumed.yaml", after_the_main_path)])
def test_after_the_run_it_goes_on_from(season: Season, mrpc: Watched, run: str) -> None:
    ended = season.result(PARTS[run])
    has_ended_well({}, ended.status)
    assert f" of /output/{mrpc.status['outputFolder']}" in ended.log()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("file", ALONE)
def test_with_the_node_for_itself(installed: Target, file: str) -> None:
    raw = changed(file)
    spec, name = raw["spec"], raw["metadata"]["name"]
    with site(spec), divided(installed, spec):
        furnish(installed, OWN, spec)
        if paths_of(spec):
            level = "pod-security.kubernetes.io/enforce=privileged"
            installed.kubectl.run("label", "--overwrite", "namespace", OWN, level)
        try:
            installed.kubectl.run(f"--namespace={OWN}", "create", "--filename=-", stdin=yaml.safe_dump(raw))
            ended = ("Succeeded", "Failed")
            status = support.wait_for(installed, OWN, name, lambda status: status.get("phase") in ended, 900)
        finally:
            installed.kubectl.run("delete", "namespace", OWN, "--timeout=120s")
    has_ended_well(spec, status)


def paths_of(spec: dict[str, Any]) -> list[Path]:
    """The folders of the node that a sample names, its output last."""
    places = (spec["model"]["source"], spec["data"]["source"], spec["output"])
    return [Path(place["hostPath"]["path"]) for place in places if "hostPath" in place]


@contextmanager
def site(spec: dict[str, Any]) -> Iterator[None]:
    """Folders of the node that are made for the sample, and are gone after it."""
    made = []
    for path in paths_of(spec):
        assert not path.exists(), f"{path} is somebody's: the test would write into it"
        made += [parent for parent in (path, *path.parents) if not parent.exists()]
        path.mkdir(parents=True)
    if "hostPath" in spec["output"]:
        shutil.chown(spec["output"]["hostPath"]["path"], TRAINER, TRAINER)
    try:
        yield
    finally:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)


def divided(target: Target, spec: dict[str, Any]) -> AbstractContextManager[None]:
    """The node's last card is split into the shares that the sample asks for, as its administrator would have done."""
    share = spec["accelerator"].get("virtualDevice")
    return plugin_with(target, f"--split=Ascend910-7={share}") if share else nullcontext()
