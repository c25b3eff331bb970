"""Each prerequisite is taken away in turn from a cluster that is ready. UPDATE_GOLDEN=1 rewrites the golden tables."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from bertfinetune_preflight.__main__ import summary, table
from bertfinetune_preflight.checks import CHECKS, CLAIMS, OLDEST, Row
from bertfinetune_preflight.seen import DEFAULTS, Seen, fields
from support.helm import CHART

HERE = Path(__file__).parent
READY: dict[str, Any] = yaml.safe_load((HERE / "mindcluster.yaml").read_text())
BARE: dict[str, Any] = {key: [] for key in READY} | {"version": "v1.34.4", "own_crd": READY["own_crd"], "namespace": ""}
TAKEN: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "taken_away.yaml").read_text())
VARIABLES = "workloads 3 spec template spec containers 0 env"
TAINTS = "nodes 0 spec taints"
TOLERATIONS = "SETTING TRAINER_TOLERATIONS_ASCEND910"
ARGUMENTS = "workloads 0 spec template spec containers 0 args"
LEVEL = "namespaces 0 metadata labels pod-security.kubernetes.io/enforce"

SHARES = {"huawei.com/Ascend910-2c": "4"}

CONSEQUENCES = {"cards": {"model of cards", "driver", "placement"}, "namespace": {"Pod Security", "claims"}}
"""Checks that cannot say more without this one."""
ALWAYS_LOOKED_AT = {"device files", "trainer's image"}


def at(cluster: Any, step: str) -> str | int:
    return int(step) if isinstance(cluster, list) else step


def change(cluster: dict[str, Any], path: str, value: Any) -> None:
    if path.startswith("SETTING "):
        names = [
            variable["name"] for variable in READY["workloads"][3]["spec"]["template"]["spec"]["containers"][0]["env"]
        ]
        path = f"{VARIABLES} {names.index('BERTFINETUNE_' + path.split()[1])} value"
    *steps, last = path.split()
    place: Any = cluster
    for step in steps:
        place = place[at(place, step)]
    if value is None:
        del place[at(place, last)]
    else:
        place[at(place, last)] = value


def rows(changes: dict[str, Any], start: dict[str, Any] = READY) -> dict[str, Row]:
    """The table, by check."""
    cluster = json.loads(json.dumps(start))  # in which nothing is an alias of something else
    for path, value in changes.items():
        change(cluster, path, value)
    return {row.check: row for row in (check(Seen(**cluster)) for check in CHECKS)}


@pytest.mark.parametrize("name", TAKEN)
def test_without_it_one_check_says_so(name: str) -> None:
    case = TAKEN[name]
    found = rows(case["set"])
    row = found[case["check"]]
    assert (row.verdict, case["seen"] in row.seen, case["remedy"] in row.remedy) == (case["verdict"], True, True), row
    differing = {check for check, was in rows({}).items() if found[check].verdict != was.verdict}
    assert differing - CONSEQUENCES.get(row.check, set()) == {row.check}
    assert summary([*found.values()]).startswith("not ready") == (row.verdict == "FAIL")


def test_each_check_is_seen_to_notice() -> None:
    assert {case["check"] for case in TAKEN.values()} | ALWAYS_LOOKED_AT == rows({}).keys()


def test_a_row_that_is_not_ok_has_a_remedy_and_another_has_none() -> None:
    tables = [rows({}), rows({}, BARE), *(rows(case["set"]) for case in TAKEN.values())]
    for row in (row for found in tables for row in found.values()):
        assert bool(row.remedy) == (row.verdict != "ok"), row


@pytest.mark.parametrize(
    ("changes", "check", "verdict"),
    [
        ({ARGUMENTS: ["device-plugin -volcanoType=false"], "SETTING DEFAULT_SCHEDULER_NAME": ""}, "scheduler", "ok"),
        ({ARGUMENTS: ["device-plugin -volcanoType"], "SETTING DEFAULT_SCHEDULER_NAME": ""}, "scheduler", "FAIL"),
        ({ARGUMENTS: ["device-plugin"], "workloads 2": None}, "scheduler", "FAIL"),  # Volcano is asked for all the same
        ({"SETTING ASCEND_DRIVER": "hostPath", LEVEL: "privileged"}, "Pod Security", "ok"),
        ({"SETTING ASCEND_DRIVER": "hostPath", LEVEL: None}, "Pod Security", "ok"),
        ({"SETTING ASCEND_DRIVER": "hostPath"}, "driver in pods", "ok"),
        ({"nodes 0 status allocatable": SHARES, "nodes 0 status capacity": SHARES}, "cards", "ok"),
        ({"nodes 0 status allocatable": {"huawei.com/Ascend910B": "8"}}, "cards", "FAIL"),
        ({"SETTING WATCH_NAMESPACES": ""}, "namespace", "ok"),
        ({TAINTS: [{"key": "a", "effect": "PreferNoSchedule"}]}, "placement", "ok"),
        ({TAINTS: [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}, "placement", "ok"),
        ({TAINTS: [{"key": "dedicated", "effect": "NoExecute"}]}, "placement", "ok"),
        ({TOLERATIONS: '[{"operator": "Exists"}]'}, "placement", "ok"),
        ({TOLERATIONS: '[{"key": "dedicated", "value": "ascend", "effect": "NoSchedule"}]'}, "placement", "ok"),
        ({TOLERATIONS: '[{"key": "dedicated", "value": "others"}]'}, "placement", "FAIL"),
        ({TOLERATIONS: '[{"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}]'}, "placement", "FAIL"),
        ({TOLERATIONS: "", "SETTING TRAINER_NODE_SELECTOR_ASCEND910": "", TAINTS: []}, "placement", "ok"),
        ({"version": "v1.34.4-eks-1a2b3c"}, "Kubernetes", "ok"),
    ],
)  # fmt: skip
def test_what_else_a_cluster_may_be(changes: dict[str, Any], check: str, verdict: str) -> None:
    assert rows(changes)[check].verdict == verdict


def test_hundreds_of_nodes_are_a_line() -> None:
    nodes = [{**READY["nodes"][0], "metadata": {"name": f"atlas-{number}"}} for number in range(200)]
    assert rows({"nodes": nodes})["cards"].seen == "1600 huawei.com/Ascend910 on atlas-0, atlas-1, atlas-2, 197 more"


def test_of_several_operators_the_one_counts_that_serves_the_namespace() -> None:
    other = yaml.safe_load(yaml.safe_dump(READY["workloads"][3]).replace("research,translation", "vision"))
    other["metadata"]["name"] = "second"
    several = {"workloads": [other, *READY["workloads"]]}
    assert rows(several)["operator"].seen.startswith("bertfinetune-operator ")
    assert rows(several | {"namespace": "vision"})["operator"].seen.startswith("second ")
    assert rows(several | {"namespace": "elsewhere"})["namespace"].verdict == "FAIL"


@pytest.mark.parametrize(("name", "start"), [("ready", READY), ("bare", BARE)])
def test_the_table_is_the_golden_one(name: str, start: dict[str, Any]) -> None:
    found = [*rows({}, start).values()]
    text = f"{table(found)}\n\n{summary(found)}\n"
    file = HERE / "golden" / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()


def test_what_holds_without_an_operator_is_what_the_chart_says() -> None:
    ascend = yaml.safe_load((CHART / "values.yaml").read_text())["ascend"]
    assert {
        "ASCEND_RESOURCE": ascend["resource"],
        "ASCEND_DRIVER": ascend["driver"],
        "ASCEND_DEVICE_GROUPS": ",".join(map(str, ascend["deviceGroups"])),
        "ASCEND_CARD_ADDRESSES": str(ascend["cardAddresses"]).lower(),
    } == DEFAULTS
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">=1.{OLDEST}.0-0"


def test_the_claims_are_those_of_the_manifest() -> None:
    manifest = yaml.safe_load_all((CHART / "files/claims/claims.yaml").read_text())
    assert sorted(CLAIMS) == sorted(raw["metadata"]["name"] for raw in manifest if "Claim" in raw["kind"])


def test_the_fields_of_a_schema() -> None:
    inner = {"properties": {"b": {}, "l": {"items": {"properties": {"c": {}}}}}}
    assert [*fields({"properties": {"a": inner}})] == ["a", "a.b", "a.l", "a.l.c"]
