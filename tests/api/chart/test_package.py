"""The chart as it is published: what it says of itself, its package, and its way through an OCI registry."""

import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import bertfinetune_operator
from bertfinetune_operator.api.spec import BertFinetuneSpec
from lab.cluster.layout import PROJECT
from lab.images import chart, registry
from support.helm import CHART, HELMS, IMAGES, by_both, helm

META = yaml.safe_load((CHART / "Chart.yaml").read_text())
HUB = {key.removeprefix("artifacthub.io/"): yaml.safe_load(value) for key, value in META["annotations"].items()}


def test_all_that_is_released_together_has_one_version() -> None:
    version = META["version"]
    assert META["appVersion"] == version
    assert bertfinetune_operator.__version__ == version
    trainer = PROJECT / "trainer_image"
    for file in (trainer / "pyproject.toml", trainer / "src/bert_trainer/__init__.py"):
        assert re.findall(r'^(?:__version__|version) = "(.+)"$', file.read_text(), re.MULTILINE) == [version], file


def test_artifact_hub_is_told_of_the_crd() -> None:
    crd = yaml.safe_load((CHART / "files/bertfinetunes.bertfinetune.dev.yaml").read_text())
    (told,) = HUB["crds"]
    assert told["name"] == crd["metadata"]["name"]
    assert told["kind"] == crd["spec"]["names"]["kind"]
    assert [told["version"]] == [version["name"] for version in crd["spec"]["versions"]]
    for example in HUB["crdsExamples"]:
        BertFinetuneSpec.model_validate(example["spec"])


def test_a_cluster_that_is_too_old_is_told_so() -> None:
    done = by_both("template", "op", CHART, IMAGES, "--kube-version=v1.30.9")
    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.31.0-0 which is incompatible with Kubernetes v1.30.9" in done.stderr
    assert by_both("template", "op", CHART, IMAGES, "--kube-version=v1.31.0").returncode == 0


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return chart.package(tmp_path)


def test_the_package_holds_what_users_need_and_no_more(package: Path) -> None:
    files = {path.relative_to(CHART.parent) for path in CHART.rglob("*") if path.is_file()}
    developers = {path for path in files if path.parts[1] in ("ci", "tests") or path.suffix == ".gotmpl"}
    assert {path.parts[1] for path in developers} == {"ci", "tests", "README.md.gotmpl"}
    with tarfile.open(package) as tar:
        assert sorted(tar.getnames()) == sorted(map(str, files - developers))


def test_one_commit_makes_one_package(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    date = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=PROJECT, check=True, capture_output=True).stdout
    with tarfile.open(package) as tar:
        assert {entry.mtime for entry in tar} == {int(date)}
    copy = tmp_path / "elsewhere" / CHART.name
    shutil.copytree(CHART, copy, copy_function=shutil.copyfile)  # the files are of now
    monkeypatch.setattr(chart, "CHART", copy)
    (tmp_path / "again").mkdir()
    assert chart.package(tmp_path / "again").read_bytes() == package.read_bytes()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with registry.serving(tmp_path) as address:
        yield f"oci://{address}/charts"


@pytest.mark.parametrize("program", HELMS)
def test_it_is_pushed_pulled_and_installed_as_oci(
    address: str, package: Path, kubeconfig: str, namespace: str, program: str
) -> None:
    pushed = helm("push", package, address, "--plain-http", program=program)
    assert pushed.returncode == 0, pushed.stderr
    source = (f"{address}/{CHART.name}", f"--version={META['version']}", "--plain-http")
    folder = package.parent / "pulled"
    folder.mkdir()
    pulled = helm("pull", *source, f"--destination={folder}", program=program)
    assert pulled.returncode == 0, pulled.stderr
    assert (folder / package.name).read_bytes() == package.read_bytes()
    where = (
        f"--kubeconfig={kubeconfig}",
        f"--namespace={namespace}",
        "--dry-run=server",
        "--set=crds.install=false",
        IMAGES,
    )
    installed = helm("install", "op", *source, *where, program=program)
    assert installed.returncode == 0, installed.stderr
    assert f"helm.sh/chart: {CHART.name}-{META['version']}" in installed.stdout
