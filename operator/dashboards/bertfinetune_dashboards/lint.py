"""Rules that a dashboard keeps. Each takes the JSON that Grafana imports, and says what is wrong in it."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import combinations
from typing import Any

import promql_parser as promql

Raw = dict[str, Any]

WINDOWS = {"$__rate_interval": "61s", "$__range": "62s", "$__interval": "63s"}
"""Variables of Grafana that are durations, each with a duration that stands for it in a parsed expression."""
OF_GRAFANA = re.compile(r"__.*|\d+|timeFilter")
"""Names of variables that Grafana itself fills in, and of the groups that a regular expression has captured."""
RATES = {"rate", "irate", "increase"}
COUNTER = re.compile(r".*_(total|bucket|sum|count)")
WITHOUT_LEGEND = ("table", "heatmap")
"""Types of panels that have no use for a target's legend."""


def problems(dashboard: Raw, known_metrics: Collection[str]) -> Iterator[str]:
    """What is wrong, each time with the panel and the target."""
    for rule in DASHBOARD_RULES:
        yield from rule(dashboard)
    for panel in panels(dashboard):
        title = repr(panel.get("title"))
        for panel_rule in PANEL_RULES:
            yield from (f"{title}: {what}" for what in panel_rule(panel))
        for target in panel.get("targets", ()):
            for target_rule in TARGET_RULES:
                yield from (f"{title} {target['refId']}: {what}" for what in target_rule(panel, target))
            yield from (f"{title} {target['refId']}: {what}" for what in unknown_metrics(target, known_metrics))


def panels(dashboard: Raw) -> list[Raw]:
    """The panels that show data: not the headings of rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def fixed_identity(dashboard: Raw) -> Iterator[str]:
    if not re.fullmatch(r"[a-z][a-z-]{7,39}", dashboard.get("uid") or ""):
        yield f"uid {dashboard.get('uid')!r} is no fixed name of 8 to 40 letters and dashes"
    if dashboard.get("id") is not None:
        yield f"id {dashboard['id']} belongs to one Grafana: make it null"


def unique_panels(dashboard: Raw) -> Iterator[str]:
    for key, items in (("id", dashboard["panels"]), ("title", panels(dashboard))):
        for value, times in Counter(item.get(key) for item in items).items():
            if times > 1:
                yield f"{times} panels have the {key} {value!r}"


def no_overlap(dashboard: Raw) -> Iterator[str]:
    for panel in dashboard["panels"]:
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            yield f"{panel.get('title')!r} is wider than the grid"
    for one, other in combinations(dashboard["panels"], 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        if not (beside or above):
            yield f"{one.get('title')!r} and {other.get('title')!r} overlap"


def known_variables(dashboard: Raw) -> Iterator[str]:
    have = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = {name for names in re.findall(r"\$(?:(\w+)|\{(\w+))", json.dumps(dashboard)) for name in names if name}
    for name in sorted(used - have):
        if not OF_GRAFANA.fullmatch(name):
            yield f"variable {name!r} is used but not defined"


def several_values(dashboard: Raw) -> Iterator[str]:
    queries = " ".join(target["expr"] for panel in panels(dashboard) for target in panel.get("targets", ()))
    for variable in dashboard["templating"]["list"]:
        if variable.get("multi"):
            if variable.get("allValue") != ".*":
                yield f"All of {variable['name']!r} is not .*: it leaves out series without that label"
            for matcher in re.findall(rf'\w+="\${variable["name"]}"', queries):
                yield f"{matcher} takes one value, the variable has several: write =~"


def one_run(_panel: Raw, target: Raw) -> Iterator[str]:
    for selector in re.findall(r"\{[^{}]*\}", target["expr"]):
        if 'name="$run"' in selector and not re.search(r'namespace="\$\w+"', selector):
            yield f"{selector}: the name is of one run in one namespace only"


def has_unit(panel: Raw) -> Iterator[str]:
    if not panel.get("fieldConfig", {}).get("defaults", {}).get("unit"):
        yield "no unit; a plain number has the unit short or none"


def has_description(panel: Raw) -> Iterator[str]:
    if not panel.get("description", "").endswith("."):
        yield "no description, in sentences, of what to look for"


def has_target(panel: Raw) -> Iterator[str]:
    if not panel.get("targets"):
        yield "no target"


def datasource_variable(_panel: Raw, target: Raw) -> Iterator[str]:
    if target.get("datasource") != {"type": "prometheus", "uid": "${datasource}"}:
        yield f"datasource {target.get('datasource')} is not the variable ${{datasource}}"


def legend(panel: Raw, target: Raw) -> Iterator[str]:
    alone = panel["type"] == "stat" and len(panel["targets"]) == 1 and panel["options"].get("textMode") != "name"
    if panel["type"] not in WITHOUT_LEGEND and not alone and not target.get("legendFormat"):
        yield "no legendFormat: the series would be named by the whole expression"


def rate_interval(_panel: Raw, target: Raw) -> Iterator[str]:
    good = {"$__rate_interval", "$__range"} if target.get("instant") else {"$__rate_interval"}
    for selector, function, window in _selectors(target):
        if function in RATES and window not in good:
            yield f"{function}({selector.name}[{window}]): the window is not $__rate_interval ($__range if instant)"


def counter_in_rate(_panel: Raw, target: Raw) -> Iterator[str]:
    for selector, function, _ in _selectors(target):
        if COUNTER.fullmatch(selector.name or "") and function not in RATES:
            yield f"counter {selector.name} without rate or increase: it only ever grows"


def unknown_metrics(target: Raw, known: Collection[str]) -> Iterator[str]:
    for selector, _, _ in _selectors(target):
        if selector.name not in known:
            yield f"nobody exports the metric {selector.name}"


DASHBOARD_RULES = (fixed_identity, unique_panels, no_overlap, known_variables, several_values)
PANEL_RULES = (has_unit, has_description, has_target)
TARGET_RULES = (datasource_variable, legend, rate_interval, counter_in_rate, one_run)


def _selectors(target: Raw) -> list[tuple[promql.VectorSelector, str, str]]:
    """Each selector of the target's expression, with the function around it and the window, "" for none."""
    expression = target["expr"]
    for variable, duration in WINDOWS.items():
        expression = expression.replace(variable, duration)
    variables = {promql.parse_duration(duration): variable for variable, duration in WINDOWS.items()}
    functions, windows = [""], [""]
    found: list[tuple[promql.VectorSelector, str, str]] = []

    def enter(node: promql.Expr) -> None:
        match node:
            case promql.Call():
                functions.append(node.func.name)
            case promql.MatrixSelector():
                windows.append(variables.get(node.range) or promql.display_duration(node.range))
            case promql.VectorSelector():
                found.append((node, functions[-1], windows[-1]))

    def leave(node: promql.Expr) -> None:
        match node:
            case promql.Call():
                functions.pop()
            case promql.MatrixSelector():
                windows.pop()

    promql.walk(promql.parse(expression), enter, leave)
    return found
