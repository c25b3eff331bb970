"""What a site's own settings make of a run, on a real API server: names, queue, driver, and what changes of them do."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster.kubectl import RunKubectl
from lab.operator.installed import installed_operators_paused
from lab.operator.played import Run
from lab.operator.process import Operator, until
from support import builders as make

pytestmark = pytest.mark.usefixtures("crd")

Raw = dict[str, Any]
CARD = "example.com/npu"
NODE: Raw = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "without-cards"}}
ROOM = {"cpu": "64", "memory": "256Gi", "pods": "100", "ephemeral-storage": "1Ti"}
READY: Raw = {"status": {"allocatable": ROOM, "capacity": ROOM, "conditions": [{"type": "Ready", "status": "True"}]}}


@pytest.fixture
def run(kubectl: RunKubectl, namespace: str) -> Iterator[Run]:
    with installed_operators_paused(kubectl):
        yield Run(kubectl, namespace)


@pytest.fixture
def node_without_cards(kubectl: RunKubectl) -> Iterator[None]:
    """A ready node with room for everything but the site's cards; nothing that is bound to it would start."""
    kubectl("create", "--filename=-", stdin=json.dumps(NODE))
    kubectl("patch", "node", NODE["metadata"]["name"], "--subresource=status", f"--patch={json.dumps(READY)}")
    taints = ("get", "node", NODE["metadata"]["name"], "--output=jsonpath={.spec.taints}")
    until(lambda: kubectl(*taints).stdout == "", lambda: "the node controller leaves the taint of a new node")
    yield
    kubectl("delete", "node", NODE["metadata"]["name"])


@pytest.mark.usefixtures("node_without_cards")
def test_a_run_waits_for_the_sites_card_in_the_sites_queue_and_a_change_of_both_leaves_it_there(
    kubeconfig: str, run: Run, tmp_path: Path
) -> None:
    site = Operator(
        kubeconfig,
        tmp_path / "site.log",
        watch_namespaces=run.namespace,
        ascend_resource=CARD,
        default_queue="team",
        trainer_image_pull_secrets="registry",
    )
    folder = {"hostPath": {"path": "/srv"}}  # a claim that is missing would be all that the scheduler speaks of
    places = {"model": {"source": folder}, "data": {"source": folder}, "output": folder}
    with site:
        run.create(scheduling={"nodeSelector": {}}, **places)
        run.becomes(phase="Queued", reason="Queued")
        (job,) = run.items("jobs")
        assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
        assert job["spec"]["template"]["spec"]["imagePullSecrets"] == [{"name": "registry"}]
        run.patch("job", job["metadata"]["name"], {"spec": {"suspend": False}})
        status = run.becomes(phase="Pending", reason="Unschedulable")
        assert f"Insufficient {CARD}" in status["message"]
        assert site.stop() == 0

    (before,) = run.items("jobs")
    others = {"default_scheduler_name": "volcano", "trainer_image_ascend910": "other"}
    with Operator(kubeconfig, tmp_path / "other.log", watch_namespaces=run.namespace, **others) as other:
        run.change(backoffLimit=7)  # something to decide again about
        run.becomes(observedGeneration=2)
        (after,) = run.items("jobs")
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["spec"] == before["spec"]
        assert run.get()["status"]["phase"] == "Pending"
        assert other.stop() == 0


def test_cards_by_hand_are_refused_in_the_sites_own_words(kubeconfig: str, run: Run, tmp_path: Path) -> None:
    with Operator(kubeconfig, tmp_path / "log", watch_namespaces=run.namespace, ascend_resource=CARD) as operator:
        run.create(trainer={"resources": {"limits": {f"{CARD}-4c": 2}}})
        message = run.becomes(phase="Failed", reason="InvalidSpec")["message"]
        assert message.startswith(f"spec.trainer.resources: remove {CARD}-4c, which spec.accelerator.type sets")
        assert run.items("jobs") == []
        assert operator.stop() == 0


DRIVER = '"ascend-driver", "ascend-dcmi", "npu-smi", "npu-log"'


@pytest.mark.parametrize(
    ("level", "case", "objection"),
    [
        ("restricted", "minimal", None),
        ("restricted", "queued-downloads", None),
        ("restricted", "site", f'restricted volume types (volumes {DRIVER} use restricted volume type "hostPath")'),
        ("baseline", "site", f"hostPath volumes (volumes {DRIVER})"),
        ("privileged", "site", None),
    ],
)
def test_a_driver_by_host_path_is_all_that_takes_a_privileged_namespace(
    kubectl: RunKubectl, namespace: str, level: str, case: str, objection: str | None
) -> None:
    kubectl("label", "namespace", namespace, f"pod-security.kubernetes.io/enforce={level}")
    template = yaml.safe_load((make.GOLDEN / "job" / f"{case}.yaml").read_text())["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod"} | template
    pod["metadata"] |= {"name": case, "namespace": namespace}
    done = kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", stdin=json.dumps(pod))
    assert done.stderr.partition('PodSecurity "')[2].partition(": ")[2].strip() == (objection or "")
    assert (done.returncode == 0) == (objection is None), done.stderr
