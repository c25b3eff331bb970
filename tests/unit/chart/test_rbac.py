"""What the chart's roles grant: the operator what it has a reason for and no more, users what they may do with runs."""

import ast
import re
from typing import Any

import pytest

from bertfinetune_operator.api.accelerator import CARD_ADDRESSES, DRIVER, DriverPath
from support.helm import CHART, OPERATOR, Raw, render
from support.rights import KUEUE, LEASES, POLICIES, SERVED, granted

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


@pytest.mark.parametrize(
    ("values", "role", "expected"),
    [
        ({}, ("ClusterRole", "", f"{OPERATOR}:system"), SERVED | POLICIES),
        ({"rbac.kueueWorkloads": True}, ("ClusterRole", "", f"{OPERATOR}:system"), SERVED | POLICIES | KUEUE),
        ({"rbac.kueueWorkloads": True, "watchNamespaces": ["a"]}, ("Role", "a", OPERATOR), SERVED | KUEUE),
        ({"networkPolicy.enabled": False}, ("ClusterRole", "", f"{OPERATOR}:system"), SERVED),
        ({"watchNamespaces": ["a"]}, ("Role", "a", OPERATOR), SERVED),
        (
            {"watchNamespaces": ["a"]},
            ("Role", "system", f"{OPERATOR}-leader-election"),
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
        if kind.endswith("RoleBinding"):
            assert raw["subjects"] == [{"kind": "ServiceAccount", "name": OPERATOR, "namespace": "system"}]
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


def test_two_releases_of_a_name_share_nothing_but_the_crd() -> None:
    ones, others = (render(namespace=namespace) for namespace in ("a", "a-b"))
    assert {kind for kind, _, _ in ones.keys() & others.keys()} == {"CustomResourceDefinition"}


POLICY = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def test_with_watched_namespaces_the_crd_and_the_policy_alone_are_cluster_wide() -> None:
    def cluster_wide(**values: Any) -> set[str]:
        return {kind for kind, namespace, _ in render(watchNamespaces=["a"], **values) if not namespace}

    assert cluster_wide() == {"CustomResourceDefinition", *POLICY}
    assert cluster_wide(**{"crds.install": False, "admissionPolicy.enabled": False}) == set()


def test_the_policy_is_about_the_service_account_and_enforced() -> None:
    objects = render(watchNamespaces=["a"])
    policy = objects["ValidatingAdmissionPolicy", "", f"{OPERATOR}.system"]["spec"]
    binding = objects["ValidatingAdmissionPolicyBinding", "", f"{OPERATOR}.system"]["spec"]
    (condition,) = policy["matchConditions"]
    assert condition["expression"] == f"request.userInfo.username == 'system:serviceaccount:system:{OPERATOR}'"
    assert binding == {"policyName": f"{OPERATOR}.system", "validationActions": ["Deny"]}
    assert policy["failurePolicy"] == "Fail"


@pytest.mark.parametrize(
    ("driver", "addresses", "parts"),
    [
        ("runtime", False, ()),
        ("runtime", True, (CARD_ADDRESSES,)),
        ("hostPath", False, DRIVER),
        ("hostPath", True, (*DRIVER, CARD_ADDRESSES)),
    ],
)
def test_the_policy_knows_the_driver(driver: str, addresses: bool, parts: tuple[DriverPath, ...]) -> None:
    values = {"ascend.driver": driver, "ascend.cardAddresses": addresses}
    policy = render(**values)["ValidatingAdmissionPolicy", "", f"{OPERATOR}.system"]["spec"]
    variables = {variable["name"]: variable["expression"] for variable in policy["variables"]}
    assert ast.literal_eval(variables["driver"]) == [part.path for part in parts]
