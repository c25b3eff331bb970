"""This machine's Kubernetes for the tests that ask for it: started if it is down, and then stopped again."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from lab.cluster import local
from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import CRD, KUBECONFIG, NODE_IP, PROJECT
from lab.demo import stack
from lab.demo.target import Target

CRDS_OF_OTHERS = PROJECT / ".build" / "crds"
CRDS_OF_PEERS = PROJECT / ".build" / "crds-of-peers"
settings.register_profile("generous", deadline=5000)  # ms; a busy machine is no reason to fail
settings.load_profile("generous")


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """The local cluster, without our operator."""
    if local.is_up():
        yield Target(local.KUBECTL, None)
        return
    try:
        local.up()
        yield Target(local.KUBECTL, None)
    finally:  # also what started before something else did not
        local.down()
    assert traces_of_the_cluster() == []


def traces_of_the_cluster() -> list[str]:
    """What a clean shut-down must not leave: processes, mounts, our address, kube-proxy's and kubelet's rules."""
    looks = {
        "/run/bertfinetune-cluster/": ["ps", "-eo", "args"],
        "/bertfinetune-cluster/": ["mount"],
        NODE_IP: ["ip", "address"],
        "KUBE-": ["sh", "-c", "iptables-save; ! command -v ipset >/dev/null || ipset list -name"],
    }
    seen = {
        mark: subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for mark, command in looks.items()
    }
    return [line for mark, output in seen.items() for line in output.splitlines() if mark in line]


@pytest.fixture(scope="session")
def installed(target: Target) -> Target:
    """The local cluster with simulated cards and the operator installed from the chart."""
    stack.install(target)
    return target


@pytest.fixture(scope="module")
def crd(target: Target) -> None:
    """The API server serves the project's CRD, as the chart's own, which a later installation adopts."""
    serve(target, CRD)
    release = (f"meta.helm.sh/release-name={stack.RELEASE}", f"meta.helm.sh/release-namespace={stack.SYSTEM_NAMESPACE}")
    target.kubectl.run("label", "--overwrite", f"--filename={CRD}", "app.kubernetes.io/managed-by=Helm")
    target.kubectl.run("annotate", "--overwrite", f"--filename={CRD}", *release)


@pytest.fixture(scope="module")
def crds_of_others(target: Target) -> Iterator[None]:
    """The CRDs of the Prometheus Operator and of Istio, without the programs that act on them."""
    yield from served(target, CRDS_OF_OTHERS)


@pytest.fixture(scope="module")
def crds_of_peers(target: Target) -> Iterator[None]:
    """The CRDs of the products that operator/docs/alternatives.md compares with, without their programs."""
    yield from served(target, CRDS_OF_PEERS)


def served(target: Target, crds: Path) -> Iterator[None]:
    """Serve the CRDs of a folder until the generator is closed."""
    serve(target, crds)
    yield
    target.kubectl.run("delete", f"--filename={crds}")


def serve(target: Target, crds: Path) -> None:
    """Apply the CRDs of a file or folder and wait until the API server serves them."""
    target.kubectl.run("apply", "--server-side", "--force-conflicts", f"--filename={crds}")
    target.kubectl.until_established(f"--filename={crds}")


@pytest.fixture(scope="session")
def kubeconfig(target: Target) -> str:
    """Path of an admin kubeconfig of the local cluster."""
    assert target.is_local
    return str(KUBECONFIG)


@pytest.fixture(scope="session")
def kubectl(target: Target) -> RunKubectl:
    """Call kubectl and look at what it says: never raises."""

    def run(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return target.kubectl.run(*arguments, stdin=stdin, check=False)

    return run


@pytest.fixture
def namespace(target: Target) -> Iterator[str]:
    """A namespace of the test's own, deleted with all that is in it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    target.kubectl.run("create", "namespace", name)
    yield name
    target.kubectl.run("delete", "namespace", name, "--wait=false")
