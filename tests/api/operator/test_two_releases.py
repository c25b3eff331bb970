"""Two releases of one name in two namespaces, each with namespaces of its own to serve, on a real API server."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lab.cluster.kubectl import RunKubectl
from lab.demo import stack
from lab.demo.target import Target
from lab.operator.installed import installed_operators_paused, settings_of, token_kubeconfig
from lab.operator.played import Run
from lab.operator.process import Operator, until
from support.helm import CHART, HELMS, IMAGES, Release

pytestmark = pytest.mark.usefixtures("crd")

NAME = "bft-bertfinetune-operator"
WITHOUT_PODS = "--set=replicas=0"


@pytest.fixture
def namespaces(target: Target) -> Iterator[list[str]]:
    """Two for the releases, two for their runs."""
    names = [f"test-{uuid.uuid4().hex[:8]}" for _ in range(4)]
    for name in names:
        target.kubectl.run("create", "namespace", name)
    yield names
    target.kubectl.run("delete", "namespace", *names, "--wait=false")


@pytest.fixture
def releases(target: Target, namespaces: list[str]) -> Iterator[tuple[Release, Release]]:
    """The first has the CRD, which it leaves to the tests again."""
    one, other = (Release(NAME, namespace) for namespace in namespaces[:2])
    yield one, other
    for release in (one, other):
        release.do("uninstall", "--ignore-not-found", "--wait")
    owner = (f"meta.helm.sh/release-name={stack.RELEASE}", f"meta.helm.sh/release-namespace={stack.SYSTEM_NAMESPACE}")
    target.kubectl.run("annotate", "--overwrite", "crd", "bertfinetunes.bertfinetune.dev", *owner)


@pytest.fixture
def operator_of(target: Target, kubectl: RunKubectl, kubeconfig: str, tmp_path: Path) -> Callable[[Release], Operator]:
    """A release's operator, with its rights and its settings."""

    def make(release: Release) -> Operator:
        deployment = target.kubectl.get("deployment", release.name, f"--namespace={release.namespace}")
        config = token_kubeconfig(kubectl, kubeconfig, tmp_path, release.name, release.namespace)
        return Operator(config, tmp_path / f"{release.namespace}.log", **settings_of(deployment))

    return make


def test_each_serves_its_own(
    kubectl: RunKubectl,
    namespaces: list[str],
    releases: tuple[Release, Release],
    operator_of: Callable[[Release], Operator],
) -> None:
    runs = [Run(kubectl, namespace) for namespace in namespaces[2:]]
    crds = ("--take-ownership", "--set=crds.install=false")
    for release, run, crd, program in zip(releases, runs, crds, HELMS, strict=True):
        release.do(
            "install", CHART, IMAGES, WITHOUT_PODS, crd, f"--set=watchNamespaces={{{run.namespace}}}", program=program
        )
    with installed_operators_paused(kubectl), ExitStack() as started:
        operators = [started.enter_context(operator_of(release)) for release in releases]
        for operator, run in zip(operators, runs, strict=True):
            until(operator.leads, operator.log.read_text)  # each by a Lease of its own
            run.create()
        for operator, run in zip(operators, runs, strict=True):
            assert run.pod()
            run.becomes(phase="Pending")
            text = operator.get("/metrics").text
            shown = [line for line in text.splitlines() if line.startswith("bertfinetune_info{")]
            assert [f'namespace="{run.namespace}"' in line for line in shown] == [True]
        assert operators[0].stop() == 0
        for run in runs:
            run.change(suspend=True)
        runs[1].becomes(phase="Suspended")
        assert runs[0].get()["status"]["phase"] == "Pending"  # nobody serves it any more
        assert operators[1].stop() == 0


@pytest.mark.parametrize("program", HELMS)
def test_two_that_serve_all_namespaces_have_cluster_roles_of_their_own(
    target: Target, releases: tuple[Release, Release], program: str
) -> None:
    for release in releases:
        release.do("install", CHART, IMAGES, WITHOUT_PODS, "--set=crds.install=false", program=program)
    for release in releases:
        bound = target.kubectl.get("clusterrolebinding", f"{NAME}:{release.namespace}")
        assert [subject["namespace"] for subject in bound["subjects"]] == [release.namespace]
    releases[0].do("uninstall", "--wait", program=program)
    assert target.kubectl.get("clusterrole", f"{NAME}:{releases[1].namespace}")["rules"]
