"""What needs no long training: every way a run can end on the real kubelet, but for the main path's success."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lab.cluster.layout import VOLUMES
from node.season import ACCEPT, AUTHORITY, CPU, HALF_A_CORE, LONG, NAMESPACE, SHORT, Ended, Run, joins
from support import runs as support

pytestmark = pytest.mark.timeout(1800)
TWO_CARDS = {"accelerator": {"type": "Ascend910", "devicesPerWorker": 2}}
SECOND_CARD_FAULT = {"trainer": {"env": [{"name": "ASCEND_SIM_FAULT", "value": "4:1"}]}}


def test_bad_data_fails_at_once_and_says_where(bad_data: Ended) -> None:
    status = bad_data.status
    assert (status["phase"], status["reason"]) == ("Failed", "BadData")
    assert status["lastFailure"]["exitCode"] == 65
    assert "/data/train.tsv, line 3" in status["message"]
    assert "maybe" in status["message"]
    assert status["retries"] == 0
    assert "/data/train.tsv, line 3" in bad_data.run.described()


def test_the_plain_cpu_image_trains_too(on_cpu: Ended) -> None:
    assert on_cpu.status["phase"] == "Succeeded", on_cpu.status
    assert on_cpu.status["result"]["backend"] == "cpu"
    container = on_cpu.pod()["spec"]["containers"][0]
    assert "huawei.com/Ascend910" not in container.get("resources", {}).get("limits", {})


two_cards = joins("two-cards", TWO_CARDS | ACCEPT | {"training": SHORT | {"trainBatchSize": 8}})


def test_two_cards_of_one_pod_train_together(two_cards: Ended) -> None:
    status = two_cards.status
    assert status["phase"] == "Succeeded", status
    assert (status["progress"]["totalSteps"], status["result"]["backend"]) == (11, "npu-simulated")  # 720 / 4 / (2 * 8)
    assert two_cards.pod()["spec"]["containers"][0]["resources"]["limits"]["huawei.com/Ascend910"] == "2"
    log = two_cards.log()
    for rank in (0, 1):
        prefix = "rank 1: " if rank else "20"  # rank 0's line begins with the year
        lines = [line for line in log.splitlines() if line.startswith(prefix)]
        assert [line for line in lines if f"device {rank} is card " in line], log


second_card = joins("second-card", TWO_CARDS | ACCEPT | SECOND_CARD_FAULT | {"backoffLimit": 0, "training": SHORT})


def test_a_fault_of_the_second_card_is_the_pod_s(second_card: Ended) -> None:
    status = second_card.status
    assert (status["phase"], status["reason"]) == ("Failed", "DeviceFault"), status
    assert status["lastFailure"]["exitCode"] == 69
    assert "exited 69: rank 1 on card " in status["message"]
    assert "simulated device fault (4) (ended by SIGABRT)" in status["message"]


def test_out_of_memory_is_called_by_its_name(oom: Ended) -> None:
    assert (oom.status["phase"], oom.status["reason"], oom.status["retries"]) == ("Failed", "OOMKilled", 1)
    assert oom.status["lastFailure"]["exitCode"] == 137


def test_a_collapsed_run_is_tried_again_and_then_given_up(collapse: Ended) -> None:
    status = collapse.status
    assert (status["phase"], status["reason"]) == ("Failed", "Collapsed"), status
    assert [status["trials"][0]["seed"], status["result"]["seed"]] == [1, 2]
    assert status["result"]["collapsed"]
    assert "takes seed 2" in collapse.run.described()


def is_evicted(run: Run) -> Ended:
    first = run.reaches(8)
    run.evict(first["podName"])
    return Ended(run, run.ends(), first)


evicted = joins("evicted", ACCEPT | {"training": SHORT | {"numTrainEpochs": 1, "saveCheckpointsSteps": 5}}, is_evicted)


def test_an_evicted_pod_is_replaced_and_goes_on_from_its_checkpoint(evicted: Ended) -> None:
    status = evicted.status
    assert (status["phase"], status["retries"], status["attempt"]) == ("Succeeded", 0, 0), status
    assert status["podName"] != evicted.earlier["podName"]
    assert status["lastFailure"]["class"] in ("Interrupted", "Evicted")
    assert "resuming" in evicted.log()


def test_suspended_it_frees_its_card_and_resumed_it_goes_on(suspended: Ended) -> None:
    """Its play has looked that it had neither Job nor pod while it was suspended."""
    assert suspended.earlier["phase"] == "Suspended"
    status = suspended.status
    assert (status["phase"], status["attempt"], status["retries"]) == ("Succeeded", 1, 0), status
    assert "resuming" in suspended.log()
    assert status["activeSeconds"] > 0


too_slow = joins("too-slow", HALF_A_CORE | {"training": LONG, "activeDeadlineSeconds": 90})


def test_at_its_deadline_it_is_stopped_with_its_log_in_the_status(too_slow: Ended) -> None:
    assert (too_slow.status["phase"], too_slow.status["reason"]) == ("Failed", "DeadlineExceeded")
    assert re.search(r" step \d+/900 \(\d%\) loss \d\.", too_slow.status["lastFailure"]["logTail"])
    assert too_slow.run.loses_its_children()


def folder(name: str) -> dict:
    return {"claim": {"claimName": "both", "subPath": name}}


ONE_CLAIM = {"model": {"source": folder("weights")}, "data": {"source": folder("data")}, "output": folder("out")}
one_claim = joins("one-claim", CPU | ACCEPT | ONE_CLAIM | {"training": SHORT, "pendingDeadlineSeconds": 120})


def test_one_claim_holds_model_and_data_and_takes_what_comes_out(one_claim: Ended) -> None:
    """The kubelet up to 1.34 never starts a pod with two volumes of one claim (kubernetes/kubernetes#122140)."""
    assert one_claim.status["phase"] == "Succeeded", one_claim.status
    assert one_claim.status["result"]["checkpoint"].startswith("season-one-claim-")


class Sequel(NamedTuple):
    """A run that has gone on from another one's checkpoint, and what that one's folder held before and after."""

    ended: Ended
    before: dict[str, bytes]
    after: dict[str, bytes]


def goes_on_in_another_run(run: Run) -> Sequel:
    """Its deadline turns out to be too short, and the next run gives it twenty steps more."""
    run.reaches(8)
    run.change({"spec": {"activeDeadlineSeconds": 1}})
    first = run.ends()
    assert run.loses_its_children()
    folder = VOLUMES / f"{NAMESPACE}-bert-output" / first["outputFolder"]
    before, longer = contents(folder), Run(run.stage, "longer")
    training = LONG | {"numTrainEpochs": (first["progress"]["step"] + 20) / STEPS_OF_AN_EPOCH}
    output = {"claim": {"claimName": "bert-output"}, "resumeFrom": first["outputFolder"]}
    longer.create(support.manifest(longer.name, CPU | ACCEPT | {"training": training, "output": output}))
    return Sequel(Ended(longer, longer.ends(), first), before, contents(folder))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


STEPS_OF_AN_EPOCH = 45  # 720 pairs, 16 in a step
cut_short = joins("cut-short", CPU | {"training": LONG}, goes_on_in_another_run)


def test_a_run_that_ended_too_early_is_gone_on_from(cut_short: Sequel) -> None:
    first, status = cut_short.ended.earlier, cut_short.ended.status
    assert (first["phase"], first["reason"]) == ("Failed", "DeadlineExceeded")
    assert status["phase"] == "Succeeded", status
    assert f" of /output/{first['outputFolder']}" in cut_short.ended.log()
    assert status["result"]["steps"] == first["progress"]["step"] + 20
    assert status["result"]["checkpoint"].startswith(f"{status['outputFolder']}/model.ckpt-")
    assert status["outputFolder"] != first["outputFolder"]
    assert cut_short.before == cut_short.after


def of_website(url: str, sha256: str, **more: Any) -> dict:
    return {"data": {"source": {"uri": {"url": url, "sha256": sha256} | more}}}


download = joins("download", lambda stage: CPU | ACCEPT | {"training": SHORT} | of_website(stage.website, stage.sha256))
forged = joins("forged", lambda stage: CPU | of_website(stage.website, "0" * 64))
private = joins(
    "private",
    lambda stage: (
        CPU
        | ACCEPT
        | {"training": SHORT}
        | of_website(stage.private_website, stage.sha256, caBundle={"name": AUTHORITY})
    ),
)


def test_data_is_downloaded_from_a_server_with_a_private_authority(private: Ended) -> None:
    assert private.status["phase"] == "Succeeded", private.status
    pod = private.pod()["spec"]
    fetcher, trainer = (
        [mount["name"] for mount in part["volumeMounts"]] for part in (*pod["initContainers"], *pod["containers"])
    )
    assert "ca-data" in fetcher
    assert "ca-data" not in trainer


def test_data_is_downloaded_and_a_wrong_checksum_is_final(download: Ended, forged: Ended) -> None:
    status = forged.status
    assert (status["phase"], status["reason"], status["retries"]) == ("Failed", "BadData", 0), status
    assert forged.run.stage.sha256 in status["message"]
    assert download.status["phase"] == "Succeeded", download.status


def test_why_a_pod_waits_is_told_in_one_line(nowhere: Ended) -> None:
    assert nowhere.status["phase"] == "Pending"
    assert "node affinity/selector" in nowhere.status["message"]


def is_deleted(run: Run) -> Ended:
    status = run.reaches(1)
    run.kubectl("delete", "bft", run.name)
    return Ended(run, status)


unwanted = joins("unwanted", {}, is_deleted)


def test_deletion_while_it_trains_removes_job_and_pod(unwanted: Ended) -> None:
    assert unwanted.run.loses_its_children()


def test_a_trainer_holds_no_token(live: Ended) -> None:
    name = live.status["podName"]
    look = "import os; print(os.listdir('/var/run'), os.path.exists('/var/run/secrets'))"
    listed = live.run.kubectl("exec", name, "--", "python3.7", "-c", look)
    assert listed.split()[-1] == "False", listed
    pod = live.run.get("pod", name)["spec"]
    assert pod["serviceAccountName"] == "default"
    assert [volume for volume in pod["volumes"] if "projected" in volume or "secret" in volume] == []
