"""Fixtures for tests marked ``cluster``: this machine's Kubernetes, started if it is down and then stopped again."""

import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings

from cluster import local
from cluster.layout import KUBECONFIG, NODE_IP, PROJECT
from cluster.processes import wait_until
from demo import stack
from demo.target import Target

CRDS = PROJECT / ".build" / "crds"
settings.register_profile("no deadline", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("no deadline")

RunKubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """The local cluster, without our operator."""
    was_up = local.is_up()
    local.up()
    yield Target(local.KUBECTL, None)
    if not was_up:
        local.down()
        assert traces_of_the_cluster() == []


def traces_of_the_cluster() -> list[str]:
    """What a clean shut-down must not leave: processes, mounts, our address, kube-proxy's and kubelet's rules."""
    looks = {
        "/run/bertfinetune-cluster/": ["ps", "-eo", "args"],
        "/bertfinetune-cluster/": ["mount"],
        NODE_IP: ["ip", "address"],
        "KUBE-": ["iptables-save"],
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
def prometheus_operator(target: Target) -> Iterator[None]:
    """The Prometheus Operator's CRDs, without the operator."""
    folder = f"--filename={CRDS}"
    target.kubectl.run("apply", "--server-side", folder)
    # kubectl wait gives up at once on an object that has no conditions yet
    wait = ("wait", "--for=condition=Established", "--timeout=10s", folder)
    assert wait_until(lambda: target.kubectl.run(*wait, check=False).returncode == 0, 30)
    yield
    target.kubectl.run("delete", folder)


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
