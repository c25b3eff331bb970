"""One real fine-tuning on the real kubelet: watched live, through an operator restart, and read back everywhere."""

import re
from datetime import datetime

import pytest

from lab.bench.operator import audit
from lab.cluster.layout import AUDIT_LOG, VOLUMES
from lab.demo import report, stack
from lab.demo.mrpc import SAMPLE
from node.main_path import Watched
from node.season import NAMESPACE
from support import runs as support

pytestmark = pytest.mark.timeout(1800)
SYSTEM = f"--namespace={stack.SYSTEM_NAMESPACE}"


def test_it_learned(mrpc: Watched) -> None:
    assert mrpc.status["phase"] == "Succeeded", mrpc.status
    majority = support.majority_share(SAMPLE / "dev.tsv")
    assert mrpc.status["result"]["accuracy"] >= majority + 0.05
    assert mrpc.status["result"]["f1"] > 0.7
    assert mrpc.status["result"]["backend"] == "npu-simulated"


def test_columns_are_filled_in_while_it_runs(mrpc: Watched) -> None:
    assert mrpc.running["phase"] == "Running"
    header, row = mrpc.table.splitlines()
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "ACCURACY", "MS/STEP", "DURATION", "AGE"]
    assert re.fullmatch(r"mrpc +Running +\d+/\d+ \(\d+%\) +\d+(\.\d+)? +[\dms]+ +[\dms]+ *", row), row
    for key in ("loss", "msPerStep", "etaSeconds"):
        assert mrpc.running["progress"][key] > 0, key


def test_the_pod_got_one_simulated_card(mrpc: Watched) -> None:
    container = mrpc.pod["spec"]["containers"][0]
    assert container["resources"]["limits"]["huawei.com/Ascend910"] == "1"
    log = mrpc.run.kubectl("logs", f"job/{mrpc.status['jobName']}")
    assert "simulated" in log
    assert 'bert_trainer_global_step{backend="npu-simulated"}' in mrpc.trainer_metrics


def test_operator_restart_neither_doubled_nor_lost_the_job(mrpc: Watched) -> None:
    assert mrpc.job_uids[0] == mrpc.job_uids[1]
    jobs = mrpc.run.children("jobs")
    assert len(jobs) == 1
    assert jobs[0]["status"]["succeeded"] == 1
    assert not jobs[0]["status"].get("failed")


def test_status_log_and_metrics_tell_the_same_numbers(mrpc: Watched) -> None:
    result = mrpc.status["result"]
    block = report.final_result(mrpc.run.stage.target.kubectl, NAMESPACE, mrpc.status["jobName"])
    assert block[1] == f"Final Precision Accuracy : {result['accuracy']}"
    assert float(block[2].rpartition(" : ")[2]) == pytest.approx(result["msPerStep"], abs=0.01)
    assert float(block[3].rpartition(" : ")[2]) == pytest.approx(result["durationSeconds"], abs=1)
    samples = dict(
        line.rsplit(" ", 1)
        for line in report.operator_metrics(mrpc.run.stage.target.kubectl).splitlines()
        if not line.startswith("#")
    )
    labels = f'{{name="mrpc",namespace="{NAMESPACE}"}}'
    assert float(samples[f"bertfinetune_accuracy{labels}"]) == result["accuracy"]
    assert float(samples[f"bertfinetune_ms_per_step{labels}"]) == pytest.approx(result["msPerStep"])


def test_the_operator_asked_for_nothing_beyond_its_rights(mrpc: Watched) -> None:
    user = f"system:serviceaccount:{stack.SYSTEM_NAMESPACE}:{stack.RELEASE}"
    since = datetime.fromisoformat(mrpc.finished["metadata"]["creationTimestamp"])
    asked = [entry for entry in audit.read(AUDIT_LOG) if entry.user == user and entry.received >= since]
    assert audit.Call("create", "jobs") in {entry.call for entry in asked}
    assert audit.refused(asked, "", stack.SYSTEM_NAMESPACE, NAMESPACE) == []


def test_the_checkpoint_is_on_the_volume(mrpc: Watched) -> None:
    checkpoint = VOLUMES / f"{NAMESPACE}-bert-output" / mrpc.status["result"]["checkpoint"]
    assert checkpoint.with_name(checkpoint.name + ".index").is_file()
    for name in ("vocab.txt", "bert_config.json", "result.json"):
        assert (checkpoint.parent / name).is_file()


def test_deleting_the_object_removes_job_and_pod(mrpc: Watched) -> None:
    mrpc.run.kubectl("delete", "bft", "mrpc", "--cascade=foreground", "--timeout=60s")
    assert mrpc.run.children() == []
