"""Why a run waits, in its status: queues, quotas, policies, webhooks and warnings of a real API server."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bertfinetune_operator.decision import kueue
from lab.cluster.kubectl import RunKubectl
from lab.operator.played import RESULT, STARTED, Run
from lab.operator.process import until

pytestmark = pytest.mark.usefixtures("crd")

Raw = dict[str, Any]


def test_in_a_queue_without_kueue_a_run_says_what_is_missing(run: Run) -> None:
    """With the real Kueue: test_kueue.py."""
    run.create(scheduling={"queue": "cards"})
    run.becomes(phase="Queued", reason="Inadmissible", message=kueue.NOT_INSTALLED, seconds=60)
    job = run.items("jobs")[0]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "cards"
    assert job["spec"]["suspend"] is True


def test_kueue_decides_when_a_queued_job_runs(run: Run) -> None:
    """What Kueue does to a Job: it injects node labels and unsuspends, and suspends again to preempt."""
    run.create(scheduling={"queue": "cards"})
    run.becomes(phase="Queued", reason="Queued")
    job = run.items("jobs")[0]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "cards"
    assert job["spec"]["suspend"] is True
    name = job["metadata"]["name"]
    selector = {"template": {"spec": {"nodeSelector": {"nowhere": "true", "pool": "a"}}}}
    run.patch("job", name, {"spec": {"suspend": False} | selector})
    pod = run.pod()
    run.report(pod, "Running", {"running": STARTED})
    run.becomes(phase="Preparing")
    run.patch("job", name, {"spec": {"suspend": True}})
    run.becomes(phase="Queued")
    run.call("delete", "pod", pod, "--ignore-not-found", "--grace-period=0", "--force")
    run.change(backoffLimit=1)
    time.sleep(1)
    assert run.items("jobs")[0]["spec"]["suspend"] is True
    run.patch("job", name, {"spec": {"suspend": False}})
    run.end(run.pod(), 0, RESULT)
    assert run.becomes(phase="Succeeded")["attempt"] == 0


def test_volcanos_word_is_passed_on(run: Run, pod_groups: None) -> None:
    """What Volcano does: a PodGroup for the pod, its name in an annotation, and a condition while there is no room."""
    del pod_groups
    run.create(scheduling={"schedulerName": "volcano", "queue": "cards"})
    pod = run.pod()
    raw = json.loads(run.call("get", "pod", pod, "--output=json"))
    assert raw["spec"]["schedulerName"] == "volcano"
    assert raw["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] == "cards"
    group = {"apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup", "metadata": {"name": "podgroup-1"}}
    message = "1/1 tasks in gang unschedulable: pod group is not ready, 1 Pending, 1 minAvailable"
    condition = {"type": "Unschedulable", "status": "True", "reason": "NotEnoughResources", "message": message}
    run.call("create", "--filename=-", stdin=json.dumps(group | {"status": {"conditions": [condition]}}))
    run.patch("pod", pod, {"metadata": {"annotations": {"scheduling.k8s.io/group-name": "podgroup-1"}}})
    assert run.becomes(phase="Pending", reason="PodGroupPending")["message"] == f"NotEnoughResources: {message}"


@pytest.fixture(scope="module")
def pod_groups(kubectl: RunKubectl) -> Iterator[None]:
    """Volcano's API, as far as this test needs it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "PodGroup", "plural": "podgroups", "singular": "podgroup"}
    spec = {"group": "scheduling.volcano.sh", "scope": "Namespaced", "names": names, "versions": [version]}
    name = "podgroups.scheduling.volcano.sh"
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name}}
    kubectl("apply", "--filename=-", stdin=json.dumps(crd | {"spec": spec}))
    kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{name}")
    yield
    kubectl("delete", "crd", name)


def test_a_pod_refused_by_a_quota_says_so(run: Run) -> None:
    run.call("create", "quota", "none", "--hard=pods=0")
    until(lambda: "hard" in run.items("resourcequotas")[0].get("status", {}), lambda: "the quota is not in force")
    run.create()
    status = run.becomes(phase="Pending", reason="PodRefused", seconds=60)
    assert "exceeded quota: none" in status["message"]


def test_a_restricted_namespace_refuses_paths_of_the_node(run: Run) -> None:
    run.call("label", "namespace", run.namespace, "pod-security.kubernetes.io/enforce=restricted")
    run.create(data={"source": {"hostPath": {"path": "/etc"}}})
    status = run.becomes(phase="Pending", reason="PodRefused", seconds=60)
    assert 'volume "data" uses restricted volume type "hostPath"' in status["message"]
    assert run.items("pods") == []


def test_a_restricted_namespace_refuses_the_cards_addresses_and_the_message_says_what_helps(run: Run) -> None:
    run.call("label", "namespace", run.namespace, "pod-security.kubernetes.io/enforce=restricted")
    run.create(accelerator={"type": "Ascend910", "devicesPerWorker": 2})
    message = run.becomes(phase="Pending", reason="PodRefused", seconds=60)["message"]
    assert 'volume "hccn-conf" uses restricted volume type "hostPath"' in message
    assert message.endswith("; install the chart with ascend.cardAddresses=false, then /etc/hccn.conf is not mounted")


def test_a_refused_job_is_created_once_the_quota_allows_it(run: Run) -> None:
    run.call("create", "quota", "none", "--hard=count/jobs.batch=0")
    until(lambda: "hard" in run.items("resourcequotas")[0].get("status", {}), lambda: "the quota is not in force")
    run.create()
    status = run.becomes(phase="Pending", reason="JobRefused")
    assert "exceeded quota: none" in status["message"]
    run.call("delete", "quota", "none")
    run.becomes(reason="Unschedulable")  # the Job is there, and so is its pod, which no node takes
    assert len(run.items("jobs")) == 1


def test_a_webhook_that_is_down_is_told_and_waited_for(run: Run, kubectl: RunKubectl) -> None:
    """The API server answers 500: failed calling webhook."""
    hook = {
        "name": "jobs.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": run.namespace}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    down = json.dumps(kind | {"metadata": {"name": run.namespace}, "webhooks": [hook]})
    assert kubectl("create", "--filename=-", stdin=down).returncode == 0
    try:
        time.sleep(2)  # the API server learns of it
        run.create()
        status = run.becomes(phase="Pending", reason="JobRefused")
        assert 'failed calling webhook "jobs.example.com"' in status["message"]
        until(run.events, lambda: "no event")
        assert [reason for reason, note in run.events() if note.startswith("JobRefused: ")] == ["Pending"]
    finally:
        kubectl("delete", "validatingwebhookconfiguration", run.namespace)
    run.becomes(reason="Unschedulable", seconds=90)
    assert len(run.items("jobs")) == 1


def warning(pod: Raw, reason: str, note: str) -> str:
    """A warning about a pod, as a kubelet posts it."""
    meta = pod["metadata"]
    names = {"name": f"{meta['name']}.{reason.lower()}", "namespace": meta["namespace"]}
    regarding = {"apiVersion": "v1", "kind": "Pod", "uid": meta["uid"], "name": meta["name"]}
    about = {
        "regarding": regarding | {"namespace": meta["namespace"]},
        "type": "Warning",
        "reason": reason,
        "note": note,
    }
    by = {"reportingController": "kubelet", "reportingInstance": "node-a", "action": reason}
    time = {"eventTime": "2026-01-02T03:00:00.000000Z"}
    return json.dumps({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": names} | about | by | time)


def test_why_a_pod_is_not_created_is_told_by_its_newest_warning(run: Run) -> None:
    run.create()
    name = run.pod()
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"name": "node-a"}}
    path = f"/api/v1/namespaces/{run.namespace}/pods/{name}/binding"
    run.call("create", f"--raw={path}", "--filename=-", stdin=json.dumps(binding))  # as a scheduler does
    pod = json.loads(run.call("get", "pod", name, "--output=json"))
    words = 'MountVolume.SetUp failed for volume "data" : hostPath type check failed: /srv/not-there is not a directory'
    run.call("create", "--filename=-", stdin=warning(pod, "FailedMount", words))
    status = run.becomes(phase="Pending", reason="FailedMount", seconds=90)
    assert status["message"] == words
    assert ("Pending", f"FailedMount: {words}") in run.events()
