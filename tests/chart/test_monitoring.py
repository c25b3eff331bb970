"""What the chart gives a Prometheus and a Grafana, and that it fits what the operator makes."""

import re
from typing import Any

import pytest
import yaml

from bertfinetune_operator import contract, naming
from bertfinetune_operator.settings import Settings
from chart.helm import CHART, Raw, render

META = "__meta_kubernetes_pod_"
TRAINER = naming.child_labels("mrpc", "aaaabbbb-cccc-4ddd-8eee-ffff00001111", 0)


def meta_label(label: str) -> str:
    """Where Prometheus' service discovery puts a pod's label."""
    return META + "label_" + re.sub(r"\W", "_", label, flags=re.ASCII)


def on(switch: str, **values: Any) -> Raw:
    """The one object that a switch of monitoring adds."""
    values[f"monitoring.{switch}.enabled"] = True
    changed = render(**values)
    (key,) = changed.keys() - render().keys()
    return changed[key]


@pytest.mark.parametrize("switch", ["serviceMonitor", "podMonitor", "prometheusRule"])
def test_a_prometheus_can_select_it(switch: str) -> None:
    labels = on(switch)["metadata"]["labels"]
    selected = on(switch, **{f"monitoring.{switch}.labels": {"release": "stack"}})["metadata"]["labels"]
    assert selected == labels | {"release": "stack"}


def test_the_service_monitor_finds_the_operator() -> None:
    spec = on("serviceMonitor", **{"monitoring.serviceMonitor.interval": "1m30s"})["spec"]
    assert spec["endpoints"] == [{"port": "metrics", "interval": "1m30s", "honorLabels": True}]
    objects = render(**{"monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}]})
    services = {key: raw for key, raw in objects.items() if key[0] == "Service"}
    found = [
        name
        for (_, _, name), raw in services.items()
        if spec["selector"]["matchLabels"].items() <= raw["metadata"]["labels"].items()
    ]
    assert found == ["op-metrics"]
    assert [port["name"] for port in services["Service", "system", "op-metrics"]["spec"]["ports"]] == ["metrics"]


@pytest.mark.parametrize(("watched", "selector"), [([], {"any": True}), (["a", "b"], {"matchNames": ["a", "b"]})])
def test_the_pod_monitor_finds_the_trainers_and_names_their_object(watched: list[str], selector: Raw) -> None:
    monitor = render(watchNamespaces=watched, **{"monitoring.podMonitor.enabled": True})
    spec = monitor["PodMonitor", "system", "op-trainers"]["spec"]
    assert spec["namespaceSelector"] == selector
    assert spec["selector"]["matchLabels"].items() <= TRAINER.items()
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] == contract.METRICS_PORT_NAME
    assert endpoint["relabelings"] == [{"sourceLabels": [meta_label(naming.LABEL_INSTANCE)], "targetLabel": "name"}]


def test_the_rules_arrive_as_they_are_but_for_where_the_runbooks_are() -> None:
    written = (CHART / "files/rules/bertfinetune.yaml").read_text()
    assert on("prometheusRule")["spec"] == yaml.safe_load(written)
    moved = on("prometheusRule", **{"monitoring.prometheusRule.runbookUrl": "https://wiki.example.com/bft"})["spec"]
    alerts = [rule for group in moved["groups"] for rule in group["rules"] if "alert" in rule]
    assert alerts
    for alert in alerts:
        assert alert["annotations"]["runbook_url"] == f"https://wiki.example.com/bft/{alert['alert']}"


def test_each_dashboard_arrives_as_it_is() -> None:
    values = {"enabled": True, "labels": {"team": "nlp"}, "annotations": {"grafana_folder": "BERT"}}
    maps = [raw for key, raw in render(**{"monitoring.dashboards": values}).items() if key[0] == "ConfigMap"]
    shipped = {
        f"bertfinetune-{path.name}": path.read_text().rstrip("\n") for path in (CHART / "files/dashboards").iterdir()
    }
    assert shipped
    assert [len(raw["data"]) for raw in maps] == [1] * len(shipped)
    assert {name: text for raw in maps for name, text in raw["data"].items()} == shipped
    for raw in maps:
        assert {"grafana_dashboard": "1", "team": "nlp"}.items() <= raw["metadata"]["labels"].items()
        assert raw["metadata"]["annotations"] == {"grafana_folder": "BERT"}


def test_annotations_name_the_port_that_serves_metrics() -> None:
    settings = Settings(trainer_image_ascend910="a", trainer_image_cpu="c")
    service = "Service", "system", "op-metrics"
    assert "annotations" not in render()[service]["metadata"]
    annotations = render(**{"monitoring.scrapeAnnotations": True})[service]["metadata"]["annotations"]
    assert annotations == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(settings.metrics_port),
        "prometheus.io/path": "/metrics",
    }


def tensorboard(claim: str) -> tuple[str, Raw, Raw]:
    """The name, Deployment and Service for a claim in the operator's own namespace."""
    objects, without = render(**{"monitoring.tensorboards": [{"namespace": "system", "claimName": claim}]}), render()
    added = {key[0]: raw for key, raw in objects.items() if key not in without}
    assert added.keys() == {"Deployment", "NetworkPolicy", "Service"}
    (name,) = {raw["metadata"]["name"] for raw in added.values()}
    return name, added["Deployment"], added["Service"]


def test_a_tensorboard_reads_the_claim_as_the_user_who_wrote_it() -> None:
    name, deployment, service = tensorboard("runs")
    assert name == "tensorboard-runs"
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert {"name": "output", "persistentVolumeClaim": {"claimName": "runs"}} in pod["volumes"]
    assert mounts[contract.OUTPUT_PATH] == {"name": "output", "mountPath": contract.OUTPUT_PATH, "readOnly": True}
    assert f"--logdir={contract.OUTPUT_PATH}" in container["args"]
    job = yaml.safe_load((CHART.parents[1] / "tests/golden/job/minimal.yaml").read_text())
    trainer = job["spec"]["template"]["spec"]["securityContext"]
    assert pod["securityContext"].items() <= trainer.items()
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]


def test_a_tensorboard_gets_its_image_where_and_as_the_cpu_trainers_do() -> None:
    values: Raw = {
        "monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}],
        "trainer.images.cpu": "r/cpu:1",
        "trainer.imagePullSecrets": ["registry"],
        "trainer.nodeSelector.cpu": {"kubernetes.io/arch": "amd64"},
    }
    objects = render(**values)
    pod = objects["Deployment", "system", "tensorboard-runs"]["spec"]["template"]["spec"]
    assert [container["image"] for container in pod["containers"]] == ["r/cpu:1"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert not {"imagePullSecrets", "nodeSelector"} & tensorboard("runs")[1]["spec"]["template"]["spec"].keys()


def test_nobody_takes_a_tensorboard_for_an_operator_or_for_a_trainer() -> None:
    _, deployment, service = tensorboard("runs")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    objects = render(**{"monitoring.podMonitor.enabled": True})
    for selector in (
        objects["Service", "system", "op-metrics"]["spec"]["selector"],
        objects["Deployment", "system", "op"]["spec"]["selector"]["matchLabels"],
        objects["PodDisruptionBudget", "system", "op"]["spec"]["selector"]["matchLabels"],
        objects["PodMonitor", "system", "op-trainers"]["spec"]["selector"]["matchLabels"],
        tensorboard("other")[2]["spec"]["selector"],
    ):
        assert not selector.items() <= labels.items()
    for selector in (service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= labels.items()


@pytest.mark.parametrize("claim", ["c" * 253, "ab." * 20 + "z", "a.b"])
def test_the_name_of_a_tensorboard_is_a_dns_label(claim: str) -> None:
    assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])", tensorboard(claim)[0])
