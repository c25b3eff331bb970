"""The real Kueue holds and admits runs, and the operator, under exactly the chart's rights, tells why one waits."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bertfinetune_operator.decision import kueue as words
from lab.cluster import kueue
from lab.cluster.kubectl import RunKubectl
from lab.cluster.local import KUBECTL
from lab.operator.installed import installed_operators_paused, service_account
from lab.operator.played import RESULT, Run
from lab.operator.process import Operator, until
from support.helm import CHART, HELMS, IMAGES, Release

Raw = dict[str, Any]
CARD = "huawei.com/Ascend910"
QUEUED = {"scheduling": {"queue": "team"}}
RELEASE, SYSTEM = "with-kueue", "kube-public"
ROLE = f"{RELEASE}:{SYSTEM}"


@pytest.fixture(scope="module")
def operator(
    crd: None, kubeconfig: str, kubectl: RunKubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Operator]:
    del crd  # it is there
    folder = tmp_path_factory.mktemp(RELEASE)
    rights = {"rbac.kueueWorkloads": True}
    with (
        kueue.running(),
        installed_operators_paused(kubectl),
        service_account(kubectl, kubeconfig, folder, RELEASE, SYSTEM, **rights) as config,
        Operator(config, folder / "log") as process,
    ):
        yield process


class Queue:
    """A ClusterQueue with some cards, and the namespaces that share it by a LocalQueue of the name team."""

    def __init__(self, name: str, cards: int = 1) -> None:
        self.name = name
        KUBECTL.apply(yaml.safe_dump_all(kueue.queue(name, {CARD: cards})))

    def serve(self, run: Run) -> None:
        run.call("apply", "--filename=-", stdin=json.dumps(kueue.local_queue("team", self.name)))

    def stop(self, policy: str) -> None:
        patch = json.dumps({"spec": {"stopPolicy": policy}})
        KUBECTL.run("patch", "clusterqueue", self.name, "--type=merge", f"--patch={patch}")


@pytest.fixture
def run(operator: Operator, kubectl: RunKubectl, namespace: str) -> Run:
    assert operator.process.poll() is None
    kueue.manage(namespace)
    return Run(kubectl, namespace)


@pytest.fixture
def cards(run: Run) -> Queue:
    """A queue with one card for the run's namespace alone."""
    queue = Queue(run.namespace)
    queue.serve(run)
    return queue


def told(run: Run, words: str, reason: str) -> str:
    """Wait until the status has the reason and says the words; the whole sentence."""

    def status() -> Raw:
        return dict(run.get().get("status", {}))

    def is_told() -> bool:
        return status().get("reason") == reason and words in status()["message"]

    until(is_told, status, 90)
    assert status()["phase"] == "Queued"
    return str(status()["message"])


@pytest.mark.usefixtures("cards")
def test_an_admitted_run_goes_on_to_its_end(run: Run) -> None:
    run.create(**QUEUED)
    run.end(run.pod(), 0, RESULT)
    run.becomes(phase="Succeeded")
    (workload,) = run.items("workloads")
    finished = {c["type"]: c["status"] for c in workload["status"]["conditions"]}
    assert (finished["Admitted"], finished["Finished"]) == ("True", "True")


def test_a_run_waits_for_quota_with_kueues_reason_and_follows(cards: Queue, run: Run, kubectl: RunKubectl) -> None:
    other = Run(kubectl, f"{run.namespace}-2")
    kubectl("create", "namespace", other.namespace)
    try:
        kueue.manage(other.namespace)
        cards.serve(other)
        run.create(**QUEUED)
        pod = run.pod()
        other.create(**QUEUED)
        assert "insufficient unused quota" in told(other, CARD, "Queued")
        assert other.items("pods") == []
        run.end(pod, 0, RESULT)
        other.end(other.pod(), 0, RESULT)
        other.becomes(phase="Succeeded")
    finally:
        kubectl("delete", "namespace", other.namespace, "--wait=false")


def test_a_quota_that_never_suffices_is_told(run: Run) -> None:
    Queue(run.namespace, cards=0).serve(run)
    run.create(**QUEUED)
    assert "maximum capacity (0)" in told(run, CARD, "Queued")


@pytest.mark.usefixtures("cards")
def test_a_resource_that_the_queue_does_not_cover_is_told_with_a_warning(run: Run) -> None:
    run.create(**QUEUED, trainer={"resources": {"requests": {"cpu": "100m"}}})
    assert "resource cpu unavailable in ClusterQueue" in told(run, "cpu", "Inadmissible")


def test_a_local_queue_that_does_not_exist_is_told_with_a_warning(run: Run) -> None:
    run.create(**QUEUED)
    message = told(run, "LocalQueue team", "Inadmissible")
    assert message == "Inadmissible: LocalQueue team doesn't exist"
    until(lambda: ("Queued", f"Inadmissible: {message}") in run.events(), run.events)
    Queue(run.namespace).serve(run)
    run.pod()


def test_a_stopped_queue_is_told_and_the_run_goes_on_after_it(cards: Queue, run: Run) -> None:
    cards.stop("Hold")
    run.create(**QUEUED)
    told(run, f"ClusterQueue {cards.name} is inactive", "Inadmissible")
    cards.stop("None")
    run.pod()


@pytest.mark.usefixtures("cards")
def test_a_deactivated_workload_is_told(run: Run) -> None:
    run.create(**QUEUED)
    run.pod()
    (workload,) = run.items("workloads")
    run.patch("workload", workload["metadata"]["name"], {"spec": {"active": False}})
    told(run, "Deactivated: The workload is deactivated", "Inadmissible")


def test_without_the_right_to_read_it_the_status_says_so(kubectl: RunKubectl, run: Run) -> None:
    rules = json.loads(kubectl("get", "clusterrole", ROLE, "--output=json").stdout)["rules"]
    fewer = [rule for rule in rules if "workloads" not in rule["resources"]]
    assert len(fewer) < len(rules)
    kubectl("patch", "clusterrole", ROLE, "--type=merge", f"--patch={json.dumps({'rules': fewer})}")
    try:
        run.create(**QUEUED)
        run.becomes(phase="Queued", message=words.UNREADABLE, seconds=60)
    finally:
        kubectl("patch", "clusterrole", ROLE, "--type=merge", f"--patch={json.dumps({'rules': rules})}")


@pytest.mark.parametrize("program", HELMS)
@pytest.mark.usefixtures("operator")
def test_a_release_asks_for_the_right_where_kueue_is(namespace: str, program: str) -> None:
    release = Release(namespace, namespace)
    flags = (IMAGES, "--set=crds.install=false", "--dry-run=server")
    rendered = release.do("install", CHART, *flags, program=program)
    assert "apiGroups: [kueue.x-k8s.io]" in rendered
    assert "apiGroups: [kueue.x-k8s.io]" not in release.do(
        "install", CHART, *flags, "--set=rbac.kueueWorkloads=false", program=program
    )
