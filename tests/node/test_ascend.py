"""Cards as on an Ascend server: device files of a group, a read-only root, faults that abort, Volcano, no runtime."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bertfinetune_operator.api.accelerator import CARD_ADDRESSES, DRIVER
from lab.cluster.layout import KUBECONFIG, NODE_NAME
from lab.demo.mrpc import SAMPLE
from lab.demo.stack import RELEASE, SYSTEM_NAMESPACE
from lab.demo.target import Target
from lab.images import images
from lab.operator.process import Operator
from node.device_plugin import plugin_with
from node.season import ACCEPT, ONE_EPOCH, SHORT, Ended, Status, joins
from support import runs as support

pytestmark = pytest.mark.timeout(1800)
NAMESPACE = "e2e-ascend"
"""Of the runs that play when the season is over."""


def breaking(place: str) -> dict:
    return {"trainer": {"env": [{"name": "ASCEND_SIM_FAULT", "value": place}]}}


broken = joins("broken", ACCEPT | breaking("9") | {"backoffLimit": 1, "training": ONE_EPOCH})


def test_a_card_that_breaks_aborts_the_process_and_is_a_device_fault(broken: Ended) -> None:
    """There is one node, so the next attempt runs there all the same, and goes on from the checkpoint."""
    status = broken.status
    assert (status["phase"], status["reason"], status["retries"]) == ("Failed", "DeviceFault", 1), status
    assert status["avoidedNodes"] == [NODE_NAME]
    assert status["lastFailure"]["exitCode"] == 69
    assert "DoRunAsync Failed - simulated device fault (9) (ended by SIGABRT)" in status["message"]
    assert "] GeOp1_0GEOP::::DoRunAsync Failed" in status["lastFailure"]["logTail"]
    jobs = {job["metadata"]["name"]: job["spec"]["template"]["spec"] for job in broken.run.children("jobs")}
    ((preference,),) = (
        pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        for name, pod in jobs.items()
        if name == status["jobName"]
    )
    assert preference["preference"]["matchFields"][0]["values"] == [NODE_NAME]
    assert "resuming from" in broken.log()


LOOK = """
import json, os, pathlib, re
(card,) = [path for path in pathlib.Path('/dev').iterdir() if re.match('davinci[0-9]+$', path.name)]
(folder,) = {os.readlink(str(path)) for path in pathlib.Path('/proc').glob('[0-9]*/cwd')} - {'/'}
print(json.dumps({
    'mode': oct(card.stat().st_mode & 0o777), 'group': card.stat().st_gid, 'opens': bool(card.open('r+b')),
    'groups': os.getgroups(), 'user': os.getuid(), 'root': os.access('/', os.W_OK),
    'folder': folder, 'written': sorted(os.listdir(folder)),
}))
"""


def test_a_trainer_opens_a_card_of_the_driver_s_group_and_writes_where_it_may(live: Ended) -> None:
    seen = json.loads(live.run.kubectl("exec", live.status["podName"], "--", "python3.7", "-c", LOOK).splitlines()[-1])
    assert (seen["mode"], seen["group"], seen["user"]) == ("0o660", 1000, 65532)
    assert seen["opens"]
    assert 1000 in seen["groups"]
    assert not seen["root"]
    assert seen["folder"].startswith("/tmp/bert-trainer-")
    assert {"kernel_meta", "ascend", "fusion_result.json"} <= set(seen["written"])


@pytest.fixture
def own_namespace(installed: Target, alone: None) -> Iterator[Target]:  # noqa: ARG001
    """NAMESPACE with the sample's claims, while no run of the season is left."""
    support.prepare(installed, NAMESPACE, {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE})
    yield installed
    installed.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


def ends(target: Target, name: str, change: dict[str, Any]) -> Status:
    """Create a run in NAMESPACE, and return its status once it has ended."""
    create = (f"--namespace={NAMESPACE}", "create", "--filename=-")
    target.kubectl.run(*create, stdin=support.manifest(name, ACCEPT | change))
    return support.wait_for(target, NAMESPACE, name, lambda s: s.get("phase") in ("Succeeded", "Failed"), 600)


def test_cards_that_only_volcano_may_give_are_no_fault_of_the_node(own_namespace: Target) -> None:
    """P1: MindCluster's default, where the cluster's own scheduler has placed the pod."""
    with plugin_with(own_namespace, "--volcano"):
        status = ends(own_namespace, "one", {"training": SHORT, "backoffLimit": 1})
    assert (status["phase"], status["reason"], status["retries"]) == ("Failed", "DeviceNotAllotted", 1), status
    assert "not get valid pod" in status["message"]
    assert "spec.scheduling.schedulerName" in status["message"]
    assert "avoidedNodes" not in status


@pytest.fixture
def without_runtime(own_namespace: Target, tmp_path: Path) -> Iterator[Target]:
    """The node has the driver and the cards' addresses, and no ascend-docker-runtime; the operator runs beside it."""
    kubectl, scale = own_namespace.kubectl, (f"--namespace={SYSTEM_NAMESPACE}", "scale", f"deployment/{RELEASE}")
    kubectl.run("label", "--overwrite", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=privileged")
    kubectl.run(*scale, "--replicas=0")
    made = [part.path for part in (*DRIVER, CARD_ADDRESSES) if make(part.path, part.type)]
    trainer = images.TRAINER_ASCEND_SIM.reference()
    operator = Operator(KUBECONFIG, tmp_path / "log", trainer_image_ascend910=trainer, ascend_driver="hostPath")
    try:
        with plugin_with(own_namespace, "--driver=hostPath"), operator:
            yield own_namespace
    finally:
        for path in map(Path, made):
            path.rmdir() if path.is_dir() else path.unlink()
        with suppress(OSError):  # it holds something that was there before
            Path(DRIVER[0].path).parent.rmdir()
        kubectl.run(*scale, "--replicas=2")
        kubectl.run(f"--namespace={SYSTEM_NAMESPACE}", "rollout", "status", f"deployment/{RELEASE}", "--timeout=120s")


def make(path: str, kind: str) -> bool:
    """Make a part of the driver on the node; whether it was not there."""
    place = Path(path)
    if place.exists() or kind == "DirectoryOrCreate":
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind == "File":
        place.write_text("".join(f"address_{card}=192.168.100.{100 + card}\n" for card in range(8)))
    else:
        place.mkdir()
    return True


def test_two_cards_train_where_the_pod_mounts_the_driver(without_runtime: Target) -> None:
    """Nobody sets ASCEND_VISIBLE_DEVICES there, and the rank table has the addresses that the manuals require."""
    run = {
        "accelerator": {"type": "Ascend910", "devicesPerWorker": 2},
        "training": SHORT | {"trainBatchSize": 8},
        "trainer": {"env": [{"name": "ASCEND_SIM_DEVICE_IP", "value": "required"}]},
    }
    status = ends(without_runtime, "two", run)
    assert (status["phase"], status["retries"]) == ("Succeeded", 0), status
    assert (status["progress"]["totalSteps"], status["result"]["backend"]) == (11, "npu-simulated")
