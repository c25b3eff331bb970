"""Commands of the page about a cluster in use that no other test runs: a node is drained, a claim gets more room.

The scheduler and the API server are real; the test plays kubelet, trainer and the storage's driver.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bertfinetune_operator import contract
from lab.cluster.kubectl import RunKubectl
from lab.demo.target import Target
from lab.operator.installed import installed_operators_paused
from lab.operator.played import STARTED, Run
from lab.operator.process import Operator, until
from pages.commands import blocks

Raw = dict[str, Any]
PAGE = "operator/docs/day-2.md"
ROOM = {"cpu": "64", "memory": "256Gi", "pods": "100", "ephemeral-storage": "1Ti", "huawei.com/Ascend910": "8"}
READY: Raw = {"status": {"allocatable": ROOM, "capacity": ROOM, "conditions": [{"type": "Ready", "status": "True"}]}}
FOLDER = {"hostPath": {"path": "/srv"}}


def of_the_page(beginning: str, word: str, value: str) -> list[str]:
    """The arguments of the page's kubectl command that begins so, with a word replaced."""
    (found,) = {tuple(c.words) for block in blocks(PAGE) for c in block if " ".join(c.words).startswith(beginning)}
    return [argument.replace(word, value) for argument in found[1:]]


@pytest.fixture
def node(kubectl: RunKubectl, namespace: str) -> Iterator[str]:
    """A ready node for the test's pods alone: another one's, too, is called after the test's namespace."""
    labels = {"of": namespace}
    raw = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": namespace, "labels": labels}}
    kubectl("create", "--filename=-", stdin=json.dumps(raw))
    kubectl("patch", "node", namespace, "--subresource=status", f"--patch={json.dumps(READY)}")
    taints = ("get", "node", namespace, "--output=jsonpath={.spec.taints}")
    until(lambda: kubectl(*taints).stdout == "", lambda: "the node controller leaves the taint of a new node")
    yield namespace
    kubectl("delete", "node", namespace)


@pytest.fixture
def run(kubectl: RunKubectl, kubeconfig: str, namespace: str, tmp_path: Path) -> Iterator[Run]:
    with installed_operators_paused(kubectl), Operator(kubeconfig, tmp_path / "log", watch_namespaces=namespace):
        yield Run(kubectl, namespace)


def daemon(node: str) -> Raw:
    """What each node has a pod of, such as a device plugin."""
    labels = {"app": "daemon"}
    pod = {
        "nodeSelector": {"of": node},
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "a", "image": "i"}],
    }
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "daemon"}, "spec": spec}


@pytest.mark.usefixtures("crd")
@pytest.mark.parametrize(("code", "class_"), [(contract.EXIT_INTERRUPTED, "Interrupted"), (137, "Evicted")])
def test_a_drained_node_is_left_by_its_run_which_counts_no_failure(
    target: Target, run: Run, node: str, code: int, class_: str
) -> None:
    kubectl = target.kubectl
    run.call("create", "--filename=-", stdin=json.dumps(daemon(node)))
    places = {"model": {"source": FOLDER}, "data": {"source": FOLDER}, "output": FOLDER}
    run.create(scheduling={"nodeSelector": {"of": node}}, **places)
    pod = run.pod()
    where = "--output=jsonpath={.items[*].spec.nodeName}"
    until(lambda: run.call("get", "pods", where) == f"{node} {node}", lambda: run.call("get", "pods", "--output=wide"))
    run.report(pod, "Running", {"running": STARTED})
    run.becomes(phase="Preparing")

    drain = of_the_page("kubectl drain", "NODE", node)
    assert drain == ["drain", node, "--ignore-daemonsets", "--delete-emptydir-data"]
    refused = [kubectl.run(*drain[:2], flag, check=False) for flag in drain[2:]]
    assert [done.returncode for done in refused] == [1, 1]
    assert "cannot delete Pods with local storage (use --delete-emptydir-data to override)" in refused[0].stderr
    assert "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)" in refused[1].stderr

    kubectl.run(*of_the_page("kubectl cordon", "NODE", node))
    with subprocess.Popen([*kubectl.argv, *drain], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as done:
        deleted = ("get", "pod", pod, "--output=jsonpath={.metadata.deletionTimestamp}")
        until(lambda: run.call(*deleted), lambda: "the drain evicts no pod")
        run.end(pod, code, {"outcome": "Failed", "message": "SIGTERM"})
        run.call("delete", "pod", pod, "--grace-period=0", "--force", "--ignore-not-found")
        said, _ = done.communicate(timeout=60)
    assert (done.returncode, f"node/{node} drained" in said) == (0, True), said

    status = run.becomes(phase="Retrying", reason="Unschedulable", retries=0, attempt=0)  # the node is still cordoned
    assert (status["lastFailure"]["class"], status["lastFailure"]["pod"]) == (class_, pod)
    second = run.pod()
    kubectl.run(*of_the_page("kubectl uncordon", "NODE", node))
    until(
        lambda: run.call("get", "pod", second, "--output=jsonpath={.spec.nodeName}") == node,
        lambda: run.call("describe", "pod", second),
    )


def storage(name: str, expands: bool) -> list[Raw]:
    """A class, and a volume of it for the claim of a first run."""
    of_class = {"storageClassName": name, "accessModes": ["ReadWriteMany"]}
    kind = {"kind": "StorageClass", "apiVersion": "storage.k8s.io/v1", "provisioner": "none.example.com"}
    room = {"capacity": {"storage": "100Gi"}, "nfs": {"server": "nfs.example.com", "path": "/"}}
    wanted = {"resources": {"requests": {"storage": "100Gi"}}}
    return [
        kind | {"metadata": {"name": name}, "allowVolumeExpansion": expands},
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": of_class | room},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "bert-output"},
            "spec": of_class | wanted,
        },
    ]


@pytest.mark.parametrize("expands", [True, False])
def test_a_claim_may_ask_for_more_room_where_its_class_expands(
    kubectl: RunKubectl, namespace: str, expands: bool
) -> None:
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": storage(namespace, expands)})
    here = f"--namespace={namespace}"
    made = kubectl("create", "--filename=-", here, stdin=objects)
    assert made.returncode == 0, made.stderr
    claim = ("persistentvolumeclaim/bert-output", here)
    try:
        bound = kubectl("wait", *claim, "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
        assert bound.returncode == 0, bound.stderr
        done = kubectl(*of_the_page("kubectl --namespace=research patch persistentvolumeclaim", "research", namespace))
        asked = kubectl("get", *claim, "--output=jsonpath={.spec.resources.requests.storage}").stdout
        assert (done.returncode == 0, asked) == ((True, "200Gi") if expands else (False, "100Gi"))
        assert expands or "must support resize" in done.stderr
    finally:
        kubectl("delete", "--filename=-", here, stdin=objects)
