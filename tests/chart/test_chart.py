"""What the Helm chart renders from which values, and that the API server takes it."""

import itertools
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from bertfinetune_operator.leader import ATTEMPT_SECONDS
from bertfinetune_operator.settings import Settings
from cluster.layout import BIN, PROJECT

CHART = PROJECT / "charts" / "bertfinetune-operator"
Raw = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "helm", *arguments], check=False, capture_output=True, text=True)


def render(**values: Any) -> dict[tuple[str, str, str], Raw]:
    """What `helm template` makes of the values, by kind, namespace and name."""
    sets = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    done = helm("template", "op", str(CHART), "--namespace=system", *sets)
    assert done.returncode == 0, done.stderr
    objects = [raw for raw in yaml.safe_load_all(done.stdout) if raw]
    found = {(raw["kind"], raw["metadata"].get("namespace", ""), raw["metadata"]["name"]): raw for raw in objects}
    assert len(found) == len(objects)
    return found


def kinds(objects: dict[tuple[str, str, str], Raw]) -> list[tuple[str, str]]:
    return sorted((kind, namespace) for kind, namespace, _ in objects)


ALWAYS = [
    ("Deployment", "system"),
    ("Role", "system"),
    ("RoleBinding", "system"),
    ("Service", "system"),
    ("ServiceAccount", "system"),
]
EVERYWHERE = [("ClusterRole", ""), ("ClusterRoleBinding", "")]
CRD = [("CustomResourceDefinition", "")]
BUDGET = [("PodDisruptionBudget", "system")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, [*ALWAYS, *EVERYWHERE, *CRD, *BUDGET]),
        ({"replicas": 1}, [*ALWAYS, *EVERYWHERE, *CRD]),
        ({"crds.install": False}, [*ALWAYS, *EVERYWHERE, *BUDGET]),
        ({"watchNamespaces": ["a"]}, [*ALWAYS, *CRD, *BUDGET, ("Role", "a"), ("RoleBinding", "a")]),
        (
            {"watchNamespaces": ["system", "b"], "replicas": 0, "crds.install": False},
            [*ALWAYS, *(("Role", n) for n in ("system", "b")), *(("RoleBinding", n) for n in ("system", "b"))],
        ),
    ],
)
def test_the_objects(values: Raw, expected: list[tuple[str, str]]) -> None:
    assert kinds(render(**values)) == sorted(expected)


def test_rights() -> None:
    rules = render()["ClusterRole", "", "op"]["rules"]
    rights = {f"{rule['apiGroups'][0]}/{rule['resources'][0]}": " ".join(rule["verbs"]) for rule in rules}
    assert rights == {
        "bertfinetune.dev/bertfinetunes": "list watch",
        "bertfinetune.dev/bertfinetunes/status": "patch",
        "bertfinetune.dev/bertfinetunes/finalizers": "update",
        "batch/jobs": "get list watch create delete",
        "/pods": "list watch",
        "/pods/log": "get",
        "events.k8s.io/events": "list create",
        "scheduling.volcano.sh/podgroups": "get",
    }
    assert render(watchNamespaces=["a"])["Role", "a", "op"]["rules"] == rules


@pytest.mark.parametrize("namespaces", [[], ["a"], ["a", "system"]])
def test_each_role_is_bound_to_the_service_account(namespaces: list[str]) -> None:
    objects = render(watchNamespaces=namespaces)
    roles = {key for key in objects if key[0] in ("Role", "ClusterRole")}
    bound = set()
    for (kind, namespace, _), raw in objects.items():
        if kind.endswith("Binding"):
            assert raw["subjects"] == [{"kind": "ServiceAccount", "name": "op", "namespace": "system"}]
            bound.add((raw["roleRef"]["kind"], namespace, raw["roleRef"]["name"]))
    assert bound == roles


def test_the_lease_of_the_release_is_all_that_may_be_changed_in_its_namespace() -> None:
    assert render()["Role", "system", "op-leader-election"]["rules"] == [
        {
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "resourceNames": ["op"],
            "verbs": ["get", "update"],
        },
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    ]


def test_the_operator_understands_its_environment() -> None:
    objects = render(watchNamespaces=["a", "b"], progressIntervalSeconds=5)
    container = objects["Deployment", "system", "op"]["spec"]["template"]["spec"]["containers"][0]
    fields = {"metadata.namespace": "system", "metadata.name": "op-6d4cf56db6-x2x7k"}
    environ = {
        variable["name"]: variable.get("value") or fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for variable in container["env"]
    }
    settings = Settings.from_environ(environ)
    assert settings.watch_namespaces == ("a", "b")
    assert settings.progress_interval == 5
    assert settings.leader_election
    assert (settings.namespace, settings.lease_name, settings.pod_name) == ("system", "op", fields["metadata.name"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"health": settings.health_port, "metrics": settings.metrics_port}


def test_a_rollout_and_a_drain_leave_one_replica() -> None:
    objects = render()
    spec = objects["Deployment", "system", "op"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    budget = objects["PodDisruptionBudget", "system", "op"]["spec"]
    assert budget["maxUnavailable"] == 1
    labels = spec["template"]["metadata"]["labels"]
    spread = spec["template"]["spec"]["topologySpreadConstraints"]
    assert [constraint["whenUnsatisfiable"] for constraint in spread] == ["ScheduleAnyway"]  # one node is enough
    for selector in (spec["selector"], budget["selector"], spread[0]["labelSelector"]):
        assert selector["matchLabels"].items() <= labels.items()
    # the kernel's time for a stop: passes under way 5 s, the lease, and as much again for the watches
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 2 * (5 + ATTEMPT_SECONDS)


def test_the_longest_release_name_fits() -> None:
    name = "r" * 53
    done = helm("template", name, str(CHART), "--set=crds.install=false")
    assert done.returncode == 0, done.stderr
    names = [raw["metadata"]["name"] for raw in yaml.safe_load_all(done.stdout) if raw]
    assert max(map(len, names)) <= 63


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": -1}, "replicas"),
        ({"replicas": "2"}, "replicas"),
        ({"watchNamespaces": "a"}, "watchNamespaces"),
        ({"watchNamespaces": ["dev-*"]}, "watchNamespaces"),
        ({"watchNamespaces": ["a", "a"]}, "watchNamespaces"),
        ({"leaderElection": False}, "leaderElection"),
    ],
)
def test_bad_values_are_refused_by_name(values: Raw, words: str) -> None:
    sets = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    done = helm("template", "op", str(CHART), *sets)
    assert done.returncode != 0
    assert words in done.stderr


def test_each_value_is_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    assert helm("lint", "--strict", str(CHART)).returncode == 0


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("replicas", "watched", "install"), list(itertools.product([1, 2], [(), ("default", "kube-public")], [True, False]))
)
def test_the_api_server_takes_it(
    kubectl: Callable[..., subprocess.CompletedProcess[str]],
    namespace: str,
    replicas: int,
    watched: tuple[str, ...],
    install: bool,
) -> None:
    sets = (f"--set=replicas={replicas}", f"--set=crds.install={install}".lower())
    sets += (f"--set=watchNamespaces={{{','.join(watched)}}}",) if watched else ()
    rendered = helm("template", "op", str(CHART), f"--namespace={namespace}", *sets)
    assert rendered.returncode == 0, rendered.stderr
    manifest = ("--filename=-", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    done = kubectl("apply", *manifest, stdin=rendered.stdout)
    assert done.returncode == 0, done.stderr
    assert "arning" not in done.stderr
