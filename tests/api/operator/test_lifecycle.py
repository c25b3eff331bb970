"""The life of the operator's process against a real API server: replicas, silence, restarts, rights, its end."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.operator.world import World, restart_api_server, temporary, through
from bertfinetune_operator.kinds import KINDS
from lab.cluster.kubectl import RunKubectl
from lab.cluster.layout import API_PORT, NODE_IP
from lab.operator.installed import installed_operators_paused, service_account
from lab.operator.process import Operator, until
from lab.operator.proxy import Proxy

pytestmark = pytest.mark.usefixtures("crd")

SYSTEM = "kube-public"
"""A namespace that is there, for the lease."""


@pytest.fixture
def world(kubectl: RunKubectl, namespace: str) -> Iterator[World]:
    """Without an operator in it; deployed ones would be a third replica that no test counts on."""
    with installed_operators_paused(kubectl):
        world = World(kubectl, namespace)
        world.call("create", "quota", "no-pods", "--hard=count/pods=0")  # they would only take time
        yield world


def replica(start: Callable[..., Operator], name: str, lease: str, **settings: Any) -> Operator:
    return start(name, leader_election="true", namespace=SYSTEM, lease_name=lease, **settings)


def test_killed_stopped_and_paused_leaders_lose_nothing_and_double_nothing(
    start: Callable[..., Operator], world: World
) -> None:
    lease = world.namespace
    first, second = (replica(start, name, lease) for name in ("first", "second"))
    until(first.leads, first.log.read_text)
    assert not second.leads()
    assert second.metric('bertfinetune_operator_watch_age_seconds{resource="pods"}') != 0  # it watches nothing
    names = [f"run-{number:03}" for number in range(200)]
    creating = threading.Thread(target=world.create, args=names)
    creating.start()
    until(lambda: len(world.items("jobs")) > 20, first.log.read_text)
    assert first.stop(signal.SIGKILL) == -signal.SIGKILL
    creating.join(30)
    assert 0 < len(world.items("jobs")) < len(names)

    took = until(second.leads, second.log.read_text, 20)
    assert took <= 18  # a lease and a retry period, and a second for this test to look
    assert _is_done(world, names, 60) <= 60
    uids = {job["metadata"]["uid"] for job in world.items("jobs")}

    first.start()
    assert not first.leads()
    began = time.monotonic()
    assert second.stop() == 0
    assert time.monotonic() - began < 5
    assert until(first.leads, first.log.read_text) < 3
    world.create("one-more")
    _is_done(world, [*names, "one-more"], 10)

    second.start()
    first.process.send_signal(signal.SIGSTOP)
    until(second.leads, second.log.read_text, 20)
    world.create("yet-another")
    _is_done(world, [*names, "one-more", "yet-another"], 10)
    first.process.send_signal(signal.SIGCONT)
    assert first.process.wait(5) == 1
    errors = [line for line in first.log.read_text().splitlines() if '"error"' in line or "Traceback" in line]
    assert len(errors) == 1
    assert f"lost the lease {SYSTEM}/{lease}, and so stop: it was not renewed for 10 s" in errors[0]
    assert uids < {job["metadata"]["uid"] for job in world.items("jobs")}
    world.call("delete", "lease", f"--namespace={SYSTEM}", lease)


def _is_done(world: World, names: list[str], seconds: float) -> float:
    """Wait until each object has its status; then each has had one Job."""

    def phases() -> dict[str, str]:
        return {run["metadata"]["name"]: run.get("status", {}).get("phase", "") for run in world.items("bft")}

    took = until(lambda: phases() == dict.fromkeys(names, "Pending"), phases, seconds)
    owners = [job["metadata"]["ownerReferences"][0]["name"] for job in world.items("jobs")]
    assert sorted(owners) == sorted(names)
    return took


def test_a_leader_that_is_cut_off_ends_and_the_other_one_leads(
    start: Callable[..., Operator], world: World, kubeconfig: str, tmp_path: Path
) -> None:
    with Proxy(NODE_IP, API_PORT) as proxy:
        first = replica(start, "first", world.namespace, config=through(proxy, kubeconfig, tmp_path))
        until(first.leads, first.log.read_text)
        second = replica(start, "second", world.namespace)
        proxy.silence(new=True)
        cut = time.monotonic()
        assert first.process.wait(13) == 1
        assert not second.leads()
        until(second.leads, second.log.read_text, 20)
        assert time.monotonic() - cut <= 18
    errors = [line for line in first.log.read_text().splitlines() if "lost the lease" in line]
    assert len(errors) == 1


def test_a_watch_that_goes_silent_is_begun_anew_and_a_dead_one_is_reported(
    start: Callable[..., Operator], world: World, kubeconfig: str, tmp_path: Path
) -> None:
    with Proxy(NODE_IP, API_PORT) as proxy:
        operator = start("only", through(proxy, kubeconfig, tmp_path), watch_timeout="8")
        world.create("before")
        until(lambda: world.phase("before") == "Pending", operator.log.read_text)
        assert operator.get("/healthz").status == 200

        proxy.silence(new=False)
        world.create("meanwhile")
        world.call("delete", "bft", "before")
        until(lambda: world.phase("meanwhile") == "Pending", operator.log.read_text, 25)
        gone = f'bertfinetune_progress_ratio{{name="before",namespace="{world.namespace}"}}'
        assert operator.metric(gone) != operator.metric(gone)  # NaN
        assert operator.get("/healthz").status == 200

        proxy.silence(new=True)
        until(lambda: operator.get("/healthz").status == 503, operator.log.read_text, 40)
        until(lambda: operator.get("/healthz").text.count("has been silent for") == len(KINDS), operator.log.read_text)
        ages = [operator.metric(f'bertfinetune_operator_watch_age_seconds{{resource="{r.plural}"}}') for r in KINDS]
        assert min(ages) > 24
        proxy.speak()
        world.create("after")
        until(lambda: operator.get("/healthz").status == 200, operator.log.read_text, 25)
        until(lambda: world.phase("after") == "Pending", operator.log.read_text, 25)
        assert operator.stop() == 0


def test_with_roles_in_one_namespace_it_serves_that_one_and_sees_no_other(
    start: Callable[..., Operator], world: World, kubectl: RunKubectl, kubeconfig: str, tmp_path: Path
) -> None:
    """The Roles and the ServiceAccount are the chart's own."""
    other = World(kubectl, f"{world.namespace}-other")
    with (
        temporary(kubectl, other.namespace),
        service_account(kubectl, kubeconfig, tmp_path, "op", SYSTEM, watchNamespaces=[world.namespace]) as config,
    ):
        settings = {"leader_election": "true", "namespace": SYSTEM, "lease_name": "op"}
        operator = start("only", config, watch_namespaces=world.namespace, **settings)
        until(operator.leads, operator.log.read_text)
        world.create("here")
        other.create("there")
        until(lambda: world.phase("here") == "Pending", operator.log.read_text)
        until(lambda: len(world.items("events.events.k8s.io")) > 0, operator.log.read_text)
        assert other.phase("there") == ""
        assert other.items("jobs") == []
        assert operator.metric(f'bertfinetunes{{namespace="{world.namespace}",phase="Pending"}}') == 1
        assert other.namespace not in operator.get("/metrics").text
        assert "orbidden" not in operator.log.read_text()
        assert operator.stop() == 0


def test_a_restart_of_the_api_server_loses_no_change(
    start: Callable[..., Operator], world: World, kubectl: RunKubectl
) -> None:
    """The last test here: for some seconds after its start the server refuses owners of a kind it does not know yet."""
    operator = start("only")
    world.create("kept", "deleted")
    until(lambda: world.phase("kept") and world.phase("deleted"), operator.log.read_text)
    restart_api_server(kubectl)
    world.call("delete", "bft", "deleted", "--wait=false")
    world.create("new")
    until(lambda: world.phase("new") == "Pending", operator.log.read_text, 60)
    pending = f'bertfinetunes{{namespace="{world.namespace}",phase="Pending"}}'
    until(lambda: operator.metric(pending) == 2, lambda: operator.get("/metrics").text)
    assert operator.process.poll() is None
    assert operator.stop() == 0
