"""The chart as a dependency of another one: on a condition, under an alias, twice."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.helm import CHART, OPERATOR, Objects, Raw, by_both, objects_of, render, template

NAME = CHART.name
META: Raw = yaml.safe_load((CHART / "Chart.yaml").read_text())
IMAGES: Raw = yaml.safe_load((CHART / "ci/default-values.yaml").read_text())


def umbrella(folder: Path, *dependencies: Raw, **values: Any) -> Path:
    """A chart that depends on this one, by its name or an alias, each time on a condition and with images."""
    chart = folder / "platform"
    shutil.copytree(CHART, chart / "charts" / NAME)
    told = [
        {"name": NAME, "version": META["version"], "condition": f"{more.get('alias', NAME)}.enabled"} | more
        for more in dependencies
    ]
    meta = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": told}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(meta))
    names = [more.get("alias", NAME) for more in dependencies]
    with_images = {name: IMAGES | values.get(name, {}) for name in names}
    (chart / "values.yaml").write_text(json.dumps(values | with_images))
    return chart


def rendered(chart: Path, *values: str) -> Objects:
    return objects_of(by_both("template", "op", chart, "--namespace=system", *values))


def nameless(raw: Raw) -> Raw:
    """The object without the label with the chart's name, which an alias takes the place of."""
    for meta in (raw["metadata"], raw.get("spec", {}).get("template", {}).get("metadata", {})):
        meta.get("labels", {}).pop("helm.sh/chart", None)
    return raw


@pytest.mark.parametrize("values", [{"enabled": True}, {"enabled": False}, {"global": {"team": "ml"}}])
def test_what_an_umbrella_chart_sets_changes_nothing(values: Raw) -> None:
    assert template(**values).stderr == ""
    assert render(**values) == render()


def test_a_condition_installs_it_or_leaves_it_out(tmp_path: Path) -> None:
    on = {"enabled": True, "replicas": 3, "image": {"repository": "bert/operator"}}
    for_all = {"team": "ml", "imageRegistry": "mirror.example.com", "imagePullSecrets": [{"name": "mirror"}]}
    installed = rendered(umbrella(tmp_path / "on", {}, **{NAME: on, "global": for_all}))
    deployment = installed["Deployment", "system", OPERATOR]["spec"]
    assert deployment["replicas"] == 3
    pod = deployment["template"]["spec"]
    assert pod["containers"][0]["image"] == f"mirror.example.com/bert/operator:{META['appVersion']}"
    assert pod["imagePullSecrets"] == [{"name": "mirror"}]
    assert installed.keys() == render().keys()
    assert rendered(umbrella(tmp_path / "off", {}, **{NAME: {"enabled": False}})) == {}


def test_a_default_is_taken_away_by_null(tmp_path: Path) -> None:
    """Of a dependency, Helm 4 does this only for values that are given beside the chart, and not for those in it."""
    null = f"--set-json={NAME}.podSecurityContext.runAsUser=null"
    pod = rendered(umbrella(tmp_path, {}), null)["Deployment", "system", OPERATOR]["spec"]["template"]["spec"]
    assert "runAsUser" not in pod["securityContext"]


def test_a_value_that_is_wrong_is_refused_in_an_umbrella_chart_too(tmp_path: Path) -> None:
    done = by_both("template", "op", umbrella(tmp_path, {}, **{NAME: {"replicaCount": 3}}), "--namespace=system")
    assert "additional properties 'replicaCount' not allowed" in done.stderr


def test_an_alias_is_part_of_the_names_and_of_nothing_else(tmp_path: Path) -> None:
    aliased = rendered(umbrella(tmp_path, {"alias": "Bert_Tuning"}, Bert_Tuning={"enabled": True}))
    plain = render("op-bert-tuning", fullnameOverride="op-bert-tuning")
    assert {key: nameless(raw) for key, raw in aliased.items()} == {key: nameless(raw) for key, raw in plain.items()}


def test_one_umbrella_chart_holds_two_that_share_nothing(tmp_path: Path) -> None:
    values = {
        "one": {"watchNamespaces": ["a"]},
        "two": {"watchNamespaces": ["b"], "crds": {"install": False}},
    }
    objects = rendered(umbrella(tmp_path, {"alias": "one"}, {"alias": "two"}, **values))  # each of them once
    operators = {name: raw for (kind, _, name), raw in objects.items() if kind == "Deployment"}
    assert operators.keys() == {"op-one", "op-two"}
    selectors = [raw["spec"]["selector"]["matchLabels"] for raw in operators.values()]
    pods = [raw["spec"]["template"]["metadata"]["labels"] for raw in operators.values()]
    assert [[selector.items() <= pod.items() for pod in pods] for selector in selectors] == [
        [True, False],
        [False, True],
    ]
    assert {n for kind, n, name in objects if kind == "Role" and name == "op-two"} == {"b"}
