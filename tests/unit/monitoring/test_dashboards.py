"""The dashboards: current on disk, and faultless to our linter; and each rule of the linter on a faulty one."""

import copy
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from bertfinetune_dashboards import lint
from bertfinetune_operator.api.status import Phase
from lab.cluster.layout import PROJECT
from lab.monitoring.known_metrics import KNOWN

FOLDER = PROJECT / "charts/bertfinetune-operator/files/dashboards"
FILES = sorted(FOLDER.glob("*.json"))
Raw = dict[str, Any]


def load(name: str) -> Raw:
    return json.loads((FOLDER / f"{name}.json").read_text())


def test_the_checked_in_files_are_current(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "bertfinetune_dashboards", str(tmp_path)], check=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_text() for path in FILES}, "run make generate"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_dashboard_has_a_fault(path: Path) -> None:
    assert list(lint.problems(load(path.stem), KNOWN)) == []


def test_links_lead_to_our_dashboards() -> None:
    linked = {uid for path in FILES for uid in re.findall(r"/d/([\w-]+)", path.read_text())}
    assert linked == {"bertfinetune-run"}
    assert linked < {load(path.stem)["uid"] for path in FILES}
    for path in FILES:
        dashboard = load(path.stem)
        (link,) = dashboard["links"]
        assert (link["tags"], link["includeVars"], link["keepTime"]) == (dashboard["tags"], True, True)


def test_every_phase_has_its_colour() -> None:
    phases = next(panel for panel in load("fleet")["panels"] if panel["title"] == "Runs by phase")
    coloured = {override["matcher"]["options"] for override in phases["fieldConfig"]["overrides"]}
    assert coloured == set(get_args(Phase))


# What the linter calls faultless: a panel with a line for each verb, and beside it a single number.
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = 'sum by (verb) (rate(requests_total{cluster=~"$cluster"}[$__rate_interval]))'
GOOD: Raw = {
    "id": None,
    "uid": "example-dashboard",
    "templating": {
        "list": [
            {"name": "datasource", "type": "datasource"},
            {"name": "cluster", "type": "query", "multi": True, "allValue": ".*"},
        ]
    },
    "panels": [
        {"id": 1, "type": "row", "title": "Requests", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}},
        {
            "id": 2,
            "type": "timeseries",
            "title": "Requests",
            "description": "How many.",
            "gridPos": {"x": 0, "y": 1, "w": 12, "h": 8},
            "fieldConfig": {"defaults": {"unit": "reqps"}},
            "targets": [{"refId": "A", "datasource": DATASOURCE, "expr": RATE, "legendFormat": "{{verb}}"}],
        },
        {
            "id": 3,
            "type": "stat",
            "title": "In the time range",
            "description": "How many.",
            "gridPos": {"x": 12, "y": 1, "w": 12, "h": 8},
            "fieldConfig": {"defaults": {"unit": "short"}},
            "options": {"textMode": "auto"},
            "targets": [
                {
                    "refId": "A",
                    "datasource": DATASOURCE,
                    "expr": "sum(increase(requests_total[$__range]))",
                    "instant": True,
                }
            ],
        },
    ],
}
METRICS = {"requests_total", "queue_depth"}


def test_the_linter_finds_nothing_in_a_good_dashboard() -> None:
    assert list(lint.problems(GOOD, METRICS)) == []


def put(*path: str | int, value: Any) -> Callable[[Raw], None]:
    """A change of the dashboard: another value at the end of the path."""

    def change(dashboard: Raw) -> None:
        node: Any = dashboard
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value

    return change


def expr(text: str, panel: int = 1) -> Callable[[Raw], None]:
    return put("panels", panel, "targets", 0, "expr", value=text)


def about_a_run(dashboard: Raw) -> None:
    dashboard["templating"]["list"].append({"name": "run", "type": "query"})
    expr('sum(queue_depth{namespace=~"$cluster",name="$run"})')(dashboard)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (put("uid", value=None), "uid None"),
        (put("uid", value="a1b2c3d4e"), "uid 'a1b2c3d4e'"),
        (put("id", value=7), "id 7 belongs to one Grafana"),
        (put("panels", 2, "id", value=2), "2 panels have the id 2"),
        (put("panels", 2, "title", value="Requests"), "2 panels have the title 'Requests'"),
        (put("panels", 2, "gridPos", "w", value=13), "'In the time range' is wider than the grid"),
        (put("panels", 2, "gridPos", "x", value=11), "'Requests' and 'In the time range' overlap"),
        (put("panels", 1, "gridPos", "y", value=0), "'Requests' and 'Requests' overlap"),
        (put("panels", 1, "description", value="Of $team."), "variable 'team' is used but not defined"),
        (put("panels", 1, "description", value="Of ${team:csv}."), "variable 'team' is used but not defined"),
        (put("templating", "list", 1, "allValue", value=None), "All of 'cluster' is not .*"),
        (expr('queue_depth{cluster="$cluster"}'), 'cluster="$cluster" takes one value'),
        (put("panels", 1, "fieldConfig", "defaults", value={}), "'Requests': no unit"),
        (put("panels", 1, "description", value=""), "'Requests': no description"),
        (put("panels", 1, "targets", value=[]), "'Requests': no target"),
        (
            put("panels", 1, "targets", 0, "datasource", value={"type": "prometheus", "uid": "x1"}),
            "is not the variable",
        ),
        (put("panels", 1, "targets", 0, "legendFormat", value=""), "'Requests' A: no legendFormat"),
        (put("panels", 2, "options", "textMode", value="name"), "'In the time range' A: no legendFormat"),
        (expr("sum(rate(requests_total[5m]))"), "rate(requests_total[5m]): the window is not $__rate_interval"),
        (expr("sum(increase(requests_total[$__range]))"), "requests_total[$__range]): the window is not"),
        (expr("sum(increase(requests_total[$__interval]))", 2), "requests_total[$__interval]): the window is not"),
        (expr("sum(requests_total)"), "counter requests_total without rate or increase"),
        (expr("max_over_time(requests_total[$__range])"), "counter requests_total without rate or increase"),
        (about_a_run, "of one run in one namespace only"),
        (expr("sum(queue_depht)"), "nobody exports the metric queue_depht"),
    ],
)
def test_the_linter_finds(change: Callable[[Raw], None], complaint: str) -> None:
    dashboard = copy.deepcopy(GOOD)
    change(dashboard)
    (found,) = lint.problems(dashboard, METRICS)
    assert complaint in found
