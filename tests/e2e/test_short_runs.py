"""What needs no long training: every way a run can end on the real kubelet, but for the main path's success."""

import functools
import hashlib
import json
import tarfile
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cluster.layout import NODE_IP
from cluster.processes import wait_until
from demo.mrpc import HEADER, SAMPLE
from demo.target import Target
from e2e import support

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
NAMESPACE = "e2e-short-runs"

SHORT = {"numTrainEpochs": 0.25, "trainBatchSize": 16, "evalBatchSize": 16}
"""A dozen steps, which learn nothing."""
ACCEPT = {"quality": {"onCollapse": "Accept"}}
LONG = {"numTrainEpochs": 20, "trainBatchSize": 16, "saveCheckpointsSteps": 5}
"""More than anybody waits for."""
CPU = {"accelerator": {"type": "CPU"}}


@pytest.fixture(scope="module")
def prepared(installed: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Claims with the weights, the sample's pairs, and pairs of which the third has a label that MRPC does not know."""
    bad = tmp_path_factory.mktemp("bad")
    rows = [HEADER, "1\t1\t2\tA cat sat .\tA cat was sitting .", "maybe\t3\t4\tIt rained .\tIt poured ."]
    for name in ("train.tsv", "dev.tsv"):
        (bad / name).write_text("\n".join(rows) + "\n")
    folders = {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE, "bad-data": bad}
    support.prepare(installed, NAMESPACE, folders)
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
    start(prepared, "on-cpu", CPU | ACCEPT | {"training": SHORT})
    status = finish(prepared, "on-cpu")
    assert status["phase"] == "Succeeded", status
    assert status["result"]["backend"] == "cpu"
    pod = prepared.kubectl.get("pod", status["podName"], f"--namespace={NAMESPACE}")
    assert "huawei.com/Ascend910" not in pod["spec"]["containers"][0].get("resources", {}).get("limits", {})


TWO_CARDS = {"accelerator": {"type": "Ascend910", "devicesPerWorker": 2}}


def test_two_cards_of_one_pod_train_together(prepared: Target) -> None:
    start(prepared, "two-cards", TWO_CARDS | ACCEPT | {"training": SHORT | {"trainBatchSize": 8}})
    status = finish(prepared, "two-cards")
    assert status["phase"] == "Succeeded", status
    assert (status["progress"]["totalSteps"], status["result"]["backend"]) == (11, "npu-simulated")  # 720 / 4 / (2 * 8)
    pod = prepared.kubectl.get("pod", status["podName"], f"--namespace={NAMESPACE}")
    assert pod["spec"]["containers"][0]["resources"]["limits"]["huawei.com/Ascend910"] == "2"
    log = log_of(prepared, status)
    for rank in (0, 1):
        prefix = "rank 1: " if rank else "20"  # rank 0's line begins with the year
        lines = [line for line in log.splitlines() if line.startswith(prefix)]
        assert [line for line in lines if f"device {rank} of ASCEND_VISIBLE_DEVICES=" in line], log


def test_a_fault_of_the_second_card_is_the_pod_s(prepared: Target) -> None:
    fault = {"trainer": {"env": [{"name": "ASCEND_SIM_FAULT", "value": "UnavailableError:4:1"}]}, "backoffLimit": 0}
    start(prepared, "second-card", TWO_CARDS | ACCEPT | fault | {"training": SHORT})
    status = finish(prepared, "second-card")
    assert (status["phase"], status["reason"]) == ("Failed", "DeviceFault"), status
    assert status["lastFailure"]["exitCode"] == 69
    assert "exited 69: rank 1 on card " in status["message"]


def reaches(target: Target, name: str, step: int) -> dict[str, Any]:
    """Wait until it has trained for some steps."""
    reached = lambda status: status.get("progress", {}).get("step", 0) >= step  # noqa: E731
    return support.wait_for(target, NAMESPACE, name, reached, 300)


def log_of(target: Target, status: dict[str, Any]) -> str:
    return target.kubectl.run(f"--namespace={NAMESPACE}", "logs", status["podName"]).stdout


def no_children(target: Target, name: str) -> bool:
    selector = f"--selector=app.kubernetes.io/instance={name}"
    return not target.kubectl.get("jobs,pods", f"--namespace={NAMESPACE}", selector)["items"]


def test_out_of_memory_is_called_by_its_name(prepared: Target) -> None:
    start(prepared, "oom", CPU | {"backoffLimit": 0, "trainer": {"resources": {"limits": {"memory": "300Mi"}}}})
    status = finish(prepared, "oom")
    assert (status["phase"], status["reason"]) == ("Failed", "OOMKilled")
    assert status["lastFailure"]["exitCode"] == 137


def test_a_collapsed_run_is_tried_again_and_then_given_up(prepared: Target) -> None:
    training = SHORT | {"learningRate": 0.05, "optimizer": "AdamW"}
    start(prepared, "collapse", CPU | {"training": training, "quality": {"maxRetries": 1}})
    status = finish(prepared, "collapse")
    assert (status["phase"], status["reason"]) == ("Failed", "Collapsed"), status
    assert [status["trials"][0]["seed"], status["result"]["seed"]] == [1, 2]
    assert status["result"]["collapsed"]
    events = prepared.kubectl.run(f"--namespace={NAMESPACE}", "describe", "bft", "collapse").stdout
    assert "takes seed 2" in events


def test_an_evicted_pod_is_replaced_and_goes_on_from_its_checkpoint(prepared: Target) -> None:
    start(prepared, "evicted", ACCEPT | {"training": SHORT | {"numTrainEpochs": 1, "saveCheckpointsSteps": 5}})
    first = reaches(prepared, "evicted", 8)["podName"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{first}/eviction"
    prepared.kubectl.run("create", f"--raw={path}", "--filename=-", stdin=json.dumps(eviction))
    status = finish(prepared, "evicted")
    assert (status["phase"], status["retries"], status["attempt"]) == ("Succeeded", 0, 0), status
    assert status["podName"] != first
    assert status["lastFailure"]["class"] in ("Interrupted", "Evicted")
    assert "resuming" in log_of(prepared, status)


def test_suspended_it_frees_its_card_and_resumed_it_goes_on(prepared: Target) -> None:
    start(prepared, "suspended", ACCEPT | {"training": SHORT | {"numTrainEpochs": 1, "saveCheckpointsSteps": 5}})
    reaches(prepared, "suspended", 8)
    change = ("patch", "bft", "suspended", f"--namespace={NAMESPACE}", "--type=merge")
    prepared.kubectl.run(*change, '--patch={"spec": {"suspend": true}}')
    status = support.wait_for(prepared, NAMESPACE, "suspended", lambda s: s["reason"] == "Suspended", 150)
    assert status["phase"] == "Suspended"
    assert no_children(prepared, "suspended")
    prepared.kubectl.run(*change, '--patch={"spec": {"suspend": false}}')
    status = finish(prepared, "suspended")
    assert (status["phase"], status["attempt"], status["retries"]) == ("Succeeded", 1, 0), status
    assert "resuming" in log_of(prepared, status)
    assert status["activeSeconds"] > 0


def test_at_its_deadline_it_is_stopped_with_its_log_in_the_status(prepared: Target) -> None:
    start(prepared, "too-slow", {"training": LONG, "activeDeadlineSeconds": 20})
    status = finish(prepared, "too-slow")
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert "720 training and" in status["lastFailure"]["logTail"]
    assert wait_until(lambda: no_children(prepared, "too-slow"), 150, interval=1)


@pytest.fixture
def website(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A web server with the sample's pairs as an archive: its address and checksum."""
    archive = tmp_path / "MRPC.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(SAMPLE, arcname="MRPC", filter=lambda entry: entry if not entry.name.endswith(".md") else None)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path)
    server = ThreadingHTTPServer((NODE_IP, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{NODE_IP}:{server.server_port}/MRPC.tar.gz", hashlib.sha256(archive.read_bytes()).hexdigest()
    server.shutdown()
    server.server_close()


def test_data_is_downloaded_and_a_wrong_checksum_is_final(prepared: Target, website: tuple[str, str]) -> None:
    url, sha256 = website
    uri = {"url": url, "sha256": sha256}
    start(prepared, "download", CPU | ACCEPT | {"training": SHORT, "data": {"source": {"uri": uri}}})
    start(prepared, "forged", CPU | {"data": {"source": {"uri": uri | {"sha256": "0" * 64}}}})
    status = finish(prepared, "forged")
    assert (status["phase"], status["reason"], status["retries"]) == ("Failed", "BadData", 0), status
    assert sha256 in status["message"]
    status = finish(prepared, "download")
    assert status["phase"] == "Succeeded", status


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
