"""The alerts and recording rules: complete, and explained by runbooks that name what exists."""

import re
from collections import defaultdict
from typing import Any

import promql_parser as promql
import pytest
import yaml

from lab.ascend.npu_exporter.codes import IGNORED
from lab.cluster.layout import CRD, PROJECT
from lab.monitoring.known_metrics import KNOWN
from lab.monitoring.queries import selectors

FILES = PROJECT / "charts/bertfinetune-operator/files"
RULES = FILES / "rules/bertfinetune.yaml"
RUNBOOKS = FILES / "runbooks"
TESTS = sorted((PROJECT / "tests/api/monitoring/rules").glob("*.test.yaml"))
Raw = dict[str, Any]

GROUPS = yaml.safe_load(RULES.read_text())["groups"]
ALL = [rule for group in GROUPS for rule in group["rules"]]
ALERTS: dict[str, Raw] = {rule["alert"]: rule for rule in ALL if "alert" in rule}
RECORDS: dict[str, Raw] = {rule["record"]: rule for rule in ALL if "record" in rule}
PAGES = {page.stem: page.read_text() for page in RUNBOOKS.glob("*.md") if page.stem != "README"}
alerts = pytest.mark.parametrize("name", ALERTS)
pages = pytest.mark.parametrize("name", PAGES)


def metrics(expression: str) -> set[str]:
    """The names an expression selects, those of metrics that a regular expression selects included."""
    return {name for selector in selectors(expression) for name in names_of(selector)}


def names_of(selector: promql.VectorSelector) -> set[str]:
    if selector.name:
        return {selector.name}
    (pattern,) = (matcher.value for matcher in selector.matchers.matchers if matcher.name == "__name__")
    found = {name for name in KNOWN if re.fullmatch(pattern, name)}
    assert found, f"no metric has a name like {pattern}"
    return found


def sources(expression: str) -> set[str]:
    """The exported metrics an expression is computed from, those of recorded series included."""
    return {
        source
        for name in metrics(expression)
        for source in (sources(RECORDS[name]["expr"]) if name in RECORDS else {name})
    }


def test_every_alert_has_a_case_that_fires_and_one_that_nearly_does() -> None:
    fires, nearly = set[str](), defaultdict[str, set[str]](set)
    for case in (case for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]):
        given = {series["series"].partition("{")[0] for series in case["input_series"]}
        for check in case.get("alert_rule_test", ()):
            if check["exp_alerts"]:
                fires.add(check["alertname"])
            else:
                nearly[check["alertname"]] |= given
    assert fires == set(ALERTS)
    lacking = {name: sources(rule["expr"]) - nearly[name] for name, rule in ALERTS.items()}
    assert {name: lacks for name, lacks in lacking.items() if lacks} == {}, "silent only because a series is not there"


def test_every_recorded_series_has_a_value_in_a_case() -> None:
    tested = {
        name
        for path in TESTS
        for case in yaml.safe_load(path.read_text())["tests"]
        for check in case.get("promql_expr_test", ())
        if check["exp_samples"]
        for name in metrics(check["expr"])
    }
    assert tested == set(RECORDS)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_asks_for_what_is_exported_and_keeps_the_cluster(rule: Raw) -> None:
    assert metrics(rule["expr"]) <= KNOWN | RECORDS.keys()
    groupings = re.findall(r"\b(?:by|on) *\(\s*([^)]*)\)", rule["expr"])
    assert [labels for labels in groupings if not labels.startswith("cluster")] == []
    excluded = re.findall(r"\b(?:without|ignoring) *\(([^)]*)\)", rule["expr"])
    assert [labels for labels in excluded if "cluster" in labels] == []


@alerts
def test_an_alert_says_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert "for" in rule
    assert rule["keep_firing_for"] == "5m"
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description"}  # the chart adds where the site has the runbooks
    assert annotations["description"].endswith(".")
    assert name in PAGES


@pages
def test_a_runbook_has_its_four_parts(name: str) -> None:
    assert re.findall("^#+ .*", PAGES[name], re.MULTILINE) == [
        f"# {name}",
        "## Meaning",
        "## Impact",
        "## Diagnosis",
        "## Mitigation",
    ]
    for language in ("console", "promql"):
        assert blocks(PAGES[name], language), f"no command in {language}"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(f"```{language}\n(.*?)```", page, re.DOTALL)


@pages
def test_a_runbook_names_what_exists(name: str) -> None:
    page = PAGES[name]
    queries = [line for block in blocks(page, "promql") for line in block.splitlines()]
    asked = {metric for query in queries for metric in metrics(query)}
    assert asked <= KNOWN | RECORDS.keys() | {"up"}
    assert set(re.findall(r"\bBertFinetune[A-Z]\w+", page)) <= ALERTS.keys()
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for path in re.findall(r"\b(?:spec|status)(?:\.[a-z]\w*)+", re.sub(r"\[.*?\]", "", page)):
        if path not in OF_OTHERS:
            assert defined(schema, path.split(".")), f"a BertFinetune has no {path}"


OF_OTHERS = {"spec.holderIdentity", "spec.renewTime", "spec.nodeName"}
"""A Lease's, and a pod's."""


def defined(schema: Raw, path: list[str]) -> bool:
    """Whether a schema has a field at the path; of a list its items count."""
    for field in path:
        schema = schema.get("items", schema).get("properties", {}).get(field, {})
    return bool(schema)


def test_the_codes_that_the_vendor_ignores_are_no_alert() -> None:
    """In decimals, as the exporter has them: count_values writes the codes as text."""
    listed = re.findall(r'code!~"([\d|]+)"', ALERTS["BertFinetuneCardUnhealthy"]["expr"])
    assert [int(code) for codes in listed for code in codes.split("|")] == sorted(IGNORED)


def test_there_is_a_runbook_for_each_alert_and_no_other() -> None:
    assert PAGES.keys() == ALERTS.keys()


def test_the_tables_are_complete() -> None:
    table = (RUNBOOKS / "README.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \|", table, re.MULTILINE)
    assert rows == [(name, name, rule["labels"]["severity"]) for name, rule in ALERTS.items()]
    assert re.findall(r"^\| `([\w:]+)` \|", table, re.MULTILINE) == list(RECORDS)
