"""One real fine-tuning on the real kubelet: watched live, through an operator restart, and read back everywhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from bench_operator import audit
from cluster.layout import AUDIT_LOG, VOLUMES
from demo import report, stack
from demo.target import Target
from e2e import support

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(2400)]
NAMESPACE = "e2e-main-path"


@dataclass(frozen=True)
class Run:
    """What was seen of the run: its status and kubectl's table while it trained, its Job before and after, its end."""

    target: Target
    running: dict[str, Any]
    table: str
    trainer_metrics: str
    pod: dict[str, Any]
    job_uids: tuple[str, str]
    finished: dict[str, Any]

    @property
    def status(self) -> dict[str, Any]:
        return self.finished["status"]


@pytest.fixture(scope="module")
def run(installed: Target) -> Iterator[Run]:
    kubectl, name = installed.kubectl, "mrpc"
    # two of the sample's three epochs: enough to learn, and minutes less on two cores
    manifest = support.manifest(name, {"training": support.sample()["spec"]["training"] | {"numTrainEpochs": 2}})
    in_namespace = f"--namespace={NAMESPACE}"
    support.prepare(installed, NAMESPACE, {"bert-weights": support.ensure_weights(), "mrpc-data": support.CORPUS})
    kubectl.run(in_namespace, "apply", "--filename=-", stdin=manifest)

    running = support.wait_for(installed, NAMESPACE, name, lambda s: s.get("progress", {}).get("percent", 0) >= 5, 600)
    table = kubectl.run(in_namespace, "get", "bft").stdout
    proxy = f"/api/v1/namespaces/{NAMESPACE}/pods/{running['podName']}:8080/proxy/metrics"
    trainer_metrics = kubectl.run("get", "--raw", proxy).stdout
    job = kubectl.get("job", running["jobName"], in_namespace)
    pod = kubectl.get("pod", running["podName"], in_namespace)
    kubectl.run(f"--namespace={stack.SYSTEM_NAMESPACE}", "delete", "pod", "--all", "--grace-period=1")
    support.wait_for(
        installed, NAMESPACE, name, lambda s: s["progress"]["percent"] > running["progress"]["percent"] + 5, 600
    )
    support.wait_for(installed, NAMESPACE, name, lambda s: s["phase"] in ("Succeeded", "Failed"), 1800)

    yield Run(
        installed,
        running,
        table,
        trainer_metrics,
        pod,
        (job["metadata"]["uid"], kubectl.get("job", running["jobName"], in_namespace)["metadata"]["uid"]),
        support.get(installed, NAMESPACE, name),
    )
    kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


def test_it_learned(run: Run) -> None:
    assert run.status["phase"] == "Succeeded", run.status
    majority = support.majority_share(support.CORPUS / "dev.tsv")
    assert run.status["result"]["accuracy"] >= majority + 0.05
    assert run.status["result"]["f1"] > 0.7
    assert run.status["result"]["backend"] == "npu-simulated"


def test_columns_are_filled_in_while_it_runs(run: Run) -> None:
    assert run.running["phase"] == "Running"
    header, row = run.table.splitlines()
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "ACCURACY", "MS/STEP", "DURATION", "AGE"]
    assert re.fullmatch(r"mrpc +Running +\d+/\d+ \(\d+%\) +\d+(\.\d+)? +[\dms]+ +[\dms]+ *", row), row
    for key in ("loss", "msPerStep", "etaSeconds"):
        assert run.running["progress"][key] > 0, key


def test_the_pod_got_one_simulated_card(run: Run) -> None:
    container = run.pod["spec"]["containers"][0]
    assert container["resources"]["limits"]["huawei.com/Ascend910"] == "1"
    log = run.target.kubectl.run(f"--namespace={NAMESPACE}", "logs", f"job/{run.status['jobName']}").stdout
    assert "simulated" in log
    assert 'bert_trainer_global_step{backend="npu-simulated"}' in run.trainer_metrics


def test_operator_restart_neither_doubled_nor_lost_the_job(run: Run) -> None:
    assert run.job_uids[0] == run.job_uids[1]
    jobs = run.target.kubectl.get("jobs", f"--namespace={NAMESPACE}")["items"]
    assert len(jobs) == 1
    assert jobs[0]["status"]["succeeded"] == 1
    assert not jobs[0]["status"].get("failed")


def test_status_log_and_metrics_tell_the_same_numbers(run: Run) -> None:
    result = run.status["result"]
    block = report.final_result(run.target.kubectl, NAMESPACE, run.status["jobName"])
    assert block[1] == f"Final Precision Accuracy : {result['accuracy']}"
    assert float(block[2].rpartition(" : ")[2]) == pytest.approx(result["msPerStep"], abs=0.01)
    assert float(block[3].rpartition(" : ")[2]) == pytest.approx(result["durationSeconds"], abs=1)
    samples = dict(
        line.rsplit(" ", 1)
        for line in report.operator_metrics(run.target.kubectl).splitlines()
        if not line.startswith("#")
    )
    labels = f'{{name="mrpc",namespace="{NAMESPACE}"}}'
    assert float(samples[f"bertfinetune_accuracy{labels}"]) == result["accuracy"]
    assert float(samples[f"bertfinetune_ms_per_step{labels}"]) == pytest.approx(result["msPerStep"])


def test_the_operator_asked_for_nothing_beyond_its_rights(run: Run) -> None:
    user = f"system:serviceaccount:{stack.SYSTEM_NAMESPACE}:{stack.RELEASE}"
    since = datetime.fromisoformat(run.finished["metadata"]["creationTimestamp"])
    asked = [entry for entry in audit.read(AUDIT_LOG) if entry.user == user and entry.received >= since]
    assert audit.Call("create", "jobs") in {entry.call for entry in asked}
    assert audit.refused(asked, "", stack.SYSTEM_NAMESPACE, NAMESPACE) == []


def test_the_checkpoint_is_on_the_volume(run: Run) -> None:
    checkpoint = VOLUMES / f"{NAMESPACE}-bert-output" / run.status["result"]["checkpoint"]
    assert checkpoint.with_name(checkpoint.name + ".index").is_file()
    for name in ("vocab.txt", "bert_config.json", "result.json"):
        assert (checkpoint.parent / name).is_file()


def test_deleting_the_object_removes_job_and_pod(run: Run) -> None:
    in_namespace = f"--namespace={NAMESPACE}"
    run.target.kubectl.run(in_namespace, "delete", "bft", "mrpc", "--cascade=foreground", "--timeout=60s")
    assert run.target.kubectl.get("jobs,pods", in_namespace)["items"] == []
