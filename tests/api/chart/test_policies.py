"""Pods of operator, runs and TensorBoards where policies rule, on a real API server: ranges of users, labels."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cluster.kubectl import RunKubectl
from lab.demo.target import Target
from lab.operator.installed import installed_operators_paused, settings_of
from lab.operator.played import Run
from lab.operator.process import Operator, until
from support.helm import CHART, IMAGES, Release

pytestmark = pytest.mark.usefixtures("crd")

Raw = dict[str, Any]
FOLDER = Path(__file__).parent
APPS = "--selector=app.kubernetes.io/name in (bertfinetune-operator,tensorboard)"


@pytest.fixture
def ruled(request: pytest.FixtureRequest, target: Target, namespace: str) -> Iterator[str]:
    """The test's namespace, where a policy of this folder is in force; the parameter is its name."""
    policy = FOLDER / f"{request.param}.yaml"
    target.kubectl.run("apply", f"--filename={policy}")
    target.kubectl.run("label", "namespace", namespace, f"test.bertfinetune.dev/policy={request.param}")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any", "namespace": namespace}}
    pod["spec"] = {"securityContext": {"runAsUser": 65532}, "containers": [{"name": "any", "image": "any"}]}
    dry = ("create", "--dry-run=server", "--filename=-")
    until(  # the API server learns of a policy a moment later
        lambda: target.kubectl.run(*dry, stdin=json.dumps(pod), check=False).returncode,
        lambda: "the policy refuses nothing",
    )
    yield namespace
    target.kubectl.run("delete", f"--filename={policy}")


class Site:
    """A release and its operator, in the namespace that it serves, beside a TensorBoard."""

    def __init__(self, target: Target, kubeconfig: str, namespace: str, folder: Path) -> None:
        self.target, self.kubeconfig, self.namespace, self.log = target, kubeconfig, namespace, folder / "log"
        self.release = Release(CHART.name, namespace)
        board = f'--set-json=monitoring.tensorboards=[{{"namespace": "{namespace}", "claimName": "runs"}}]'
        self.chart = (CHART, IMAGES, "--set=crds.install=false", f"--set=watchNamespaces={{{namespace}}}", board)

    def pods(self) -> list[Raw]:
        """The operator's two, and TensorBoard's."""
        return list(self.target.kubectl.get("pods", f"--namespace={self.namespace}", APPS)["items"])

    def operator(self) -> Operator:
        """The one that would run if this cluster had a node, with what the release tells it."""
        deployment = self.target.kubectl.get("deployment", CHART.name, f"--namespace={self.namespace}")
        return Operator(self.kubeconfig, self.log, **settings_of(deployment) | {"leader_election": "false"})


@pytest.fixture
def site(target: Target, kubectl: RunKubectl, kubeconfig: str, ruled: str, tmp_path: Path) -> Iterator[Site]:
    site = Site(target, kubeconfig, ruled, tmp_path)
    with installed_operators_paused(kubectl):
        yield site
    site.release.do("uninstall", "--ignore-not-found", "--wait")


def works(site: Site, run: Run, *values: str | Path) -> None:
    """With these values the operator's and TensorBoard's pods are admitted, and a run's."""
    site.release.do("install", *values)
    until(lambda: len(site.pods()) == 3, lambda: site.target.kubectl.get("events", f"--namespace={site.namespace}"))
    with site.operator() as process:
        run.create()
        assert run.pod()
        assert process.stop() == 0


@pytest.mark.parametrize("ruled", ["restricted-v2"], indirect=True)
def test_openshifts_ranges_are_kept_with_its_values_and_not_without(site: Site, kubectl: RunKubectl) -> None:
    run = Run(kubectl, site.namespace)
    site.release.do("install", *site.chart)
    with site.operator():
        run.create()
        assert "must be in the ranges" in run.becomes(phase="Pending", reason="PodRefused", seconds=60)["message"]
        run.call("delete", "bft", "minimal", "--cascade=foreground", "--timeout=60s")
    until(lambda: json.dumps(run.items("replicasets")).count("FailedCreate") == 2, lambda: run.items("replicasets"))
    assert site.pods() == []
    site.release.do("uninstall", "--wait")

    works(site, run, *site.chart, f"--values={CHART}/ci/openshift-values.yaml")


@pytest.mark.parametrize("ruled", ["restricted-v2"], indirect=True)
def test_a_user_and_a_group_of_openshifts_range_may_be_named(site: Site, kubectl: RunKubectl) -> None:
    """The chart's own are 65532, which is in no namespace's range."""
    run, user = Run(kubectl, site.namespace), 1000670000
    named = (
        "podSecurityContext.runAsUser",
        "trainer.podSecurityContext.runAsUser",
        "trainer.podSecurityContext.fsGroup",
    )
    works(site, run, *site.chart, *(f"--set={value}={user}" for value in named))
    assert {pod["spec"]["securityContext"]["runAsUser"] for pod in run.items("pods")} == {user}
    trainer = json.loads(run.call("get", "pod", run.pod(), "--output=json"))
    assert trainer["spec"]["securityContext"]["fsGroup"] == user


@pytest.mark.parametrize("ruled", ["required-label"], indirect=True)
def test_a_label_that_is_required_can_be_given_by_the_site_and_by_a_run(
    site: Site, kubectl: RunKubectl, kubeconfig: str, tmp_path: Path
) -> None:
    run = Run(kubectl, site.namespace)
    refused = site.release.try_to("install", *site.chart)
    assert "The label team is required." in refused.stderr
    site.release.do("uninstall", "--ignore-not-found")
    with Operator(kubeconfig, tmp_path / "plain.log", watch_namespaces=run.namespace) as process:
        run.create()
        assert "label team is required" in run.becomes(phase="Pending", reason="JobRefused", seconds=60)["message"]
        run.call("delete", "bft", "minimal")
        run.create(trainer={"metadata": {"labels": {"team": "nlp"}}})
        assert run.pod()
        run.call("delete", "bft", "minimal", "--cascade=foreground", "--timeout=60s")
        assert process.stop() == 0

    works(site, run, *site.chart, f"--values={CHART}/ci/policies-values.yaml")


def test_a_runtime_class_that_is_not_there_is_told(
    kubectl: RunKubectl, kubeconfig: str, namespace: str, tmp_path: Path
) -> None:
    run = Run(kubectl, namespace)
    settings = {"watch_namespaces": namespace, "ascend_runtime_class_name": "other"}
    with installed_operators_paused(kubectl), Operator(kubeconfig, tmp_path / "log", **settings) as process:
        run.create()
        message = run.becomes(phase="Pending", reason="PodRefused", seconds=60)["message"]
        assert 'RuntimeClass "other" not found' in message
        runtime = {
            "apiVersion": "node.k8s.io/v1",
            "kind": "RuntimeClass",
            "metadata": {"name": "other"},
            "handler": "any",
        }
        kubectl("create", "--filename=-", stdin=json.dumps(runtime))
        try:
            pod = run.pod()
            assert json.loads(run.call("get", "pod", pod, "--output=json"))["spec"]["runtimeClassName"] == "other"
        finally:
            kubectl("delete", "runtimeclass", "other")
        assert process.stop() == 0
