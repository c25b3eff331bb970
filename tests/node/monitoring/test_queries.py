"""Every query of the dashboards and every rule, answered by a real Prometheus that scrapes the real system."""

import json
import math
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import yaml

from lab.ascend.npu_exporter import kubelet
from lab.ascend.npu_exporter.cards import Holder
from lab.ascend.npu_exporter.codes import UNCORRECTABLE_HBM_ERROR
from lab.cluster.layout import PROJECT
from lab.cluster.processes import wait_until
from lab.demo import stack
from lab.monitoring import npu, prometheus, queries
from lab.monitoring.prometheus import INTERVAL, Prometheus
from lab.monitoring.queries import Answer, Window
from node.monitoring.watchers import ALONE, CLUSTER, SHARED, Watchers
from node.season import NAMESPACE, Ended, Season

LIVE, COLLAPSED, POOR = "live", "collapse", "on-cpu"
RUNS = (LIVE, COLLAPSED, POOR, "suspended", "asleep", "oom", "bad-data", "nowhere")
pytestmark = [pytest.mark.timeout(1800), pytest.mark.usefixtures(*(name.replace("-", "_") for name in RUNS))]

DASHBOARDS = {
    dashboard["uid"]: dashboard
    for dashboard in (json.loads(file.read_text()) for file in (prometheus.CHART_FILES / "dashboards").glob("*.json"))
}
RULES = [rule for group in yaml.safe_load(prometheus.RULES.read_text())["groups"] for rule in group["rules"]]
ANSWERS = PROJECT / ".build/dashboards/answers.json"
ABSENT_FOR_A_REASON = {
    'phase="Queued"': "nothing in here holds runs in a queue",
    'reason="PodGroupPending"': "nor does Volcano",
    'virtual_device!=""': "no run of the season shares a card",
    'model!="custom"': "the only model that is small enough for a test has no name",
    'code=~"error|401|429|5.."': "the API server serves every request",
}
"""Matchers of series that the queries ask for and that nothing in here exports."""

SETTLED = """
count(up{job="bertfinetune-trainers"}) == 1
and on () ALERTS{alertname="BertFinetuneCardUnhealthy"}
and on () count(run_card_code:npu_chip_info_error_code:count)
"""
"""The last pod but one is forgotten, and the fault is seen."""
BOTH = pytest.mark.parametrize("server", [ALONE, SHARED])


class Proof(NamedTuple):
    """What the runs left behind."""

    servers: Mapping[str, Prometheus]
    window: Window
    held: dict[str, Holder]
    """The card of the run that still trains, and its pod, by the kubelet's word."""
    expositions: dict[str, str]
    """What the operator's leader and a trainer serve."""

    def substitute(self, server: str, expr: str, run: str) -> str:
        """A dashboard's query as Grafana sends it."""
        variables = {"cluster": CLUSTER if server == SHARED else ".*", "namespace": NAMESPACE}
        return queries.substitute(expr, variables | {"run_namespace": NAMESPACE, "run": run} | self.window.variables())

    def ask(self, server: str, target: queries.Target, run: str) -> Answer:
        """What Grafana gets for a panel's query."""
        sent, (start, end, step, _) = self.substitute(server, target.expr, run), self.window
        asked = self.servers[server]
        return asked.instant(sent, end) if target.instant else asked.between(sent, start, end, step)


@pytest.fixture(scope="module")
def proof(watchers: Watchers, season: Season, live: Ended) -> Proof:
    """Two servers that have watched runs of all kinds, one of which still trains on a card that has a fault now."""
    season.wait_for_all()
    held = {
        card: holder
        for card, holder in kubelet.holders(npu.POD_RESOURCES).items()
        if holder.pod == live.status["podName"]
    }
    watchers.faults.write_text("\n".join(held))
    for server in watchers.servers.values():
        assert wait_until(lambda server=server: bool(server.instant(SETTLED, time.time())["result"]), 120, interval=1)
    end = time.time()
    step = max(INTERVAL, math.ceil((end - watchers.start) / 150))
    window = Window(watchers.start, end, step, INTERVAL)
    return Proof(watchers.servers, window, held, _expositions(live))


def _expositions(live: Ended) -> dict[str, str]:
    """What the operators and the trainer serve, the longest of each: the operator that leads knows the objects."""
    kubectl = live.run.stage.target.kubectl
    selector = "--selector=app.kubernetes.io/name=bertfinetune-operator"
    operators = kubectl.get("pods", f"--namespace={stack.SYSTEM_NAMESPACE}", selector)["items"]
    texts = {
        "operator": [_metrics(pod, 9090) for pod in operators],
        "trainer": [_metrics(live.pod(), 8080)],
    }
    return {name: max(found, key=len) for name, found in texts.items()}


def _metrics(pod: dict[str, Any], port: int) -> str:
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:{port}/metrics") as response:
        return response.read().decode()


@BOTH
def test_every_job_has_its_targets(proof: Proof, server: str) -> None:
    ours = "|".join((stack.SYSTEM_NAMESPACE, NAMESPACE, npu.POD["metadata"]["namespace"], ""))
    answer = proof.servers[server].instant(f'count by (job) (up{{namespace=~"{ours}"}} == 1)', proof.window.end)
    up = {series["metric"]["job"]: float(series["value"][1]) for series in answer["result"]}
    assert up == {"bertfinetune-operator": 2, "bertfinetune-trainers": 1, "npu-exporter": 1}


@BOTH
@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_panel_is_answered(proof: Proof, server: str, uid: str) -> None:
    """By numbers that can be true; a query about one run, for one of the runs at least."""
    wrong = []
    for target in queries.targets(DASHBOARDS[uid]):
        where = f"panel {target.panel}, {target.title}, {target.ref}"
        asked = RUNS if "$run" in target.expr else (LIVE,)
        answers = [proof.ask(server, target, run) for run in asked]
        wrong += [f"{where}: {bad[:3]} {target.unit}" for a in answers if (bad := queries.implausible(target, a))]
        if not any(queries.numbers(answer) for answer in answers):
            wrong.append(f"{where}: no data: {target.expr}")
    assert not wrong, "\n".join(wrong)


@BOTH
def test_every_series_that_is_asked_for_exists(proof: Proof, server: str) -> None:
    """Also behind an `or`, where an answer does not show that one side is always empty."""
    of_panels = [target.expr for dashboard in DASHBOARDS.values() for target in queries.targets(dashboard)]
    asked = set()
    for expr in (*of_panels, *(rule["expr"] for rule in RULES)):
        of_any_run = proof.substitute(server, expr.replace('="$run"', '=~"$run"'), "|".join(RUNS))
        asked |= queries.series(of_any_run)
    times = {"start": proof.window.start, "end": proof.window.end}
    absent = {
        selector for selector in asked if not proof.servers[server].ask("series", **{"match[]": selector}, **times)
    }
    assert not [selector for selector in absent if not any(part in selector for part in ABSENT_FOR_A_REASON)]
    assert not [part for part in ABSENT_FOR_A_REASON if not any(part in selector for selector in asked)]


@BOTH
def test_a_card_is_joined_with_the_run_that_holds_it(proof: Proof, server: str) -> None:
    """Where the exporter's labels are honored, and where its namespace is called exported_namespace."""
    label = {ALONE: "namespace", SHARED: "exported_namespace"}[server]
    ((card, holder),) = proof.held.items()
    reported = f'npu_chip_info_error_code{{{label}="{holder.namespace}"}}'
    joined_code = f'run_card_code:npu_chip_info_error_code:count{{code="{UNCORRECTABLE_HBM_ERROR}"}}'
    for expr, value in ((reported, UNCORRECTABLE_HBM_ERROR), (joined_code, 1)):
        (series,) = proof.servers[server].instant(expr, proof.window.end)["result"]
        assert float(series["value"][1]) == value
        assert series["metric"]["id"] == card.removeprefix("Ascend910-")
    joined = {name: series["metric"][name] for name in ("namespace", "name", "pod")}
    assert joined == {"namespace": holder.namespace, "name": LIVE, "pod": holder.pod}


@BOTH
@pytest.mark.parametrize("uid", DASHBOARDS)
def test_every_variable_offers_what_there_is(proof: Proof, server: str, uid: str) -> None:
    there = {"cluster": {CLUSTER} if server == SHARED else set(), "namespace": {NAMESPACE}}
    there |= {"run_namespace": {NAMESPACE}, "run": {*RUNS}}
    for name, query in queries.variables(DASHBOARDS[uid]):
        selector, label = queries.label_values(proof.substitute(server, query, LIVE))
        window = {"start": proof.window.start, "end": proof.window.end}
        offered = proof.servers[server].ask(f"label/{label}/values", **{"match[]": selector}, **window)
        assert there[name] <= {*offered}, name


@BOTH
def test_every_recording_rule_has_values(proof: Proof, server: str) -> None:
    start, end, step, _ = proof.window
    for name in {rule["record"] for rule in RULES if "record" in rule}:
        recorded = queries.numbers(proof.servers[server].between(name, start, end, step))
        assert recorded, f"{name} is empty"
        assert not [value for value in recorded if not 0 <= value < math.inf], name


@BOTH
def test_no_rule_fails(proof: Proof, server: str) -> None:
    rules = [rule for group in proof.servers[server].ask("rules")["groups"] for rule in group["rules"]]
    assert len(rules) == len(RULES)
    assert {rule["health"] for rule in rules} == {"ok"}, [rule for rule in rules if rule["health"] != "ok"]


@BOTH
def test_the_alerts_name_the_runs_that_are_wrong(proof: Proof, server: str) -> None:
    answer = proof.servers[server].instant("ALERTS", proof.window.end)
    raised = {(series["metric"]["alertname"], series["metric"].get("name")) for series in answer["result"]}
    assert raised >= {
        ("BertFinetuneCollapsed", COLLAPSED),
        ("BertFinetuneAccuracyBelowTarget", POOR),
        ("BertFinetuneCardUnhealthy", LIVE),
    }
    assert not [name for name, _ in raised if name.startswith("BertFinetuneOperator")], raised


@pytest.mark.parametrize(
    ("source", "complaints"),
    [
        # the reference's own figure keeps its unit
        ("operator", ["bertfinetune_ms_per_step metric names should not contain abbreviated units"]),
        ("trainer", []),
    ],
)
def test_promtool_accepts_what_is_served(proof: Proof, source: str, complaints: list[str]) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "make test-node puts promtool on PATH"
    text = proof.expositions[source]
    done = subprocess.run([promtool, "check", "metrics"], check=False, input=text, capture_output=True, text=True)
    assert (done.stdout + done.stderr).splitlines() == complaints


def test_the_answers_are_kept_for_the_pictures(proof: Proof) -> None:
    """In .build, for `make dashboards-shots`: what Grafana would draw of the run that still trains."""
    kept = {uid: _drawn(proof, dashboard) for uid, dashboard in DASHBOARDS.items()}
    times = {"from": round(proof.window.start * 1000), "to": round(proof.window.end * 1000)}
    ANSWERS.parent.mkdir(parents=True, exist_ok=True)
    ANSWERS.write_text(json.dumps(times | {"dashboards": kept}))
    assert all(dashboard["panels"] for dashboard in kept.values())


def _drawn(proof: Proof, dashboard: dict[str, Any]) -> dict[str, Any]:
    panels: dict[str, list[dict[str, Any]]] = {}
    for target in queries.targets(dashboard):
        about = {"refId": target.ref, "legendFormat": target.legend, "instant": target.instant}
        sent = {"expr": proof.substitute(SHARED, target.expr, LIVE)}
        panels.setdefault(str(target.panel), []).append(about | sent | {**proof.ask(SHARED, target, LIVE)})
    variables = {"cluster": CLUSTER, "namespace": NAMESPACE, "run_namespace": NAMESPACE, "run": LIVE}
    return {"variables": variables, "panels": panels}
