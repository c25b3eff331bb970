"""The exporter's process beside a kubelet's side of the pod-resources interface, over a real socket."""

import math
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from grpc_tools import protoc
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

import ascend_device_plugin.allocation
from lab.ascend.npu_exporter import cards, kubelet
from lab.ascend.npu_exporter import podresources_pb2 as api
from lab.ascend.npu_exporter.cards import Holder
from lab.ascend.npu_exporter.podresources_pb2_grpc import (
    PodResourcesListerServicer,
    add_PodResourcesListerServicer_to_server,
)

PACKAGE = Path(cards.__file__).parent
TRAINER = Holder("team-a", "mrpc-7d0-x2p", "trainer")
NOW = 1_800_000_003.0


def test_the_cards_are_those_of_the_device_plugin() -> None:
    assert cards.CARDS == ascend_device_plugin.allocation.CARDS
    assert kubelet.RESOURCE == ascend_device_plugin.allocation.RESOURCE


def values(metrics: Mapping[str, Metric], name: str) -> dict[str, float]:
    """The value of each card by its number."""
    return {sample.labels["id"]: sample.value for sample in metrics[name].samples}


def test_a_held_card_works_and_carries_its_pod_and_the_others_idle_without_names() -> None:
    metrics = {family.name: family for family in cards.families({"Ascend910-3": TRAINER}, set(), NOW)}
    for sample in metrics["npu_chip_info_utilization"].samples:
        held = sample.labels["id"] == "3"
        assert tuple(sample.labels) == cards.LABELS
        assert sample.labels["model_name"] == "910A-Ascend-V1"
        assert tuple(sample.labels[name] for name in cards.LABELS[-3:]) == (TRAINER if held else ("", "", ""))
        assert (50 <= sample.value <= 100) if held else sample.value == 0
        assert sample.timestamp == NOW - 3  # of the last look, every five seconds
    assert values(metrics, "container_npu_used_memory").keys() == {"3"}
    used = values(metrics, "npu_chip_info_hbm_used_memory")
    assert 4000 < used.pop("3") < cards.HBM_MB == values(metrics, "npu_chip_info_hbm_total_memory")["3"]
    assert {*used.values()} == {0}
    assert [sample.labels["name"] for sample in metrics["npu_chip_info_name"].samples] == [cards.MODEL] * 8


def test_a_fault_is_shown_by_health_and_an_error_code_that_is_absent_otherwise() -> None:
    metrics = {family.name: family for family in cards.families({}, {"Ascend910-5", "Ascend910-9"}, NOW)}
    health = values(metrics, "npu_chip_info_health_status")
    assert health == {str(number): number != 5 for number in range(8)}
    assert values(metrics, "npu_chip_info_error_code") == {"5": 0x80E01801}
    assert values(metrics, "npu_chip_info_error_code_1") == {"5": 0x80E18401}
    metrics = {family.name: family for family in cards.families({}, set(), NOW)}
    assert metrics["npu_chip_info_error_code"].samples == []


@given(st.floats(0, 4e9), st.sets(st.sampled_from(cards.CARDS)), st.sets(st.sampled_from(cards.CARDS)))
def test_every_value_is_plausible_at_any_time(seconds: float, held: set[str], faulty: set[str]) -> None:
    for family in cards.families(dict.fromkeys(held, TRAINER), faulty, seconds):
        for sample in family.samples:
            assert math.isfinite(sample.value)
            assert sample.value >= 0
            if "utilization" in family.name:
                assert sample.value <= 100
            if family.name.endswith("temperature"):
                assert 30 <= sample.value <= 85
            if family.name == "npu_chip_info_power":
                assert 60 <= sample.value <= 310


class Kubelet(PodResourcesListerServicer):
    """A trainer with two cards, and a pod with devices of another kind."""

    def List(  # noqa: N802 named by the interface
        self,
        request: api.ListPodResourcesRequest,  # noqa: ARG002
        context: grpc.ServicerContext,  # noqa: ARG002
    ) -> api.ListPodResourcesResponse:
        answer = api.ListPodResourcesResponse()
        for holder, resource, given_ids in (
            (TRAINER, kubelet.RESOURCE, ["Ascend910-0", "Ascend910-1"]),
            (Holder("team-b", "other", "main"), "example.com/gpu", ["Ascend910-2"]),
        ):
            pod = answer.pod_resources.add(namespace=holder.namespace, name=holder.pod)
            devices = pod.containers.add(name=holder.container).devices
            devices.add(resource_name=resource, device_ids=given_ids)
        return answer


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of an exporter that runs as a user starts it."""
    command = [sys.executable, "-m", "lab.ascend.npu_exporter", f"--pod-resources={tmp_path}/kubelet.sock", "--port=0"]
    options = [f"--faults={tmp_path}/faults"]
    process = subprocess.Popen([*command, *options], cwd=PACKAGE.parents[2], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield process.stdout.readline().split()[-1]
    process.terminate()
    process.communicate(timeout=15)


def test_the_process_asks_the_kubelet_at_each_scrape(url: str, tmp_path: Path) -> None:
    with pytest.raises(urllib.error.HTTPError, match="500"), urllib.request.urlopen(url):
        pass
    server = grpc.server(futures.ThreadPoolExecutor(1))
    add_PodResourcesListerServicer_to_server(Kubelet(), server)
    server.add_insecure_port(f"unix:{tmp_path}/kubelet.sock")
    server.start()
    (tmp_path / "faults").write_text("Ascend910-1\n")
    with urllib.request.urlopen(url) as response:
        text = response.read().decode()
    server.stop(grace=None).wait()
    metrics = {family.name: family for family in text_string_to_metric_families(text)}
    assert {id for id, load in values(metrics, "npu_chip_info_utilization").items() if load} == {"0", "1"}
    assert values(metrics, "npu_chip_info_error_code").keys() == {"1"}


def test_generated_code_is_current(tmp_path: Path) -> None:
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    source = "lab/ascend/npu_exporter/podresources.proto"
    assert protoc.main(["", f"-I{PACKAGE.parents[2]}", *outputs, source]) == 0
    generated = {file.name: file.read_text() for file in (tmp_path / source).parent.iterdir()}
    assert generated == {file.name: file.read_text() for file in PACKAGE.glob("*_pb2*.py*")}, "run make generate"
