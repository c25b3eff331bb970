"""What the operator knows of the API server's objects, when watches break and namespaces cannot be read."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from api.operator.world import World, restart_api_server, temporary, through
from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import API_PORT, NODE_IP
from lab.operator.installed import installed_operators_paused, service_account, until_it_may_own
from lab.operator.process import Operator, until
from lab.operator.proxy import Proxy

pytestmark = pytest.mark.usefixtures("crd")

PASSES = 'bertfinetune_operator_reconciles_total{result="success"}'
SYSTEM = "kube-public"
"""A namespace that is there, for the operator's rights."""


@pytest.fixture(autouse=True)
def _alone(kubectl: RunKubectl) -> Iterator[None]:
    with installed_operators_paused(kubectl):
        yield


def uids(world: World, owner: str) -> list[str]:
    """The Jobs of an object."""
    jobs = world.items("jobs")
    return [job["metadata"]["uid"] for job in jobs if job["metadata"]["ownerReferences"][0]["name"] == owner]


def is_settled(operator: Operator) -> bool:
    """Whether the operator has had nothing to do for longer than a change of a status waits to be written."""
    passes = operator.metric(PASSES)
    time.sleep(2)
    return operator.metric(PASSES) == passes


@contextmanager
def seen_jobs(kubeconfig: str, namespace: str, file: Path) -> Iterator[None]:
    """Write a line for each change of a Job, also of one that is there for a moment only."""
    command = ["kubectl", f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"]
    with file.open("w") as output:
        watching = subprocess.Popen([*command, "get", "jobs", "--watch", "--output=name"], stdout=output)
    try:
        yield
    finally:
        watching.terminate()
        watching.wait(10)


def test_what_went_while_no_watch_told_of_it_is_forgotten_and_nothing_is_created_for_it(
    start: Callable[..., Operator], kubectl: RunKubectl, namespace: str, kubeconfig: str, tmp_path: Path
) -> None:
    """An object, a Job and a pod; the API server has no history of it, so that the watches cannot go on."""
    world = World(kubectl, namespace)
    with Proxy(NODE_IP, API_PORT) as proxy:
        config = through(proxy, kubeconfig, tmp_path)
        operator = start("only", config, watch_timeout="60", watch_namespaces=namespace)  # no resync comes first
        world.create("ghost", "childless")
        until(lambda: len(world.items("pods")) == 2, operator.log.read_text)
        pending = f'bertfinetunes{{namespace="{namespace}",phase="Pending"}}'
        until(lambda: operator.metric(pending) == 2, operator.log.read_text)
        until(lambda: is_settled(operator), operator.log.read_text)  # no write is left that would find the object gone

        proxy.cut()
        before = uids(world, "childless")
        world.call("delete", "bft", "ghost")
        world.call("delete", "jobs", "--all")
        until(lambda: not world.items("jobs") and not world.items("pods"), lambda: world.items("pods"))
        restart_api_server(kubectl)
        with seen_jobs(kubeconfig, namespace, tmp_path / "jobs"):
            proxy.speak()
            # only once both its Job and its pod are known to be gone
            until(lambda: uids(world, "childless") not in ([], before), operator.log.read_text, 60)
            until(lambda: operator.metric(pending) == 1, operator.log.read_text, 60)
        assert "job.batch/childless-" in (tmp_path / "jobs").read_text()
        assert "ghost" not in (tmp_path / "jobs").read_text()
        for path in ("jobs", "pods"):
            assert f"namespaces/{namespace}/{path}: listing again: too old resource version" in operator.log.read_text()
        assert operator.stop() == 0


def test_a_namespace_of_several_that_cannot_be_read_leaves_the_others_served(
    start: Callable[..., Operator], kubectl: RunKubectl, namespace: str, kubeconfig: str, tmp_path: Path
) -> None:
    """It is not there when the operator starts, then comes with its rights, goes, and comes back."""
    here, there = World(kubectl, namespace), World(kubectl, f"{namespace}-other")
    refused = 'bertfinetune_operator_api_requests_total{code="403",verb="list"}'
    served = iter(range(100))

    def is_served(world: World) -> None:
        name = f"run-{next(served)}"
        world.create(name)
        until(lambda: world.phase(name) == "Pending", operator.log.read_text, 60)

    with ExitStack() as rights:

        def grant(*namespaces: str) -> Path:
            release = service_account(kubectl, kubeconfig, tmp_path, "op", SYSTEM, watchNamespaces=list(namespaces))
            config = rights.enter_context(release)
            for granted in namespaces:
                until_it_may_own(kubectl, f"system:serviceaccount:{SYSTEM}:op", granted)
            return config

        config = grant(namespace)
        watched = f"{namespace},{there.namespace}"
        operator = start("only", config, watch_namespaces=watched, watch_timeout="5")
        is_served(here)
        assert operator.metric(refused) > 0
        assert f"namespaces/{there.namespace}/jobs: " in operator.log.read_text()

        for _ in range(2):
            with temporary(kubectl, there.namespace):
                there.call("create", "quota", "no-pods", "--hard=count/pods=0")  # they would only take time to end
                grant(namespace, there.namespace)
                is_served(there)
            gone = kubectl("wait", "namespace", there.namespace, "--for=delete", "--timeout=90s")
            assert gone.returncode == 0, kubectl("get", "namespace", there.namespace, "--output=yaml").stdout
            is_served(here)
        until(lambda: operator.get("/healthz").status == 200, operator.log.read_text)
        assert operator.stop() == 0
