"""What the chart's roles grant: the operator what it has a reason for and no more, users what they may do with runs."""

import re

import pytest

from chart.helm import CHART, Raw, render
from chart.rights import LEASES, POLICIES, SERVED, granted

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


@pytest.mark.parametrize(
    ("values", "role", "expected"),
    [
        ({}, ("ClusterRole", "", "op"), SERVED | POLICIES),
        ({"networkPolicy.enabled": False}, ("ClusterRole", "", "op"), SERVED),
        ({"watchNamespaces": ["a"]}, ("Role", "a", "op"), SERVED),
        (
            {"watchNamespaces": ["a"]},
            ("Role", "system", "op-leader-election"),
            LEASES,
        ),
    ],
)
def test_the_operators_rights(values: Raw, role: tuple[str, str, str], expected: set[str]) -> None:
    assert granted(render(**values)[role]) == expected


@pytest.mark.parametrize("template", ["_helpers.tpl", "leader-election.yaml", "clusterroles.yaml"])
def test_each_verb_has_its_reason_in_the_comment_above_it(template: str) -> None:
    text = (CHART / "templates" / template).read_text()
    rules = re.findall(r"((?: *# .*\n)*) *- apiGroups: .*\n(?: +resource.*\n)+ +verbs: \[(.*)\]\n", text)
    assert len(rules) == text.count("verbs:") > 0
    for comment, verbs in rules:
        for verb in verbs.split(", "):
            assert re.search(rf"\b{verb}\b", comment), f"{verb} has no reason in: {comment}"


@pytest.mark.parametrize("namespaces", [[], ["a"], ["a", "system"]])
def test_each_role_is_bound_to_the_service_account_or_adds_to_a_users(namespaces: list[str]) -> None:
    objects = render(watchNamespaces=namespaces)
    roles = {
        key
        for key, raw in objects.items()
        if key[0] in ("Role", "ClusterRole") and not any(AGGREGATE in label for label in raw["metadata"]["labels"])
    }
    bound = set()
    for (kind, namespace, _), raw in objects.items():
        if kind.endswith("Binding"):
            assert raw["subjects"] == [{"kind": "ServiceAccount", "name": "op", "namespace": "system"}]
            bound.add((raw["roleRef"]["kind"], namespace, raw["roleRef"]["name"]))
    assert bound == roles


def test_users_roles_are_added_to_and_none_writes_a_status() -> None:
    objects = render()
    added: dict[str, set[str]] = {"view": set(), "edit": set(), "admin": set()}
    for (kind, _, _), raw in objects.items():
        for name in added if kind == "ClusterRole" else ():
            if raw["metadata"]["labels"].get(f"{AGGREGATE}{name}") == "true":
                added[name] |= granted(raw)
    reads = {f"{verb} bertfinetune.dev/bertfinetunes" for verb in ("get", "list", "watch")}
    writes = {
        f"{verb} bertfinetune.dev/bertfinetunes" for verb in ("create", "update", "patch", "delete", "deletecollection")
    }
    assert added == {"view": reads, "edit": reads | writes, "admin": reads | writes}


def test_with_watched_namespaces_only_the_crd_is_cluster_wide() -> None:
    assert {kind for kind, namespace, _ in render(watchNamespaces=["a"]) if not namespace} == {
        "CustomResourceDefinition"
    }
