"""What needs no long training: bad data, the plain CPU image, a pod that cannot start, deletion while it trains."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.processes import wait_until
from demo import claims
from demo.mrpc import HEADER, SAMPLE
from demo.target import Target
from e2e import support

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
NAMESPACE = "e2e-short-runs"


@pytest.fixture(scope="module")
def prepared(installed: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Claims with the weights, the sample's pairs, and pairs of which the third has a label that MRPC does not know."""
    bad = tmp_path_factory.mktemp("bad")
    rows = [HEADER, "1\t1\t2\tA cat sat .\tA cat was sitting .", "maybe\t3\t4\tIt rained .\tIt poured ."]
    for name in ("train.tsv", "dev.tsv"):
        (bad / name).write_text("\n".join(rows) + "\n")
    installed.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    folders: dict[str, Path | None] = {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE, "bad-data": bad}
    claims.ensure(installed, NAMESPACE, folders | {"bert-output": None})
    yield installed
    installed.kubectl.run("delete", "namespace", NAMESPACE, "--wait=false")


def start(target: Target, name: str, change: dict[str, Any]) -> None:
    manifest = support.manifest(name, change)
    target.kubectl.run(f"--namespace={NAMESPACE}", "create", "--filename=-", stdin=manifest)


def finish(target: Target, name: str, seconds: float = 600) -> dict[str, Any]:
    return support.wait_for(target, NAMESPACE, name, lambda s: s.get("phase") in ("Succeeded", "Failed"), seconds)


def test_bad_data_fails_at_once_and_says_where(prepared: Target) -> None:
    start(prepared, "bad-data", {"data": {"source": {"claim": {"claimName": "bad-data"}}}})
    status = finish(prepared, "bad-data")
    assert (status["phase"], status["reason"]) == ("Failed", "BadData")
    assert status["lastFailure"]["exitCode"] == 65
    assert "/data/train.tsv, line 3" in status["message"]
    assert "maybe" in status["message"]
    assert status["retries"] == 0
    events = prepared.kubectl.run(f"--namespace={NAMESPACE}", "describe", "bft", "bad-data").stdout
    assert "/data/train.tsv, line 3" in events


def test_the_plain_cpu_image_trains_too(prepared: Target) -> None:
    training = {"numTrainEpochs": 0.25, "trainBatchSize": 16, "evalBatchSize": 16}
    start(prepared, "on-cpu", {"accelerator": {"type": "CPU"}, "training": training})
    status = finish(prepared, "on-cpu")
    assert status["phase"] == "Succeeded", status
    assert status["result"]["backend"] == "cpu"
    pod = prepared.kubectl.get("pod", status["podName"], f"--namespace={NAMESPACE}")
    assert "huawei.com/Ascend910" not in pod["spec"]["containers"][0].get("resources", {}).get("limits", {})


def test_why_a_pod_waits_is_told_in_one_line(prepared: Target) -> None:
    start(prepared, "nowhere", {"scheduling": {"nodeSelector": {"rack": "of-another-data-center"}}})
    status = support.wait_for(prepared, NAMESPACE, "nowhere", lambda s: s.get("reason") == "Unschedulable", 60)
    assert status["phase"] == "Pending"
    assert "node affinity/selector" in status["message"]


def test_deletion_while_it_trains_removes_job_and_pod(prepared: Target) -> None:
    in_namespace = f"--namespace={NAMESPACE}"
    start(prepared, "unwanted", {})
    status = support.wait_for(prepared, NAMESPACE, "unwanted", lambda s: s.get("progress", {}).get("step", 0) >= 1, 300)
    prepared.kubectl.run(in_namespace, "delete", "bft", "unwanted")
    children = ("get", f"job/{status['jobName']}", f"pod/{status['podName']}", "--ignore-not-found", "--output=name")
    assert wait_until(lambda: not prepared.kubectl.run(in_namespace, *children, check=False).stdout, 150, interval=1)
