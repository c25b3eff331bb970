"""What the chart gives a Prometheus and a Grafana, and that it fits what the operator makes."""

import json
import re
from typing import Any

import promql_parser as promql
import pytest
import yaml

from bertfinetune_operator import contract, naming
from bertfinetune_operator.settings import Settings
from support.helm import CHART, OPERATOR, Raw, render, template

DASHBOARDS = [*(CHART / "files/dashboards").iterdir()]
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


@pytest.mark.parametrize("switch", ["serviceMonitor", "podMonitor", "npuExporter", "prometheusRule"])
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
    assert found == [f"{OPERATOR}-metrics"]
    assert [port["name"] for port in services["Service", "system", f"{OPERATOR}-metrics"]["spec"]["ports"]] == [
        "metrics"
    ]


@pytest.mark.parametrize(("watched", "selector"), [([], {"any": True}), (["a", "b"], {"matchNames": ["a", "b"]})])
def test_the_pod_monitor_finds_the_trainers_and_names_their_object(watched: list[str], selector: Raw) -> None:
    monitor = render(watchNamespaces=watched, **{"monitoring.podMonitor.enabled": True})
    spec = monitor["PodMonitor", "system", f"{OPERATOR}-trainers"]["spec"]
    assert spec["namespaceSelector"] == selector
    assert spec["selector"]["matchLabels"].items() <= TRAINER.items()
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] == contract.METRICS_PORT_NAME
    assert endpoint["relabelings"] == [{"sourceLabels": [meta_label(naming.LABEL_INSTANCE)], "targetLabel": "name"}]


WRITTEN = yaml.safe_load((CHART / "files/rules/bertfinetune.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in WRITTEN["groups"] for rule in group["rules"] if "alert" in rule}
RULES = json.loads((CHART / "values.schema.json").read_text())["properties"]["monitoring"]["properties"]["rules"]
THRESHOLDS: Raw = yaml.safe_load((CHART / "values.yaml").read_text())["monitoring"]["rules"]["thresholds"]


def alerts(**values: Any) -> dict[str, Raw]:
    """The alerts that arrive."""
    groups = on("prometheusRule", **values)["spec"]["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_the_rules_arrive_as_they_are() -> None:
    assert on("prometheusRule")["spec"] == WRITTEN


@pytest.mark.parametrize("url", ["https://wiki.example.com/bft", "https://example.com/a?page=run:books#x"])
def test_the_alerts_say_where_the_runbooks_are_if_the_site_has_them_somewhere(url: str) -> None:
    moved = alerts(**{"monitoring.prometheusRule.runbookUrl": url})
    for name, alert in ALERTS.items():
        assert moved[name] == alert | {"annotations": alert["annotations"] | {"runbook_url": f"{url}/{name}"}}


def test_an_alert_can_be_left_out() -> None:
    assert RULES["properties"]["disabled"]["properties"].keys() == ALERTS.keys()
    disabled = {"BertFinetuneStalled": True, "BertFinetuneCollapsed": False}
    assert alerts(**{"monitoring.rules.disabled": disabled}).keys() == ALERTS.keys() - {"BertFinetuneStalled"}
    groups = on("prometheusRule", **{"monitoring.rules.disabled": dict.fromkeys(ALERTS, True)})["spec"]["groups"]
    assert [group["name"] for group in groups] == ["bertfinetune-recording", "bertfinetune-cards"]


def test_each_alert_gets_the_sites_labels_and_no_recorded_series_does() -> None:
    groups = on("prometheusRule", **{"monitoring.rules.labels": {"team": "ml", "severity": "page"}})["spec"]["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        if "alert" in rule:
            assert rule["labels"] == {"team": "ml", "severity": "page"}
        else:
            assert "team" not in rule.get("labels", {})


OTHERS = {
    "BertFinetuneStalled": "2h",
    "BertFinetunePendingTooLong": "1d6h",
    "BertFinetuneStepTimeRegressed": 3,
    "BertFinetuneRetryBudgetNearlySpent": 0.9,
    "BertFinetuneFailureRatioHigh": 0.75,
    "BertFinetuneErrorRatioHigh": 0.025,
}


@pytest.mark.parametrize("name", THRESHOLDS)
def test_a_threshold_takes_the_place_of_its_default_and_of_nothing_else(name: str) -> None:
    default, other = str(THRESHOLDS[name]), str(OTHERS[name])
    retuned = alerts(**{f"monitoring.rules.thresholds.{name}": OTHERS[name]})
    assert {alert for alert in ALERTS if retuned[alert] != ALERTS[alert]} == {name}
    old, new = ALERTS[name]["expr"], retuned[name]["expr"]
    assert default in old
    assert promql.parse(new).prettify() == promql.parse(old.replace(default, other)).prettify()
    words = ALERTS[name]["annotations"]["description"], retuned[name]["annotations"]["description"]
    assert words[1] == words[0].replace(default, other)


def test_every_threshold_has_its_schema() -> None:
    assert RULES["properties"]["thresholds"]["properties"].keys() == THRESHOLDS.keys() == OTHERS.keys()


def test_the_pod_monitor_finds_the_npu_exporter_and_believes_its_labels() -> None:
    monitor = on("npuExporter", **{"monitoring.npuExporter.namespace": "npu"})["spec"]
    assert monitor["namespaceSelector"] == {"matchNames": ["npu"]}
    configs = yaml.safe_load((CHART / "files/prometheus/scrape-configs.yaml").read_text())
    (job,) = (config for config in configs if config["job_name"] == "npu-exporter")
    (keep, node) = job["relabel_configs"]
    assert keep["regex"].split(";")[1] == monitor["selector"]["matchLabels"]["app"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["honorLabels"] == job["honor_labels"]
    assert endpoint["relabelings"] == [{"sourceLabels": node["source_labels"], "targetLabel": node["target_label"]}]


@pytest.mark.parametrize("switch", ["serviceMonitor", "podMonitor", "npuExporter", "prometheusRule", "dashboards"])
def test_a_label_of_the_charts_own_may_be_given_another_value(switch: str) -> None:
    labels = {"app.kubernetes.io/name": "mine", "release": "stack"}
    values = {f"monitoring.{switch}.enabled": True, f"monitoring.{switch}.labels": labels}
    done = template(**values)
    assert done.stdout.count("app.kubernetes.io/name: mine") == (len(DASHBOARDS) if switch == "dashboards" else 1)
    for text in done.stdout.split("\n---\n"):
        metadata = re.split("\n(?:spec|data):", text)[0]
        assert metadata.count("\n    app.kubernetes.io/name:") <= 1, text


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
    service = "Service", "system", f"{OPERATOR}-metrics"
    assert "annotations" not in render()[service]["metadata"]
    annotations = render(**{"monitoring.scrapeAnnotations": True})[service]["metadata"]["annotations"]
    assert annotations == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(settings.metrics_port),
        "prometheus.io/path": "/metrics",
    }


RELABELLED = [{"targetLabel": "site", "replacement": "north"}]
DROPPED = [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}]


@pytest.mark.parametrize("switch", ["serviceMonitor", "podMonitor", "npuExporter"])
def test_a_monitor_relabels_beside_what_it_does_itself(switch: str) -> None:
    told = {"scrapeTimeout": "9s", "relabelings": RELABELLED, "metricRelabelings": DROPPED}
    values = {f"monitoring.{switch}.{name}": value for name, value in told.items()}
    before, after = (on(switch, **more)["spec"] for more in ({}, values))
    kind = "endpoints" if switch == "serviceMonitor" else "podMetricsEndpoints"
    (own,), (changed,) = before[kind], after[kind]
    assert changed == own | told | {"relabelings": [*own.get("relabelings", ()), *RELABELLED]}
    assert {name: part for name, part in after.items() if name != kind} == {
        name: part for name, part in before.items() if name != kind
    }


def test_monitors_are_in_the_namespace_that_a_prometheus_looks_at_and_look_at_their_own_pods() -> None:
    values: Raw = {f"monitoring.{switch}.enabled": True for switch in ("serviceMonitor", "podMonitor")}
    values |= {f"monitoring.{switch}.namespace": "monitoring" for switch in ("serviceMonitor", "podMonitor")}
    objects = render(**values, **{"monitoring.serviceMonitor.honorLabels": False})
    operator = objects["ServiceMonitor", "monitoring", OPERATOR]["spec"]
    assert operator["namespaceSelector"] == {"matchNames": ["system"]}
    assert operator["endpoints"][0]["honorLabels"] is False
    assert objects["PodMonitor", "monitoring", f"{OPERATOR}-trainers"]["spec"]["namespaceSelector"] == {"any": True}
