"""HTTP discovery gives what Prometheus's own Kubernetes discovery gives."""

import json
import urllib.request
from typing import Any

import pytest

from lab.monitoring import discovery, prometheus


def pod(namespace: str, ip: str | None = "10.244.0.9", **port: Any) -> discovery.Pod:
    return {
        "metadata": {"namespace": namespace, "name": "mrpc-x", "labels": {"app.kubernetes.io/name": "bert-trainer"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "trainer", "ports": [port] if port else []}]},
        "status": {"phase": "Running"} | ({"podIP": ip} if ip else {}),
    }


def test_a_target_for_each_port_with_the_labels_of_the_pod() -> None:
    prefix = "__meta_kubernetes_"
    (target,) = discovery.targets([pod("team-a", name="metrics", containerPort=8080), pod("team-a")])
    assert target["targets"] == ["10.244.0.9:8080"]
    assert target["labels"] == {
        f"{prefix}namespace": "team-a",
        f"{prefix}pod_name": "mrpc-x",
        f"{prefix}pod_ip": "10.244.0.9",
        f"{prefix}pod_phase": "Running",
        f"{prefix}pod_node_name": "n1",
        f"{prefix}pod_container_name": "trainer",
        f"{prefix}pod_container_port_name": "metrics",
        f"{prefix}pod_container_port_number": "8080",
        f"{prefix}pod_label_app_kubernetes_io_name": "bert-trainer",
        f"{prefix}pod_labelpresent_app_kubernetes_io_name": "true",
    }


@pytest.mark.parametrize(
    ("namespaces", "found"), [([], 2), (["team-a"], 1), (["team-a", "team-b"], 2), (["team-c"], 0)]
)
def test_only_pods_with_an_address_in_the_namespaces(namespaces: list[str], found: int) -> None:
    waiting = pod("team-a", ip=None, containerPort=8080)
    pods = [pod("team-a", containerPort=8080), pod("team-b", containerPort=8080), waiting]
    assert len(discovery.targets(pods, namespaces)) == found


def test_the_charts_jobs_ask_for_their_namespaces() -> None:
    with discovery.serve(lambda: [pod("bertfinetune-system", containerPort=1), pod("team-a", containerPort=2)]) as url:
        answers = {}
        for job in prometheus.jobs(url):
            (asked,) = job["http_sd_configs"]
            with urllib.request.urlopen(asked["url"]) as response:
                answers[job["job_name"]] = [target["targets"][0] for target in json.load(response)]
    operator, trainer = "10.244.0.9:1", "10.244.0.9:2"
    assert answers == {
        "bertfinetune-operator": [operator],
        "bertfinetune-trainers": [operator, trainer],
        "npu-exporter": [],
    }


def test_one_of_several_clusters_does_not_honor_the_exporters_labels() -> None:
    jobs = prometheus.jobs("http://discovery/")
    shared = {job["job_name"]: job for job in prometheus.of_one_cluster(jobs, "east")}
    assert jobs == prometheus.jobs("http://discovery/")  # left as they were
    for name, job in shared.items():
        labels = {
            rule["target_label"]: rule.get("replacement") for rule in job["relabel_configs"] if "target_label" in rule
        }
        assert labels["cluster"] == "east"
        assert {"namespace", "pod"} <= labels.keys()
        assert job.get("honor_labels", False) == (name == "bertfinetune-operator")
