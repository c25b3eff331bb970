"""The CRD when a release is upgraded, uninstalled and installed again, and releases that Helm 3 and Helm 4 share.

The CRD is of an API group of its own, because who deletes the real one deletes everybody's objects. No operator runs.
"""

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.cluster.layout import PROJECT
from lab.cluster.processes import wait_until
from lab.demo.target import Target
from support.helm import CHART, HELMS, IMAGES, RELEASED, Raw, Release

GROUP = "chart-test.bertfinetune.dev"
CRD = f"bertfinetunes.{GROUP}"
QUIET = ("--set=replicas=0", IMAGES)
TOO_COSTLY = "estimated rule cost exceeds budget"
"""What Kubernetes 1.31 says of the CRD of the release before; an upgrade makes the failed installation good."""
SAMPLE: Raw = yaml.safe_load((PROJECT / "crds/samples/bertfinetune.yaml").read_text())


def regrouped(chart: Path) -> Path:
    """The chart, with its CRD in a group of its own."""
    file = chart / "files/bertfinetunes.bertfinetune.dev.yaml"
    file.write_text(file.read_text().replace("bertfinetune.dev", GROUP))
    return chart


@pytest.fixture
def chart(target: Target, tmp_path: Path) -> Iterator[Path]:
    """The present chart."""
    yield regrouped(shutil.copytree(CHART, tmp_path / "present"))
    target.kubectl.run("delete", "crd", CRD, "--ignore-not-found")


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The chart of the release before."""
    with tarfile.open(RELEASED) as tar:
        tar.extractall(tmp_path, filter="data")
    return regrouped(tmp_path / CHART.name)


@pytest.fixture
def one(namespace: str) -> Iterator[Release]:
    release = Release(f"{namespace}-{CHART.name}", namespace)
    yield release
    release.do("uninstall", "--ignore-not-found")


@pytest.fixture
def other(one: Release) -> Iterator[Release]:
    release = Release(f"{one.name}-other", "default")
    yield release
    release.do("uninstall", "--ignore-not-found")


def create_object(target: Target, namespace: str) -> None:
    manifest = yaml.safe_dump(SAMPLE | {"apiVersion": f"{GROUP}/v1alpha1"})
    create = (f"--namespace={namespace}", "create", "--filename=-")
    # the API server serves a new CRD a moment later
    assert wait_until(lambda: not target.kubectl.run(*create, stdin=manifest, check=False).returncode, 30)


def read_object(target: Target, namespace: str) -> Raw:
    return target.kubectl.get(CRD, SAMPLE["metadata"]["name"], f"--namespace={namespace}")


@pytest.mark.parametrize("program", HELMS)
def test_the_crd_and_the_objects_outlive_a_release(
    target: Target, chart: Path, one: Release, other: Release, program: str
) -> None:
    one.do("install", chart, *QUIET, program=program)
    create_object(target, one.namespace)
    made = read_object(target, one.namespace)

    one.do("uninstall", "--wait", program=program)
    one.do("install", chart, *QUIET, program=program)
    one.do("upgrade", chart, *QUIET, "--set=crds.install=false", program=program)
    assert read_object(target, one.namespace) == made
    one.do("uninstall", "--wait", program=program)

    refused = other.try_to("install", chart, *QUIET, program=program)
    assert refused.returncode != 0
    assert f'"{CRD}" in namespace "" exists and cannot be imported into the current release' in refused.stderr
    assert f'"meta.helm.sh/release-name" must equal "{other.name}": current value is "{one.name}"' in refused.stderr
    other.do("install", chart, *QUIET, "--set=crds.install=false", program=program)
    other.do("uninstall", "--wait", program=program)
    other.do("install", chart, *QUIET, "--take-ownership", program=program)
    assert read_object(target, one.namespace) == made

    other.do("upgrade", chart, *QUIET, "--set=crds.keep=false", program=program)
    other.do("uninstall", "--wait", program=program)
    assert target.kubectl.run("get", "crd", CRD, "--ignore-not-found").stdout == ""


def installed_chart(target: Target, release: Release) -> str:
    deployment = target.kubectl.get(f"--namespace={release.namespace}", "deployment", release.name)
    return deployment["metadata"]["labels"]["helm.sh/chart"]


@pytest.mark.parametrize("hands", [("helm", "helm4"), ("helm", "helm4", "--server-side=true"), ("helm4", "helm")])
def test_each_goes_on_with_a_release_of_the_other(
    target: Target, chart: Path, released: Path, one: Release, hands: tuple[str, ...]
) -> None:
    first, second, *how = hands
    begun = one.try_to("install", released, *QUIET, program=first)
    if TOO_COSTLY in begun.stderr:
        assert target.kubectl.version().startswith("v1.31.")
        one.do("upgrade", chart, *QUIET, *how, program=second)
        return
    assert begun.returncode == 0, begun.stderr
    before = installed_chart(target, one)
    one.do("upgrade", chart, *QUIET, *how, program=second)
    after = installed_chart(target, one)
    assert after != before
    one.do("rollback", "1", program=first)
    assert installed_chart(target, one) == before
    one.do("upgrade", chart, *QUIET, *how, program=second)
    assert installed_chart(target, one) == after
    one.do("uninstall", "--wait", program=first)
