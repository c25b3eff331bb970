"""Day 0 and day 2 as their pages have them: claims made and filled, a run from them, and its folder deleted again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.cluster.layout import KUBECONFIG, NODE_NAME, PROJECT, VOLUMES
from lab.demo.mrpc import SAMPLE
from lab.demo.target import Target
from node.season import ACCEPT, SHORT
from pages import sandbox
from pages.commands import blocks
from pages.shell import Shell
from support import runs as support
from support.helm import CHART
from support.published import name_images

NAMESPACE = "first-claims"
DAY_0, DAY_2 = (f"operator/docs/{page}.md" for page in ("ascend-cluster", "day-2"))


def volume(claim: dict) -> dict:
    """A volume of this node that waits for the claim, as a class's provisioner would make it."""
    name, spec = f"{NAMESPACE}-{claim['metadata']['name']}", claim["spec"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "claimRef": {"namespace": NAMESPACE, "name": claim["metadata"]["name"]},
            "local": {"path": str(VOLUMES / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


@pytest.fixture
def volumes(installed: Target) -> Iterator[None]:
    """What the page asks for: storage with the manifest's access mode."""
    manifest = yaml.safe_load_all((CHART / "files/claims/claims.yaml").read_text())
    found = [volume(claim) for claim in manifest if claim["kind"] == "PersistentVolumeClaim"]
    for one in found:
        Path(one["spec"]["local"]["path"]).mkdir(parents=True)
        installed.kubectl.apply(json.dumps(one))
    yield
    installed.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    for one in found:
        installed.kubectl.run("delete", "persistentvolume", one["metadata"]["name"])
        shutil.rmtree(one["spec"]["local"]["path"])


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """Where a reader stands: the project, and beside it the two folders with what the claims should hold."""
    (tmp_path / "charts").symlink_to(PROJECT / "charts")
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims/bert-weights").symlink_to(support.ensure_weights())
    (tmp_path / "claims/mrpc-data").symlink_to(SAMPLE)
    with Shell(tmp_path, sandbox.environment() | {"KUBECONFIG": str(KUBECONFIG)}) as shell:
        yield shell


def follow(shell: Shell, page: str, folder: str = "") -> list[str]:
    """Run the page's block about claims; what each command has printed."""
    (block,) = [block for block in blocks(page) if block[0].needs == "namespace-of-its-own"]
    printed = []
    for command in block:
        done = shell.run(command.text.replace("research", NAMESPACE).replace("FOLDER", folder))
        assert done.status == 0, f"{command.text}\n{done.output}"
        printed.append(done.output)
        if "create namespace" in command.text:
            restrict = f"kubectl label namespace {NAMESPACE} pod-security.kubernetes.io/enforce=restricted"
            assert shell.run(restrict).status == 0
        if "wait " in command.text:
            tool = f"kubectl -n {NAMESPACE} exec loader -- python3.7 -m bert_weights --help"
            assert "--archive" in shell.run(tool).output
    return printed


@pytest.mark.usefixtures("volumes")
def test_the_claims_are_filled_as_the_page_says_and_a_run_takes_them(installed: Target, shell: Shell) -> None:
    name_images()
    *_, listed, _ = follow(shell, DAY_0)
    assert all(name in listed for name in ("vocab.txt", "bert_config.json", "train.tsv", "dev.tsv"))

    manifest = support.manifest("mrpc", ACCEPT | {"training": SHORT})
    installed.kubectl.run(f"--namespace={NAMESPACE}", "create", "--filename=-", stdin=manifest)
    ended = lambda status: status.get("phase") in ("Succeeded", "Failed")  # noqa: E731
    status = support.wait_for(installed, NAMESPACE, "mrpc", ended, 300)
    assert status["phase"] == "Succeeded", status

    folder = VOLUMES / f"{NAMESPACE}-bert-output" / status["outputFolder"]
    assert folder.is_dir()
    *_, sizes, _, _ = follow(shell, DAY_2, folder.name)
    assert folder.name in sizes
    assert not folder.exists()
