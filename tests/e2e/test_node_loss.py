"""A node that vanishes while it trains: Kubernetes gives its pod up, another one goes on from the checkpoint."""

import subprocess
from collections.abc import Iterator

import pytest

from cluster import components, processes
from cluster.layout import CONTAINERD_SOCKET, NODE_NAME
from demo import claims
from demo.mrpc import SAMPLE
from demo.target import Target
from e2e import support

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
NAMESPACE = "e2e-node-loss"


@pytest.fixture
def prepared(installed: Target) -> Iterator[Target]:
    installed.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    claims.ensure(
        installed,
        NAMESPACE,
        {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE, "bert-output": None},
    )
    yield installed
    installed.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


def kill_containers_of(pod: str) -> None:
    """As a node does that loses power: nobody says a word about it."""
    ctr = ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io"]
    of_the_pod = f'labels."io.kubernetes.pod.name"=={pod}'
    found = subprocess.run(
        [*ctr, "containers", "ls", "--quiet", of_the_pod], check=True, capture_output=True, text=True
    )
    for container in found.stdout.split():
        subprocess.run([*ctr, "tasks", "kill", "--all", "--signal=KILL", container], check=True)


def test_a_lost_node_costs_the_steps_since_the_last_checkpoint(prepared: Target) -> None:
    training = {"numTrainEpochs": 1, "trainBatchSize": 16, "evalBatchSize": 16, "saveCheckpointsSteps": 5}
    accept = {"onCollapse": "Accept"}  # so few steps learn nothing
    manifest = support.manifest("lost", {"training": training, "accelerator": {"type": "CPU"}, "quality": accept})
    prepared.kubectl.run(f"--namespace={NAMESPACE}", "create", "--filename=-", stdin=manifest)
    before = support.wait_for(prepared, NAMESPACE, "lost", lambda s: s.get("progress", {}).get("step", 0) >= 8, 300)
    kubelet = components.kubelet()
    processes.stop(kubelet)
    kill_containers_of(before["podName"])
    prepared.kubectl.run("delete", "node", NODE_NAME)
    status = support.wait_for(prepared, NAMESPACE, "lost", lambda s: s["phase"] == "Retrying", 180)
    assert status["lastFailure"]["class"] == "NodeLost", status
    assert status["retries"] == 0
    processes.start(kubelet)
    there = ("get", "node", NODE_NAME)
    processes.wait_ready(kubelet, lambda: prepared.kubectl.run(*there, check=False).returncode == 0, 60)
    status = support.wait_for(prepared, NAMESPACE, "lost", lambda s: s["phase"] in ("Succeeded", "Failed"), 600)
    assert (status["phase"], status["retries"]) == ("Succeeded", 0), status
    assert status["podName"] != before["podName"]
    log = prepared.kubectl.run(f"--namespace={NAMESPACE}", "logs", status["podName"]).stdout
    assert "resuming" in log
