"""Reading a dashboard's queries and judging their answers, without a Prometheus."""

from typing import Any

import pytest

from lab.monitoring import queries
from lab.monitoring.queries import Window


def panel(**changes: Any) -> dict[str, Any]:
    """A table with a query in seconds, and the changes of a test."""
    target = {"refId": "A", "expr": "up", "legendFormat": "", "instant": True}
    field = {"defaults": {"unit": "s"}, "overrides": []}
    return {"id": 7, "title": "Wait", "type": "table", "targets": [target], "fieldConfig": field} | changes


def only_target(**changes: Any) -> queries.Target:
    (target,) = queries.targets({"panels": [{"id": 1, "title": "A row", "type": "row"}, panel(**changes)]})
    return target


def override(name: str, **properties: Any) -> dict[str, Any]:
    given = [{"id": id_, "value": value} for id_, value in properties.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": [*given, {"id": "links"}]}


def test_a_target_carries_what_its_panel_says() -> None:
    assert only_target() == queries.Target(7, "Wait", "A", "", True, "up", "s", 0, 86400)


@pytest.mark.parametrize(
    ("legend", "renamed", "name", "applies"),
    [
        ("score", {}, "score", True),
        ("score", {}, "other", False),
        ("", {}, "", False),
        ("", {"Value #A": "Score"}, "Score", True),
        ("", {"Value #B": "Score"}, "Score", False),
    ],
)
def test_an_override_by_name_changes_unit_and_limits(
    legend: str, renamed: dict[str, str], name: str, applies: bool
) -> None:
    target = only_target(
        targets=[{"refId": "A", "expr": "up", "legendFormat": legend}],
        fieldConfig={"defaults": {"unit": "s", "max": 60}, "overrides": [override(name, unit="percentunit", max=0.5)]},
        transformations=[{"id": "organize", "options": {"renameByName": renamed}}],
    )
    assert (target.unit, target.least, target.most) == (("percentunit", -1, 0.5) if applies else ("s", 0, 60))


WINDOW = Window(1000, 1299.5, 3, 2)


@pytest.mark.parametrize(
    ("expr", "sent"),
    [
        ('up{cluster=~"$cluster",name="${run}"}', 'up{cluster=~".*",name="mrpc"}'),
        ("rate(x[$__rate_interval])", "rate(x[8s])"),
        ("rate(x[$__interval]) + rate(x[$__range])", "rate(x[3s]) + rate(x[300s])"),
        ('label_replace(x, "a", "$1", "b", "(.+)")', 'label_replace(x, "a", "$1", "b", "(.+)")'),
    ],
)
def test_variables_are_replaced_and_groups_are_not(expr: str, sent: str) -> None:
    assert queries.substitute(expr, {"cluster": ".*", "run": "mrpc"} | WINDOW.variables()) == sent


def test_an_unknown_variable_is_refused() -> None:
    with pytest.raises(KeyError, match="runs"):
        queries.substitute('up{name="$runs"}', {"run": "mrpc"})


def test_variables_and_their_queries() -> None:
    query = {"name": "run", "type": "query", "query": {"query": 'label_values(a{b=~"$b", c=""}, name)', "refId": "run"}}
    datasource = {"name": "datasource", "type": "datasource", "query": "prometheus"}
    ((name, text),) = queries.variables({"templating": {"list": [datasource, query]}})
    assert name == "run"
    assert queries.label_values(text) == ('a{b=~"$b", c=""}', "name")
    with pytest.raises(ValueError, match="'query_result"):
        queries.label_values("query_result(up)")


def test_selectors_are_found_wherever_they_stand() -> None:
    expr = 'sum by (a) (rate(x_total{b=~"c|d",e!=""}[8s] offset 1h)) / on (a) y > 0 or vector(0) or max(x_total{b="c"})'
    assert queries.series(expr) == {'x_total{b=~"c|d",e!=""}', "y{}", 'x_total{b="c"}'}
    assert queries.series('{__name__=~"x|y"} > 0') == {'{__name__=~"x|y"}'}


def answer(*values: str) -> queries.Answer:
    return {"resultType": "matrix", "result": [{"metric": {}, "values": [[1000 + n, v] for n, v in enumerate(values)]}]}


@pytest.mark.parametrize(
    ("unit", "value", "is_plausible"),
    [
        ("s", "0", True),
        ("s", "-0.1", False),
        ("percentunit", "1", True),
        ("percentunit", "68.4", False),
        ("percent", "68.4", True),
        ("percent", "101", False),
        ("ms", "120000", False),
        ("dateTimeAsIso", "1800000000", False),
        ("none", "-1", True),
        ("none", "+Inf", False),
        ("suffix:pairs/s", "-1", False),
        ("s", "NaN", True),  # a gap
    ],
)
def test_plausible_by_unit(unit: str, value: str, is_plausible: bool) -> None:
    target = only_target(fieldConfig={"defaults": {"unit": unit}})
    assert (queries.implausible(target, answer("0.5", value)) == []) == is_plausible
    vector = {"resultType": "vector", "result": [{"metric": {}, "value": [1000, value]}]}
    assert (queries.implausible(target, vector) == []) == is_plausible


def test_gaps_are_no_numbers() -> None:
    assert queries.numbers(answer("NaN", "1", "+Inf")) == [1, float("inf")]
    assert queries.numbers(answer("NaN")) == []
    assert queries.numbers({"resultType": "matrix", "result": []}) == []
