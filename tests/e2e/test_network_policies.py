"""Runs under enforced network policies: they train and are watched, and nobody else comes in or gets out."""

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import pytest

from cluster import firewall, images
from cluster.layout import NODE_IP
from cluster.processes import wait_until
from demo.mrpc import SAMPLE
from demo.stack import RELEASE, SYSTEM_NAMESPACE
from demo.target import Target
from e2e import support

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
NAMESPACE = "e2e-network"
MONITORING, FOREIGN = "monitoring", "e2e-network-foreign"
METADATA_IP = "169.254.169.254"
CPU = {"accelerator": {"type": "CPU"}, "quality": {"onCollapse": "Accept"}}
TRAINING = {"numTrainEpochs": 2, "trainBatchSize": 16, "evalBatchSize": 16}
"""Long enough to look around meanwhile."""


class Place(NamedTuple):
    """A pod from which a test knocks."""

    namespace: str
    pod: str


class World(NamedTuple):
    """The cluster with what is in it to connect to."""

    target: Target
    website: str
    """Address and port of a server outside of the pods."""
    metadata: str
    """The same of one where a cloud has its metadata service."""
    sha256: str

    def reaches(self, place: Place, address: str) -> bool:
        host, _, port = address.rpartition(":")
        knock = f"import socket; socket.create_connection(({host!r}, {port}), 3)"
        in_pod = (f"--namespace={place.namespace}", "exec", place.pod, "--", "python3.7", "-c", knock)
        done = self.target.kubectl.run(*in_pod, check=False)
        assert done.returncode == 0 or "timed out" in done.stderr or "refused" in done.stderr, done.stderr
        return done.returncode == 0

    def resolves(self, place: Place) -> bool:
        look = "import socket; socket.getaddrinfo('kubernetes.default.svc.cluster.local', 443)"
        in_pod = (f"--namespace={place.namespace}", "exec", place.pod, "--", "python3.7", "-c", look)
        return self.target.kubectl.run(*in_pod, check=False).returncode == 0

    def operator(self) -> str:
        """Where the operator that leads serves its metrics."""
        lease = self.target.kubectl.get("lease", RELEASE, f"--namespace={SYSTEM_NAMESPACE}")
        pod = lease["spec"]["holderIdentity"].rpartition("_")[0]
        status = self.target.kubectl.get("pod", pod, f"--namespace={SYSTEM_NAMESPACE}")["status"]
        return f"{status['podIP']}:9090"

    def start(self, name: str, change: dict) -> None:
        manifest = support.manifest(name, CPU | {"training": TRAINING} | change)
        self.target.kubectl.run(f"--namespace={NAMESPACE}", "create", "--filename=-", stdin=manifest)

    def training(self, name: str) -> tuple[Place, str]:
        """The pod of a run whose progress the operator knows, and the address of its port."""
        has_steps = lambda status: status.get("progress", {}).get("step", 0) >= 1  # noqa: E731
        pod = support.wait_for(self.target, NAMESPACE, name, has_steps, 300)["podName"]
        status = self.target.kubectl.get("pod", pod, f"--namespace={NAMESPACE}")["status"]
        return Place(NAMESPACE, pod), f"{status['podIP']}:8080"


@contextmanager
def address_on_this_node(address: str) -> Iterator[None]:
    subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "address", "delete", f"{address}/32", "dev", "lo"], check=True)


def sleeper(target: Target, namespace: str) -> Place:
    """A pod that does nothing, in a namespace of somebody else's."""
    target.ensure_namespace(namespace)
    container = {
        "name": "sleeper",
        "image": target.deliver(images.TRAINER),
        "command": ["sleep", "3600"],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sleeper", "namespace": namespace}, "spec": spec}
    target.kubectl.apply(json.dumps(pod))
    target.kubectl.run("wait", f"--namespace={namespace}", "--for=condition=Ready", "pod/sleeper", "--timeout=120s")
    return Place(namespace, "sleeper")


@pytest.fixture(scope="module")
def world(installed: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("website")
    archive = folder / "MRPC.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("train.tsv", "dev.tsv"):
            tar.add(SAMPLE / name, arcname=f"MRPC/{name}")
    support.prepare(installed, NAMESPACE, {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE})
    with ExitStack() as stack:
        stack.enter_context(address_on_this_node(METADATA_IP))
        metadata = stack.enter_context(support.website(METADATA_IP, 80, folder))
        website = stack.enter_context(support.website(NODE_IP, 0, folder))
        yield World(installed, website, metadata, hashlib.sha256(archive.read_bytes()).hexdigest())
    for namespace in (NAMESPACE, MONITORING, FOREIGN):
        installed.kubectl.run("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")


def test_only_those_who_may_come_in_and_get_out(world: World) -> None:
    scraper, foreign = (sleeper(world.target, namespace) for namespace in (MONITORING, FOREIGN))
    for address in (world.operator(), world.website, world.metadata):  # nothing else keeps anybody from anything
        assert world.reaches(foreign, address), address
    with firewall.enforced():
        uri = {"url": f"http://{world.website}/MRPC.tar.gz", "sha256": world.sha256}
        world.start("claims", {"training": TRAINING | {"numTrainEpochs": 50}})
        world.start("downloads", {"data": {"source": {"uri": uri}}})
        by_claims, port = world.training("claims")
        by_uri, _ = world.training("downloads")
        doors = (world.website, world.metadata, world.operator(), port)
        open_to = {place: [world.reaches(place, door) for door in doors] for place in (scraper, foreign, by_uri)}
        assert open_to == {
            scraper: [True, True, True, True],
            foreign: [True, True, False, False],
            by_uri: [True, False, False, False],
        }
        assert [world.reaches(by_claims, door) for door in doors[:3]] == [False, False, False]
        assert (world.resolves(by_uri), world.resolves(by_claims)) == (True, False)
        world.target.kubectl.run(f"--namespace={NAMESPACE}", "delete", "bft", "claims")
        ended = lambda status: status.get("phase") in ("Succeeded", "Failed")  # noqa: E731
        status = support.wait_for(world.target, NAMESPACE, "downloads", ended, 600)
        assert status["phase"] == "Succeeded", status
    assert firewall.traces() == []
    assert wait_until(lambda: world.reaches(foreign, world.operator()), 10)


def test_a_trainer_holds_no_token(world: World) -> None:
    world.start("tokenless", {"training": TRAINING | {"numTrainEpochs": 50}})
    starts = lambda status: status.get("phase") in ("Preparing", "Running")  # noqa: E731
    name = support.wait_for(world.target, NAMESPACE, "tokenless", starts, 120)["podName"]
    in_pod = (f"--namespace={NAMESPACE}", "exec", name, "--")
    look = "import os; print(os.listdir('/var/run'), os.path.exists('/var/run/secrets'))"
    listed = world.target.kubectl.run(*in_pod, "python3.7", "-c", look).stdout
    assert listed.split()[-1] == "False", listed
    pod = world.target.kubectl.get("pod", name, f"--namespace={NAMESPACE}")["spec"]
    assert pod["serviceAccountName"] == "default"
    assert [volume for volume in pod["volumes"] if "projected" in volume or "secret" in volume] == []
    world.target.kubectl.run(f"--namespace={NAMESPACE}", "delete", "bft", "tokenless")
