"""An empty control plane with fake nodes: a fresh one for every contender, so that none inherits another's objects."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lab.bench.operator.api import Api
from lab.bench.operator.objects import CONFIG, NAMESPACE, RESULT, Raw, fake_node
from lab.bench.operator.usage import cpu_seconds
from lab.cluster import components, local, preflight, processes
from lab.cluster.errors import ClusterError
from lab.cluster.layout import AUDIT_LOG, BIN, KUBECONFIG, LOGS, PKI, STATE
from lab.cluster.processes import Component

CONTROLLER = "bench-controller"
"""The user that the measured controller is: the audit log tells its requests by it."""
CONTROLLER_KUBECONFIG = PKI / f"{CONTROLLER}.kubeconfig"

NODES = 10
# The controller manager's own default of 20 requests/s would be the floor, whatever a contender does.
UNTHROTTLED = ("--kube-api-qps=1000", "--kube-api-burst=2000")


def check_machine(*programs: str) -> None:
    """Raise ClusterError where the benchmark cannot run: it needs the peers' programs, and addresses for itself."""
    if any(map(processes.running_pid, components.all_components())):
        raise ClusterError(
            "a cluster is up on this machine, and the benchmark starts one of its own: `make cluster-down` first"
        )
    preflight.check_control_plane("kwok", *programs, target="bench-operator")


@contextmanager
def running(pods: int) -> Iterator[None]:
    """A control plane with ``NODES`` ready fake nodes, each with room for all the pods."""
    AUDIT_LOG.unlink(missing_ok=True)
    try:
        local.start_control_plane(
            apiserver=(
                f"--audit-policy-file={CONFIG / 'audit.yaml'}",
                f"--audit-log-path={AUDIT_LOG}",
                "--audit-log-maxsize=4096",  # MB: never rotated
            ),
            controllers=UNTHROTTLED,
            administrators={CONTROLLER: CONTROLLER},
        )
        processes.start(_kwok())
        asyncio.run(_furnish(pods))
        yield
    finally:
        local.down()


def stages() -> str:
    """What kwok does with nodes and pods."""
    return (CONFIG / "stages.yaml").read_text().replace("@RESULT@", RESULT)


def _kwok() -> Component:
    file = STATE / "kwok-stages.yaml"
    file.write_text(stages())
    flags = (
        f"--kubeconfig={KUBECONFIG}",
        f"--config={file}",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-lease-duration-seconds=40",
        "--v=WARN",
    )
    return Component("kwok", (str(BIN / "kwok"), *flags), {})


async def _furnish(pods: int) -> None:
    async with Api() as api:
        await api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for number in range(NODES):
            await api.create("/api/v1/nodes", fake_node(f"fake-{number}", pods))
        deadline = time.monotonic() + 60
        while not (await _has_service_account(api) and await _nodes_are_ready(api)):
            if time.monotonic() > deadline:
                raise ClusterError(f"the fake nodes did not get ready within 60 s: see {LOGS}")
            await asyncio.sleep(0.2)


async def _has_service_account(api: Api) -> bool:
    """Without it no pod can be created."""
    return bool(await api.items(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"))


async def _nodes_are_ready(api: Api) -> bool:
    """Whether kwok has taken every node (it holds its lease) and the node controller has untainted it."""
    leases = await api.items("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases")
    nodes: list[Raw] = await api.items("/api/v1/nodes")
    return len(leases) == NODES and not any(node["spec"].get("taints") for node in nodes)


def cpu_by_program() -> dict[str, float]:
    """CPU seconds so far of everything that takes part but the contender, this process included."""
    programs = (*components.control_plane(), Component("kwok", (), {}))
    pids = {program.name: processes.running_pid(program) for program in programs} | {"benchmark": os.getpid()}
    return {name: cpu_seconds(pid) for name, pid in pids.items() if pid}
