"""Runs under enforced network policies: they train and are watched, and nobody else comes in or gets out."""

import hashlib
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from lab.cluster import firewall
from lab.cluster.layout import KUBECONFIG, NODE_IP
from lab.cluster.processes import wait_until
from lab.demo.mrpc import SAMPLE
from lab.demo.stack import RELEASE, SYSTEM_NAMESPACE
from lab.demo.target import Target
from lab.images import images
from pages import sandbox
from pages.commands import all_commands
from pages.shell import Shell
from support import runs as support

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("alone")]
NAMESPACE = "e2e-network"
MONITORING, FOREIGN = "monitoring", "e2e-network-foreign"
METADATA_IP = "169.254.169.254"
ITS_OWN = None
CPU = {"accelerator": {"type": "CPU"}, "quality": {"onCollapse": "Accept"}}
TRAINING = {"numTrainEpochs": 1, "trainBatchSize": 16, "evalBatchSize": 16}
"""Long enough to look around meanwhile."""


IN_A_POD = re.compile(r"kubectl .* exec .* -- python3")
INSIDE = [command for command in all_commands() if IN_A_POD.search(command.text) and not command.exception]
"""The commands of the pages that ask a trainer or an operator, from inside its pod."""
ANSWERS = ('"step"', "bertfinetune_operator_", "ok")
"""What they answer: /progress, /metrics, /healthz."""


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

    def knocks(self, places: Sequence[Place], doors: Sequence[str]) -> dict[Place, list[bool | None]]:
        """What each place reaches, all at once, since most knocks wait for nothing; None for a pod's own door."""

        def knock(place: Place, door: str) -> bool | None:
            return ITS_OWN if door == self.door(place) else self.reaches(place, door)

        with ThreadPoolExecutor(4) as pool:
            opened = {place: [pool.submit(knock, place, door) for door in doors] for place in places}
            return {place: [each.result() for each in found] for place, found in opened.items()}

    def resolves(self, place: Place) -> bool:
        look = "import socket; socket.getaddrinfo('kubernetes.default.svc.cluster.local', 443)"
        in_pod = (f"--namespace={place.namespace}", "exec", place.pod, "--", "python3.7", "-c", look)
        return self.target.kubectl.run(*in_pod, check=False).returncode == 0

    def leader(self) -> Place:
        """The operator that leads."""
        lease = self.target.kubectl.get("lease", RELEASE, f"--namespace={SYSTEM_NAMESPACE}")
        return Place(SYSTEM_NAMESPACE, lease["spec"]["holderIdentity"].rpartition("_")[0])

    def operator(self) -> str:
        """Where the operator that leads serves its metrics."""
        return self.address(self.leader(), 9090)

    def start(self, name: str, change: dict) -> None:
        manifest = support.manifest(name, CPU | {"training": TRAINING} | change)
        self.target.kubectl.run(f"--namespace={NAMESPACE}", "create", "--filename=-", stdin=manifest)

    def training(self, name: str) -> tuple[Place, str]:
        """The pod of a run whose progress the operator knows, and the address of its port."""
        has_steps = lambda status: status.get("progress", {}).get("step", 0) >= 1  # noqa: E731
        place = Place(NAMESPACE, support.wait_for(self.target, NAMESPACE, name, has_steps, 300)["podName"])
        return place, self.door(place)

    def door(self, place: Place) -> str:
        """The address of a pod's port, if it is a trainer."""
        return self.address(place, 8080)

    def address(self, place: Place, port: int) -> str:
        status = self.target.kubectl.get("pod", place.pod, f"--namespace={place.namespace}")["status"]
        return f"{status['podIP']}:{port}"

    def proxies(self, place: Place, port: int, path: str) -> bool:
        """Whether the API server's proxy gets an answer from a pod."""
        raw = f"--raw=/api/v1/namespaces/{place.namespace}/pods/{place.pod}:{port}/proxy/{path}"
        done = self.target.kubectl.run("get", raw, "--request-timeout=5s", check=False)
        print(raw, done.stderr)  # where it should answer, a failed test shows why it does not
        return done.returncode == 0


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
        assert world.knocks((by_uri, by_claims, scraper, foreign), doors) == {
            scraper: [True, True, True, True],
            foreign: [True, True, False, False],
            by_uri: [True, False, False, False],
            by_claims: [False, False, False, ITS_OWN],
        }
        assert (world.resolves(by_uri), world.resolves(by_claims)) == (True, False)
        world.target.kubectl.run(f"--namespace={NAMESPACE}", "delete", "bft", "claims")
        ended = lambda status: status.get("phase") in ("Succeeded", "Failed")  # noqa: E731
        status = support.wait_for(world.target, NAMESPACE, "downloads", ended, 600)
        assert status["phase"] == "Succeeded", status
    assert firewall.traces() == []
    assert wait_until(lambda: world.reaches(foreign, world.operator()), 10)


def test_a_runbooks_questions_reach_a_pod_whose_node_is_not_the_api_servers(world: World, tmp_path: Path) -> None:
    """P7: asked from where an administrator stands, a healthy run answers."""
    world.start("asked", {"training": TRAINING | {"numTrainEpochs": 50}})
    trainer, _ = world.training("asked")
    operator = world.leader()
    assert world.proxies(trainer, 8080, "progress")
    with firewall.enforced(), firewall.api_server_elsewhere():
        assert not world.proxies(trainer, 8080, "progress")
        assert not world.proxies(operator, 9090, "metrics")
        with Shell(tmp_path, sandbox.environment() | {"KUBECONFIG": str(KUBECONFIG)}) as shell:
            for command in INSIDE:
                asked = operator if SYSTEM_NAMESPACE in command.text else trainer
                text = re.sub(r"\bPOD\b", asked.pod, re.sub(r"\bNAMESPACE\b", asked.namespace, command.text))
                done = shell.run(text, 30)
                assert done.status == 0, f"{command.page}:{command.line}: {done.output}"
                assert any(word in done.output for word in ANSWERS), f"{command.page}:{command.line}: {done.output}"
    assert {command.page.rpartition("/")[2] for command in INSIDE} >= {
        "BertFinetuneStalled.md",
        "BertFinetuneOperatorNotReconciling.md",
        "BertFinetuneOperatorWatchStale.md",
        "troubleshooting.md",
    }
    world.target.kubectl.run(f"--namespace={NAMESPACE}", "delete", "bft", "asked")
