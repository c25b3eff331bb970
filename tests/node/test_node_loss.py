"""A node that vanishes while it trains: Kubernetes gives its pod up, another one goes on from the checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cluster import components, local, processes
from lab.cluster.layout import KUBECONFIG, NODE_NAME
from lab.demo import stack
from lab.demo.mrpc import SAMPLE
from lab.demo.stack import RELEASE, SYSTEM_NAMESPACE
from lab.demo.target import Target
from lab.images import images
from lab.operator.process import Operator
from node.season import ACCEPT, CPU, ONE_EPOCH
from support import runs as support

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("alone")]
NAMESPACE = "e2e-node-loss"


@pytest.fixture
def prepared(installed: Target, tmp_path: Path) -> Iterator[Target]:
    """The only node will be lost, so the operator runs beside the cluster."""
    kubectl, scale = installed.kubectl, (f"--namespace={SYSTEM_NAMESPACE}", "scale", f"deployment/{RELEASE}")
    support.prepare(installed, NAMESPACE, {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE})
    kubectl.run(*scale, "--replicas=0")
    operator = Operator(KUBECONFIG, tmp_path / "log", trainer_image_cpu=images.TRAINER.reference())
    operator.start()
    yield installed
    operator.stop()
    kubectl.run(*scale, "--replicas=2")
    kubectl.run(f"--namespace={SYSTEM_NAMESPACE}", "rollout", "status", f"deployment/{RELEASE}", "--timeout=120s")
    kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def node(prepared: Target) -> Iterator["Node"]:
    node = Node(prepared)
    yield node
    node.find()


class Node:
    """The cluster's node, which may be lost and found."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._kubectl = target.kubectl
        self._kubelet = components.kubelet()

    def lose(self) -> None:
        """Take its power: nothing on it says a word about its end."""
        processes.stop(self._kubelet)
        local.kill_containers()  # all: two device plugins would meet when the node comes back
        self._kubectl.run("delete", "node", NODE_NAME)

    def find(self) -> None:
        """Start the kubelet again, which registers the node; nothing happens where it runs."""
        if not processes.running_pid(self._kubelet):
            processes.start(self._kubelet)
            there = ("get", "node", NODE_NAME)
            processes.wait_ready(self._kubelet, lambda: self._kubectl.run(*there, check=False).returncode == 0, 60)
            self._kubectl.run("wait", "--for=condition=Ready", f"node/{NODE_NAME}", "--timeout=90s")
            stack.start_simulated_cards(self._target)
            self._kubectl.run("--namespace=kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s")


def test_a_lost_node_costs_the_steps_since_the_last_checkpoint(prepared: Target, node: Node) -> None:
    manifest = support.manifest("lost", CPU | ACCEPT | {"training": ONE_EPOCH})
    prepared.kubectl.run(f"--namespace={NAMESPACE}", "create", "--filename=-", stdin=manifest)
    before = support.wait_for(prepared, NAMESPACE, "lost", lambda s: s.get("progress", {}).get("step", 0) >= 8, 300)
    node.lose()
    status = support.wait_for(prepared, NAMESPACE, "lost", lambda s: s["phase"] == "Retrying", 180)
    assert status["lastFailure"]["class"] == "NodeLost", status
    assert status["retries"] == 0
    node.find()
    status = support.wait_for(prepared, NAMESPACE, "lost", lambda s: s["phase"] in ("Succeeded", "Failed"), 600)
    assert (status["phase"], status["retries"]) == ("Succeeded", 0), status
    assert status["podName"] != before["podName"]
    log = prepared.kubectl.run(f"--namespace={NAMESPACE}", "logs", status["podName"]).stdout
    assert "resuming" in log
