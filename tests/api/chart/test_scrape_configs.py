"""What the scrape configuration for a plain Prometheus makes of pods: Prometheus' own relabelling decides."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bertfinetune_operator import contract, naming
from support.helm import CHART, OPERATOR, Raw, render

CONFIGS = yaml.safe_load((CHART / "files/prometheus/scrape-configs.yaml").read_text())
META = "__meta_kubernetes_"


def discovered(labels: dict[str, str], port: Raw, phase: str = "Running") -> dict[str, str]:
    """What service discovery tells of a port of a pod."""
    return {
        f"{META}namespace": "research",
        f"{META}pod_name": "pod-1",
        f"{META}pod_node_name": "node-1",
        f"{META}pod_phase": phase,
        f"{META}pod_container_port_name": port["name"],
        f"{META}pod_container_port_number": str(port["containerPort"]),
        **{f"{META}pod_label_" + re.sub(r"\W", "_", label): value for label, value in labels.items()},
    }


TRAINER_LABELS = naming.child_labels("mrpc", "aaaabbbb-cccc-4ddd-8eee-ffff00001111", 0)
TRAINER_PORT = {"name": contract.METRICS_PORT_NAME, "containerPort": contract.METRICS_PORT}
TEMPLATE = render(**{"crds.install": False})["Deployment", "system", OPERATOR]["spec"]["template"]
OPERATOR_LABELS = TEMPLATE["metadata"]["labels"]
HEALTH, METRICS = TEMPLATE["spec"]["containers"][0]["ports"]
EXPORTER = {"app": "npu-exporter"}, {"name": "http", "containerPort": 8082}

PODS = [
    discovered(OPERATOR_LABELS, METRICS),
    discovered(OPERATOR_LABELS, HEALTH),
    discovered(OPERATOR_LABELS, METRICS, phase="Failed"),
    discovered(TRAINER_LABELS, TRAINER_PORT),
    discovered(TRAINER_LABELS, TRAINER_PORT, phase="Succeeded"),
    discovered(*EXPORTER),
    discovered({"app": "nginx"}, TRAINER_PORT),
]
SCRAPED = {
    "bertfinetune-operator": (0, {"namespace": "research", "pod": "pod-1"}),
    "bertfinetune-trainers": (3, {"namespace": "research", "pod": "pod-1", "name": "mrpc"}),
    "npu-exporter": (5, {"node": "node-1"}),
}
"""By job: which of the pods it takes, and the labels that its series get."""


def test_each_job_is_known() -> None:
    assert [config["job_name"] for config in CONFIGS] == [*SCRAPED]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config["job_name"])
def test_a_job_takes_its_pods_and_no_others(config: Raw, tmp_path: Path) -> None:
    job = config["job_name"]
    assert [discovery["role"] for discovery in config["kubernetes_sd_configs"]] == ["pod"]
    targets = [{"targets": [f"10.0.0.{number}:80"], "labels": labels} for number, labels in enumerate(PODS)]
    static = {key: value for key, value in config.items() if key != "kubernetes_sd_configs"}
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump({"scrape_configs": [static | {"static_configs": targets}]}))
    command = ["promtool", "check", "service-discovery", "--timeout=1s", str(file), job]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = [target["labels"] for target in json.loads(done.stdout) if target["labels"]]
    number, labels = SCRAPED[job]
    instance = f"10.0.0.{number}:80"
    assert [{k: v for k, v in target.items() if not k.startswith("__")} for target in found] == [
        labels | {"instance": instance, "job": job}
    ]


def test_the_series_of_an_object_keep_its_namespace() -> None:
    honored = {config["job_name"]: config.get("honor_labels", False) for config in CONFIGS}
    assert honored == {"bertfinetune-operator": True, "bertfinetune-trainers": False, "npu-exporter": True}
