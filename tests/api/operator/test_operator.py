"""The operator's process against a real API server. Pods are placed nowhere; the test plays kubelet and trainer."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bertfinetune_operator import contract, kueue
from lab.operator.installed import installed_operators_paused
from lab.operator.played import RESULT, STARTED, Run, trainer
from lab.operator.process import Operator, until
from support.scenes import COLLAPSED

pytestmark = pytest.mark.usefixtures("crd")

Raw = dict[str, Any]
Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def operator(kubeconfig: str, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    log = tmp_path_factory.mktemp("operator") / "log"
    with installed_operators_paused(kubectl), Operator(kubeconfig, log) as process:
        yield process
        assert process.stop(signal.SIGTERM) == 0


@pytest.fixture
def run(operator: Operator, kubectl: Kubectl, namespace: str) -> Run:
    assert operator.process.poll() is None
    return Run(kubectl, namespace)


def test_a_run_from_start_to_result_across_restarts(operator: Operator, run: Run) -> None:
    run.create()
    pod = run.pod()
    progress = {"phase": "Training", "step": 143, "totalSteps": 343, "percent": 41, "loss": 0.43, "msPerStep": 83.2}
    with trainer(progress | {"etaSeconds": 17}):
        run.report(pod, "Running", {"running": STARTED})
        status = run.becomes(phase="Running", reason="Training")
        del progress["phase"]
        assert status["progress"] == progress | {"summary": "143/343 (41%)", "etaSeconds": 17}
        row = run.call("get", "bft", "minimal", "--no-headers").split()
        assert row[:5] == ["minimal", "Running", "143/343", "(41%)", "83.2"]

        operator.stop(signal.SIGKILL)
        operator.start()
        time.sleep(1)
        assert run.get()["status"]["phase"] == "Running"
    operator.stop(signal.SIGKILL)
    run.end(pod, 0, RESULT)
    operator.start()

    status = run.becomes(phase="Succeeded", message="accuracy 0.8627, F1 0.9000")
    assert status["progress"]["summary"] == "343/343 (100%)"
    assert status["result"]["checkpoint"] == f"{run.namespace}-minimal-{run.get()['metadata']['uid'][:8]}/m-343"
    run.call("wait", "--for=condition=Succeeded", "bft/minimal", "--timeout=5s")
    assert len(run.items("jobs")) == 1
    series = f'bertfinetune_accuracy{{name="minimal",namespace="{run.namespace}"}} 0.8627'
    until(lambda: series in operator.get("/metrics").text, lambda: operator.get("/metrics").text)

    version = run.get()["metadata"]["resourceVersion"]
    run.call("delete", "pods,jobs", "--all")
    operator.stop(signal.SIGTERM)
    operator.start()
    time.sleep(2)
    after = run.get()
    assert after["metadata"]["resourceVersion"] == version
    assert run.items("jobs") == []
    assert not {"annotations", "finalizers"} & set(after["metadata"])
    passing = ("Pending", "Preparing")  # told where they last
    assert sorted(reason for reason, _ in run.events() if reason not in passing) == ["Running", "Succeeded"]


def test_bad_data_fails_at_once_with_the_trainers_sentence(run: Run) -> None:
    run.create()
    run.end(
        run.pod(),
        contract.EXIT_BAD_DATA,
        {"outcome": "Failed", "class": "BadData", "message": "/data/train.tsv, line 7"},
    )
    status = run.becomes(phase="Failed", reason="BadData", retries=0)
    assert status["message"].endswith("exited 65: /data/train.tsv, line 7")
    assert len(run.items("pods")) == 1


def test_an_interrupted_pod_is_replaced_and_not_counted(run: Run) -> None:
    run.create(backoffLimit=0)
    first = run.pod()
    run.end(first, contract.EXIT_INTERRUPTED, {"outcome": "Failed", "message": "SIGTERM"})
    failure = run.becomes(phase="Retrying", retries=0)["lastFailure"]
    assert (failure["pod"], failure["class"]) == (first, "Interrupted")
    second = run.pod()
    assert len(run.items("jobs")) == 1
    run.end(second, 0, RESULT)
    assert run.becomes(phase="Succeeded")["retries"] == 0


def test_a_failure_is_tried_again_in_a_job_of_its_own_and_the_budget_survives_a_restart(
    operator: Operator, run: Run
) -> None:
    run.create(backoffLimit=1)
    run.end(run.pod(), 137, {}, "OOMKilled")
    status = run.becomes(phase="Retrying", reason="OOMKilled", retries=1)
    assert status["lastFailure"]["exitCode"] == 137
    operator.stop(signal.SIGKILL)
    operator.start()
    run.end(run.pod(attempt=1), contract.EXIT_UNKNOWN, {"outcome": "Failed", "message": "boom"})
    status = run.becomes(phase="Failed", reason="Unknown", retries=1, attempt=1)
    assert status["message"].endswith("exited 70: boom")
    assert len(run.items("jobs")) == 2
    assert {reason for reason, _ in run.events()} >= {"Retrying", "Failed"}


def test_a_broken_cards_node_is_avoided(run: Run) -> None:
    run.create()
    pod = run.pod()
    run.call("get", "pod", pod)
    run.end(pod, contract.EXIT_DEVICE_FAULT, {"outcome": "Failed", "message": "aicore error"})
    status = run.becomes(phase="Retrying", reason="DeviceFault")
    assert "avoidedNodes" not in status  # the pod was on no node: there is none to avoid


def test_a_collapsed_run_is_tried_with_another_seed_and_both_results_are_kept(run: Run) -> None:
    run.create(quality={"maxRetries": 1, "minAccuracy": 0.9})
    run.end(run.pod(), 0, json.loads(COLLAPSED))
    assert run.becomes(reason="Collapsed")["trials"][0]["accuracy"] == 0.6838235
    second = run.pod(attempt=1)
    container = json.loads(run.call("get", "pod", second, "--output=json"))["spec"]["containers"][0]
    assert {"--seed=2", "--optimizer=AdamW", "--warmup_proportion=0.2"} <= set(container["args"])
    run.end(second, 0, RESULT)
    status = run.becomes(phase="Succeeded")
    conditions = {condition["type"]: condition for condition in status["conditions"]}
    assert conditions["Collapsed"]["status"] == "False"
    assert conditions["AccuracyReached"]["reason"] == "AccuracyBelowTarget"
    assert len(status["trials"]) == 1
    run.call("wait", "--for=condition=AccuracyReached=False", "bft/minimal", "--timeout=5s")


def test_suspend_stops_and_resume_goes_on_in_a_new_attempt(run: Run) -> None:
    run.create(suspend=True)
    run.becomes(phase="Suspended", reason="Suspended")
    assert run.items("jobs") == []
    run.change(suspend=False)
    pod = run.pod()
    run.report(pod, "Running", {"running": STARTED})
    run.becomes(phase="Preparing")
    time.sleep(1)
    run.change(suspend=True)
    run.becomes(phase="Suspended")
    until(lambda: run.items("jobs") == [], lambda: "the Job is still there")
    run.call("delete", "pod", pod, "--ignore-not-found", "--grace-period=0", "--force")
    run.becomes(phase="Suspended", reason="Suspended")
    run.change(suspend=False)
    run.end(run.pod(attempt=1), 0, RESULT)
    assert run.becomes(phase="Succeeded")["activeSeconds"] > 0


def test_a_pod_that_cannot_start_in_time_is_given_up_and_frees_its_card(run: Run) -> None:
    run.create(pendingDeadlineSeconds=2)
    pod = run.pod()
    run.report(pod, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
    status = run.becomes(phase="Failed", reason="PendingDeadlineExceeded")
    assert status["lastFailure"]["class"] == "ImagePull"
    assert "no such image" in status["message"]
    until(lambda: run.items("jobs") + run.items("pods") == [], lambda: "the pod holds its card")


def test_training_time_is_limited_and_the_children_go_after_their_time_to_live(run: Run) -> None:
    run.create(activeDeadlineSeconds=5, ttlSecondsAfterFinished=3)
    run.report(run.pod(), "Running", {"running": STARTED})
    status = run.becomes(phase="Failed", reason="DeadlineExceeded")
    assert status["lastFailure"]["class"] == "Deadline"
    until(lambda: run.items("jobs") == [], lambda: "the Job is still there")
    run.call("label", "bft", "minimal", "touched=yes")
    time.sleep(1)
    assert run.items("jobs") == []
    assert run.get()["status"] == status


def test_a_finished_runs_children_are_removed_and_never_made_again(run: Run) -> None:
    run.create(ttlSecondsAfterFinished=1)
    run.end(run.pod(), 0, RESULT)
    run.becomes(phase="Succeeded")
    until(lambda: run.items("jobs") + run.items("pods") == [], lambda: "children are left")
    run.change(ttlSecondsAfterFinished=5)
    time.sleep(1)
    assert run.items("jobs") == []
    assert run.get()["status"]["result"]["accuracy"] == RESULT["accuracy"]


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
def pod_groups(kubectl: Kubectl) -> Iterator[None]:
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


def test_a_webhook_that_is_down_is_told_and_waited_for(run: Run, kubectl: Kubectl) -> None:
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


@pytest.mark.parametrize(
    ("code", "message", "phase", "reason"),
    [(0, RESULT, "Succeeded", "Succeeded"), (65, {"message": "/data/train.tsv, line 7"}, "Failed", "BadData")],
)
def test_a_sidecar_that_goes_on_holds_neither_run_nor_card(
    run: Run, code: int, message: Raw, phase: str, reason: str
) -> None:
    run.create()
    pod = run.pod()
    ended = {"exitCode": code, "reason": "Ended", "finishedAt": "2026-01-02T03:06:12Z", "message": json.dumps(message)}
    trainer_ended, proxy_runs = {"terminated": STARTED | ended}, {"running": STARTED}
    others = {"image": "i", "imageID": "", "ready": False, "restartCount": 0}
    states = {"trainer": trainer_ended, "istio-proxy": proxy_runs}
    containers = [others | {"name": name, "state": state} for name, state in states.items()]
    run.patch("pod", pod, {"status": {"phase": "Running", "containerStatuses": containers}}, "--subresource=status")
    run.becomes(phase=phase, reason=reason)
    until(lambda: run.items("jobs") == [], lambda: "the Job is still there")


@pytest.mark.parametrize("finalizers", ["stay", "go"])
def test_a_pod_deleted_by_force_is_no_failure(run: Run, finalizers: str) -> None:
    """It stays until its node has told of its end, unless its finalizer is taken away; then its Job replaces it."""
    run.create(backoffLimit=0)
    pod = run.pod()
    run.report(pod, "Running", {"running": STARTED})
    run.becomes(phase="Preparing")
    run.call("delete", "pod", pod, "--grace-period=0", "--force", "--wait=false")
    if finalizers == "go":
        run.patch("pod", pod, {"metadata": {"finalizers": None}})
    else:
        run.end(pod, 137, {}, "Error")
        run.becomes(phase="Retrying", reason="Interrupted", retries=0, seconds=60)
    until(lambda: pod not in [found["metadata"]["name"] for found in run.items("pods")], lambda: "it is still there")
    run.end(run.pod(attempt=int(finalizers == "stay")), 0, RESULT)
    assert run.becomes(phase="Succeeded")["retries"] == 0


def test_somebody_elses_change_at_the_same_time_delays_a_status_only(run: Run) -> None:
    run.create()
    pod = run.pod()
    for number in range(5):
        run.call("label", "bft", "minimal", f"changed={number}", "--overwrite")
        run.report(pod, "Pending", {"waiting": {"reason": "ImagePullBackOff", "message": f"attempt {number}"}})
    run.becomes(phase="Pending", reason="ImagePullBackOff", message="attempt 4")


def test_deleting_the_object_leaves_nothing(run: Run) -> None:
    run.create()
    run.pod()
    run.call("delete", "bft", "minimal", "--cascade=foreground", "--timeout=60s")
    assert run.items("jobs") == []
    assert run.items("pods") == []


def test_a_deleted_job_is_created_again(run: Run) -> None:
    run.create()
    run.pod()
    before = run.items("jobs")[0]["metadata"]["uid"]
    run.call("delete", "jobs", "--all")
    until(lambda: [job["metadata"]["uid"] for job in run.items("jobs")] not in ([], [before]), lambda: "no new Job")
