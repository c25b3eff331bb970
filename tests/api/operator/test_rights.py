"""The operator under exactly the chart's rights: it needs each of them, and the API server's audit log has no other."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bertfinetune_operator import naming
from lab.bench.operator import audit
from lab.cluster import kueue
from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import AUDIT_LOG
from lab.operator.installed import installed_operators_paused, service_account, until_it_may_own
from lab.operator.played import Run
from lab.operator.process import Operator, until
from support.helm import CHART, render

pytestmark = pytest.mark.usefixtures("crd")

SYSTEM = "bertfinetune-system"
"""The namespace whose service accounts the audit log is about (tests/lab/cluster/config/audit.yaml)."""
RELEASE = "rights"
CLUSTER_ROLE = f"{RELEASE}:{SYSTEM}"
USER = f"system:serviceaccount:{SYSTEM}:{RELEASE}"

WITHOUT_A_REQUEST = {
    audit.Call("update", "bertfinetunes/finalizers"),
    audit.Call("create", "networkpolicies"),
}
"""What the API server asks for within another request: test_without_it_there_is_no_job shows that it does."""


@pytest.fixture(scope="module")
def operator(kubeconfig: str, kubectl: RunKubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    is_new = kubectl("create", "namespace", SYSTEM).returncode == 0  # else there is an installation in it
    folder = tmp_path_factory.mktemp(RELEASE)
    settings = {"leader_election": "true", "namespace": SYSTEM, "lease_name": RELEASE, "pod_name": f"{RELEASE}-0"}
    settings["trainer_network_policies"] = network_policies()
    with (
        kueue.running(),
        installed_operators_paused(kubectl),
        service_account(kubectl, kubeconfig, folder, RELEASE, SYSTEM, **{"rbac.kueueWorkloads": True}) as config,
    ):
        until_it_may_own(kubectl, USER, SYSTEM)
        with Operator(config, folder / "log", **settings) as process:
            until(process.leads, process.log.read_text)
            yield process
            assert process.stop(signal.SIGTERM) == 0
    if is_new:
        kubectl("delete", "namespace", SYSTEM)


def network_policies() -> str:
    """The setting that the chart gives the operator."""
    deployment = render(RELEASE)["Deployment", "system", f"{RELEASE}-{CHART.name}"]
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return next(v["value"] for v in variables if v["name"] == "BERTFINETUNE_TRAINER_NETWORK_POLICIES")


@pytest.fixture
def run(operator: Operator, kubectl: RunKubectl, namespace: str) -> Run:
    assert operator.process.poll() is None
    return Run(kubectl, namespace)


def granted(kubectl: RunKubectl) -> set[audit.Call]:
    roles = [
        json.loads(kubectl("get", "clusterrole", CLUSTER_ROLE, "--output=json").stdout),
        json.loads(
            kubectl("get", "role", f"{RELEASE}-leader-election", f"--namespace={SYSTEM}", "--output=json").stdout
        ),
    ]
    return {
        audit.Call(verb, resource)
        for role in roles
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_it_uses_every_right_it_has_and_needs_no_other(operator: Operator, kubectl: RunKubectl, run: Run) -> None:
    run.create(scheduling={"queue": "none"})
    run.becomes(phase="Queued", reason="Inadmissible", seconds=60)
    run.call("delete", "bft", "minimal", "--cascade=foreground", "--timeout=60s")
    run.create(suspend=True)
    run.becomes(phase="Suspended")
    name = naming.job_name("minimal", run.get()["metadata"]["uid"], 0)
    run.call("create", "job", name, "--image=somebody-elses")  # what it wants to create is there: it looks at that
    run.change(suspend=False)
    until(lambda: audit.Call("get", "jobs") in used(), operator.log.read_text)
    run.call("delete", "job", name)
    run.change(backoffLimit=2)  # somebody else's Job wakes nobody
    pod = run.pod()
    run.patch("pod", pod, {"metadata": {"annotations": {naming.POD_GROUP: "a-group"}}})
    until(lambda: audit.Call("get", "podgroups") in used(), operator.log.read_text)
    run.end(pod, 65, {"outcome": "Failed", "class": "BadData", "message": "no such file"})
    run.becomes(phase="Failed", reason="BadData")
    run.call("delete", "bft", "minimal", "--cascade=foreground", "--timeout=60s")
    run.call("create", "quota", "none", "--hard=pods=0")
    until(lambda: "hard" in run.items("resourcequotas")[0].get("status", {}), lambda: "the quota is not in force")
    run.create()
    run.becomes(phase="Pending", reason="PodRefused", seconds=60)
    run.change(suspend=True)
    run.becomes(phase="Suspended")
    until(lambda: not run.items("jobs"), operator.log.read_text)
    assert used() == granted(kubectl) - WITHOUT_A_REQUEST
    assert audit.refused(entries(), "", SYSTEM, run.namespace) == []


def entries() -> list[audit.Entry]:
    return [entry for entry in audit.read(AUDIT_LOG) if entry.user == USER and entry.received > SINCE]


def used() -> set[audit.Call]:
    return {entry.call for entry in entries()}


SINCE = datetime.now(UTC)
"""The log holds earlier runs, too."""


@pytest.mark.parametrize(
    ("resource", "verbs", "message"),
    [
        ("bertfinetunes/finalizers", [], "cannot set blockOwnerDeletion"),
        ("networkpolicies", ["patch"], "network policy bert-downloads: networkpolicies.networking.k8s.io"),
    ],
)
def test_without_it_there_is_no_job(
    kubectl: RunKubectl, run: Run, resource: str, verbs: list[str], message: str
) -> None:
    rules = json.loads(kubectl("get", "clusterrole", CLUSTER_ROLE, "--output=json").stdout)["rules"]
    fewer = [rule | {"verbs": verbs} if resource in rule["resources"] else rule for rule in rules]
    change(kubectl, [rule for rule in fewer if rule["verbs"]])
    try:
        run.create()
        assert message in run.becomes(phase="Pending", reason="JobRefused")["message"]
        assert run.items("jobs") == []
    finally:
        change(kubectl, rules)
    run.becomes(reason="Unschedulable", seconds=60)


def change(kubectl: RunKubectl, rules: list[dict[str, object]]) -> None:
    """Give the operator other rules, and the API server's authorizer the time to learn of them."""
    done = kubectl("patch", "clusterrole", CLUSTER_ROLE, "--type=merge", f"--patch={json.dumps({'rules': rules})}")
    assert done.returncode == 0, done.stderr
    time.sleep(1)
