"""The operator's process against a real API server. Pods are placed nowhere; the test plays kubelet and trainer."""

import json
import signal
import time
from typing import Any

import pytest

from bertfinetune_operator import contract
from lab.operator.played import RESULT, STARTED, Run, trainer
from lab.operator.process import Operator, until
from support.builders import COLLAPSED

pytestmark = pytest.mark.usefixtures("crd")

Raw = dict[str, Any]


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
