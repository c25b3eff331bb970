"""What happens on other people's clusters: claims, sidecars, hangs, on the real kubelet."""

import re

import pytest

from node.injector import NATIVE
from node.season import ACCEPT, CPU, FIRST, ONE_EPOCH, SHORT, Ended, Run, joins

pytestmark = pytest.mark.timeout(1800)


def is_not_mounted(run: Run) -> Ended:
    status = run.until(lambda status: status.get("reason") == "FailedMount")
    run.change({"spec": {"pendingDeadlineSeconds": 1}})
    return Ended(run, run.ends(), status)


AUTHORITY_NOT_THERE = {"url": "https://e.org/a.zip", "sha256": "0" * 64, "caBundle": {"name": "not-there"}}
not_there = joins("not-there", CPU | {"data": {"source": {"uri": AUTHORITY_NOT_THERE}}}, is_not_mounted)


def test_why_a_volume_is_not_mounted_is_told_and_ends_up_in_the_deadlines_message(not_there: Ended) -> None:
    assert not_there.earlier["phase"] == "Pending"
    assert 'configmap "not-there" not found' in not_there.earlier["message"]
    assert not_there.status["reason"] == "PendingDeadlineExceeded"
    assert "FailedMount: MountVolume.SetUp failed" in not_there.status["message"]
    assert "FailedMount" in not_there.run.described()


def loses_its_children(run: Run) -> Ended:
    status = run.ends()
    assert run.loses_its_children()
    return Ended(run, status)


BAD = {"data": {"source": {"claim": {"claimName": "bad-data"}}}}
sidecar = joins("sidecar", CPU | ACCEPT | {"training": SHORT}, loses_its_children)
sidecar_bad = joins("sidecar-bad", CPU | BAD, loses_its_children)


def test_a_sidecar_that_goes_on_holds_neither_the_run_nor_its_pod(sidecar: Ended, sidecar_bad: Ended) -> None:
    """It was injected as an ordinary container (node/injector.py), and sleeps on when the trainer has ended."""
    assert (sidecar.status["phase"], sidecar.status["retries"]) == ("Succeeded", 0), sidecar.status
    assert sidecar.status["result"]["steps"] == 11
    assert (sidecar_bad.status["phase"], sidecar_bad.status["reason"]) == ("Failed", "BadData"), sidecar_bad.status
    assert "/data/train.tsv, line 3" in sidecar_bad.status["message"]


sidecar_native = joins(NATIVE, CPU | ACCEPT | {"training": SHORT})


def test_a_sidecar_of_kubernetes_own_kind_ends_with_the_trainer_and_the_job_stays(sidecar_native: Ended) -> None:
    assert (sidecar_native.status["phase"], sidecar_native.status["retries"]) == ("Succeeded", 0), sidecar_native.status
    (sidecar,) = sidecar_native.pod()["spec"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    (job,) = sidecar_native.run.children("jobs")
    assert job["status"]["succeeded"] == 1


def is_deleted_by_force(run: Run) -> Ended:
    first = run.reaches(8)
    run.kubectl("delete", "pod", first["podName"], "--force", "--grace-period=0")
    return Ended(run, run.ends(), first)


forced = joins("forced", CPU | ACCEPT | {"training": ONE_EPOCH, "backoffLimit": 0}, is_deleted_by_force)


def test_a_pod_deleted_by_force_costs_no_retry_and_no_checkpoint(forced: Ended) -> None:
    status = forced.status
    assert (status["phase"], status["retries"]) == ("Succeeded", 0), status
    assert status["podName"] != forced.earlier["podName"]
    assert "resuming" in forced.log()


BIG_STEPS = {"trainBatchSize": 256, "evalBatchSize": 16, "numTrainEpochs": 1}
LITTLE_MEMORY = {"trainer": {"resources": {"limits": {"memory": "1Gi"}}}}
greedy = joins(
    "greedy",
    CPU | ACCEPT | LITTLE_MEMORY | {"training": BIG_STEPS, "onOOM": "Accumulate", "backoffLimit": 8},
    turn=FIRST,
)


def test_a_step_that_needs_too_much_memory_is_taken_in_lots(greedy: Ended) -> None:
    status = greedy.status
    assert status["phase"] == "Succeeded", status
    lots = status["gradientAccumulationSteps"]
    assert lots == 2 ** status["retries"] > 1
    assert f"--gradient_accumulation_steps={lots}" in greedy.pod()["spec"]["containers"][0]["args"]
    told = r"out of memory: it needed more than its limit of 1Gi(; last seen at [01]\.\d\dGi)?"
    assert re.fullmatch(told, status["lastFailure"]["message"])


STOP = """
import os, re, signal, sys
file, words = sys.argv[1:]
for pid in filter(str.isdecimal, os.listdir("/proc")):
    try:
        text = open(f"/proc/{pid}/{file}").read()
    except OSError:
        continue
    if re.search(words, text):
        os.kill(int(pid), signal.SIGSTOP)
        print("stopped", pid)
"""


def stands_still(run: Run, file: str, words: str) -> Ended:
    """The processes of its pod are stopped of which a file in /proc has the words."""
    first = run.reaches(8)
    python = ("exec", first["podName"], "--container=trainer", "--", "python3.7", "-c", STOP)
    assert "stopped" in run.kubectl(*python, file, words)
    run.until(lambda status: status.get("reason") == "Stalled")
    return Ended(run, run.ends(), first)


def hangs(run: Run) -> Ended:
    """Rank 1 is stopped, so rank 0 waits for it in the collective operation of its next step, and still answers."""
    return stands_still(run, "environ", r"\bRANK_ID=1\b")


def freezes(run: Run) -> Ended:
    """The process that trains is stopped as a whole, below its parent: it neither answers nor writes to its log."""
    return stands_still(run, "status", r"\nPPid:\s+1\n")


TWO_CARDS = {"accelerator": {"type": "Ascend910", "devicesPerWorker": 2}}
PATIENT = {"training": ONE_EPOCH | {"trainBatchSize": 8}, "stalledDeadlineSeconds": 60, "backoffLimit": 0}
hanging = joins("hanging", TWO_CARDS | ACCEPT | PATIENT, hangs, turn=FIRST)


def test_a_run_that_hangs_is_stopped_and_goes_on_from_its_checkpoint(hanging: Ended) -> None:
    status = hanging.status
    assert (status["phase"], status["retries"], status["stalls"]) == ("Succeeded", 0, 1), status
    assert status["lastFailure"]["class"] == "Stalled"
    assert "stalledDeadlineSeconds=60, at step " in status["lastFailure"]["message"]
    assert status["podName"] != hanging.earlier["podName"]
    assert "resuming" in hanging.log()


frozen = joins(
    "frozen", ACCEPT | {"training": ONE_EPOCH, "stalledDeadlineSeconds": 60, "backoffLimit": 0}, freezes, turn=FIRST
)


def test_a_run_without_any_sign_of_life_is_stopped_and_goes_on_from_its_checkpoint(frozen: Ended) -> None:
    status = frozen.status
    assert (status["phase"], status["retries"], status["stalls"]) == ("Succeeded", 0, 1), status
    message = status["lastFailure"]["message"]
    assert message.startswith("no answer and no line in its log within stalledDeadlineSeconds=60, after step ")
    assert "resuming" in frozen.log()
