"""What the objects are called and labelled, and what becomes of those that an earlier chart has called otherwise."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from support.helm import IMAGES, OPERATOR, RELEASED, Objects, Raw, by_both, objects_of, render

NAME = "bertfinetune-operator"
ALL: Raw = {f"monitoring.{switch}.enabled": True for switch in ("serviceMonitor", "podMonitor", "npuExporter")}
ALL |= {f"monitoring.{switch}.enabled": True for switch in ("prometheusRule", "dashboards")}
ALL |= {"monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}]}
"""Values with which there is an object of each kind."""


@pytest.mark.parametrize(
    ("release", "values", "expected"),
    [
        ("op", {}, OPERATOR),
        ("kubeflow", {}, "kubeflow-bertfinetune-operator"),
        (NAME, {}, NAME),
        ("my-bertfinetune-operator-2", {}, "my-bertfinetune-operator-2"),
        ("op", {"nameOverride": "tuning"}, "op-tuning"),
        ("fine-tuning", {"nameOverride": "tuning"}, "fine-tuning"),
        ("op", {"fullnameOverride": "bert", "nameOverride": "tuning"}, "bert"),
    ],
)
def test_all_names_begin_with_the_releases_and_the_charts(release: str, values: Raw, expected: str) -> None:
    for kind, _, name in render(release, **values):
        assert kind == "CustomResourceDefinition" or re.match(rf"{expected}([-:.]|$)", name), (kind, name)


def test_the_longest_release_name_fits() -> None:
    objects = render("r" * 53)
    assert ("Deployment", "system", "r" * 53) in objects
    assert max(len(name) for _, namespace, name in objects if namespace) <= 63


def labels_of(objects: Objects) -> Iterator[tuple[str, Raw]]:
    """The labels of each object, and of each pod of a Deployment."""
    for (kind, _, name), raw in objects.items():
        yield f"{kind} {name}", raw["metadata"].get("labels", {})
        if kind == "Deployment":
            yield f"pods of {name}", raw["spec"]["template"]["metadata"]["labels"]


def selectors_of(objects: Objects) -> Iterator[Raw]:
    for raw in objects.values():
        spec = raw.get("spec", {})
        yield from (spec[key] for key in ("selector", "podSelector") if key in spec)


def test_common_labels_are_on_all_objects_and_in_no_selector() -> None:
    plain, labelled = render(**ALL), render(commonLabels={"team": "nlp", "part": "bert"}, **ALL)
    before = dict(labels_of(plain))
    assert dict(labels_of(labelled)) == {what: {"team": "nlp", "part": "bert"} | before[what] for what in before}
    assert list(selectors_of(labelled)) == list(selectors_of(plain))


def test_an_objects_own_labels_come_before_those_of_all() -> None:
    values: Raw = {f"{what}Labels": {"team": what} for what in ("common", "pod", "deployment", "service")}
    told = dict(labels_of(render(**values)))
    assert told[f"Deployment {OPERATOR}"]["team"] == "deployment"
    assert told[f"pods of {OPERATOR}"]["team"] == "pod"
    assert told[f"Service {OPERATOR}-metrics"]["team"] == "service"
    assert told[f"ServiceAccount {OPERATOR}"]["team"] == "common"


def test_annotations_reach_what_they_are_of() -> None:
    values: Raw = {f"{what}Annotations": {"a/b": what} for what in ("deployment", "service")}
    objects = render(
        **values | {"serviceAccount.annotations": {"a/b": "account"}, "serviceIPFamilyPolicy": "PreferDualStack"}
    )
    names = {"Deployment": OPERATOR, "Service": f"{OPERATOR}-metrics", "ServiceAccount": OPERATOR}
    told = {kind: objects[kind, "system", name]["metadata"]["annotations"]["a/b"] for kind, name in names.items()}
    assert told == {"Deployment": "deployment", "Service": "service", "ServiceAccount": "account"}
    assert objects["Service", "system", f"{OPERATOR}-metrics"]["spec"]["ipFamilyPolicy"] == "PreferDualStack"


def test_the_service_account_has_another_name_wherever_it_is_named() -> None:
    objects = render(**{"serviceAccount.name": "site"})
    assert ("ServiceAccount", "system", "site") in objects
    assert objects["Deployment", "system", OPERATOR]["spec"]["template"]["spec"]["serviceAccountName"] == "site"
    subjects = [subject["name"] for raw in objects.values() for subject in raw.get("subjects", ())]
    assert subjects == ["site", "site"]
    policy = objects["ValidatingAdmissionPolicy", "", f"{OPERATOR}.system"]["spec"]["matchConditions"]
    assert policy[0]["expression"].endswith("== 'system:serviceaccount:system:site'")


def released(release: str) -> Objects:
    """What the chart before this one renders."""
    return objects_of(by_both("template", release, RELEASED, "--namespace=system", IMAGES))


def lease_of(deployment: Raw) -> str:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (name,) = (each["value"] for each in container["env"] if each["name"] == "BERTFINETUNE_LEASE_NAME")
    return name


@pytest.mark.parametrize(("release", "values"), [(NAME, {}), ("bft", {"fullnameOverride": "bft"})])
def test_a_release_keeps_its_names_with_the_charts_in_them_or_if_it_is_told_to(release: str, values: Raw) -> None:
    """But for cluster-wide ones, which hold the namespace now. A Deployment's selector cannot be changed."""
    before, after = released(release), render(release, **values)
    assert {key for key in before if key[1]} <= after.keys()
    selectors = [objects["Deployment", "system", release]["spec"]["selector"] for objects in (before, after)]
    assert selectors[0] == selectors[1]


@pytest.mark.parametrize("values", [{}, {"nameOverride": "tuning"}, {"fullnameOverride": "bert"}])
def test_whatever_it_is_called_the_operators_before_and_after_an_upgrade_elect_one_leader(values: Any) -> None:
    [before] = [raw for key, raw in released("bft").items() if key[0] == "Deployment"]
    objects = render("bft", **values)
    [(name, after)] = [(key[2], raw) for key, raw in objects.items() if key[0] == "Deployment"]
    assert name != before["metadata"]["name"]
    assert lease_of(after) == lease_of(before) == "bft"
    role = objects["Role", "system", f"{name}-leader-election"]
    assert [rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule] == [["bft"]]
