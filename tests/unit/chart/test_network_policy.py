"""Who may connect to operator and trainers, and to whom these may: policies as the chart and the operator make them."""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from bertfinetune_operator import contract, naming
from bertfinetune_operator.manifests.network_policy import network_policy
from bertfinetune_operator.settings import Settings
from lab.cluster.layout import PROJECT
from support.helm import CHART, OPERATOR, Objects, Raw, render

GOLDEN = Path(__file__).parents[1] / "operator" / "golden" / "network_policy"
TENSORBOARD: Raw = {"monitoring.tensorboards": [{"namespace": "research", "claimName": "runs"}]}
LISTED: Raw = {
    "watchNamespaces": ["research", "teaching"],
    "networkPolicy.scrapers": [],
    "networkPolicy.apiServer": {"cidrs": ["10.0.0.1/32"], "ports": [6443]},
    "networkPolicy.dnsPorts": [53, 5353],
    "networkPolicy.downloads": [{"podSelector": {"matchLabels": {"app": "minio"}}}],
}


def installed(objects: Objects) -> list[Raw]:
    return [raw for (kind, _, _), raw in sorted(objects.items()) if kind == "NetworkPolicy"]


def applied(objects: Objects, namespace: str) -> list[Raw]:
    """What the operator applies in a namespace."""
    container = objects["Deployment", "system", OPERATOR]["spec"]["template"]["spec"]["containers"][0]
    variable = "BERTFINETUNE_TRAINER_NETWORK_POLICIES"
    specs = next((json.loads(env["value"]) for env in container["env"] if env["name"] == variable), {})
    return [network_policy(namespace, name, spec) for name, spec in specs.items()]


@pytest.mark.parametrize(("case", "values"), [("everywhere", TENSORBOARD), ("listed", LISTED)])
def test_policies_are_the_golden_ones(case: str, values: Raw) -> None:
    objects = render(**values)
    policies = installed(objects) + applied(objects, "research")
    for policy in policies:
        policy["metadata"]["labels"].pop("helm.sh/chart", None)
        policy["metadata"]["labels"].pop("app.kubernetes.io/version", None)
    file = GOLDEN / f"{case}.yaml"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(yaml.safe_dump_all(policies))
    assert policies == list(yaml.safe_load_all(file.read_text()))


def test_switched_off_there_are_none() -> None:
    objects = render(**{"networkPolicy.enabled": False})
    assert installed(objects) + applied(objects, "research") == []


def test_they_mean_the_pods_and_ports_that_there_are() -> None:
    objects = render()
    trainer, downloads = sorted(applied(objects, "research"), key=lambda raw: raw["metadata"]["name"], reverse=True)
    labels = naming.child_labels("mrpc", "uid", 0)
    assert trainer["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert (
        downloads["spec"]["podSelector"]["matchLabels"].items() <= (labels | {naming.LABEL_DOWNLOADS: "true"}).items()
    )
    operator = objects["NetworkPolicy", "system", OPERATOR]["spec"]
    pod = objects["Deployment", "system", OPERATOR]["spec"]["template"]["metadata"]["labels"]
    assert operator["podSelector"]["matchLabels"].items() <= pod.items()
    [rule] = trainer["spec"]["ingress"]
    assert rule["ports"] == operator["egress"][-1]["ports"] == [{"port": contract.METRICS_PORT}]
    assert rule["from"][0]["podSelector"]["matchLabels"].items() <= pod.items()
    assert rule["from"][0]["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "system"}}
    assert operator["ingress"][0]["ports"] == [{"port": Settings("", "").metrics_port}]


def test_they_bar_what_the_download_itself_bars() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    barred = [cidr for peer in values["networkPolicy"]["downloads"] for cidr in peer["ipBlock"]["except"]]
    assert barred == [str(network) for network in download_guard().FORBIDDEN]


def download_guard() -> ModuleType:
    """The trainer's module, of which this Python has no package."""
    path = PROJECT / "trainer_image/src/bert_trainer/fetch/guard.py"
    spec = importlib.util.spec_from_file_location("download_guard", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
