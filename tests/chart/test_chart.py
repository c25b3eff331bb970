"""What the Helm chart renders from which values, and that the API server takes it."""

import itertools
import json
import subprocess
from collections.abc import Callable

import pytest
import yaml

from bertfinetune_operator.leader import ATTEMPT_SECONDS
from bertfinetune_operator.settings import Settings
from chart.helm import CHART, Objects, Raw, helm, render, template


def kinds(objects: Objects) -> list[tuple[str, str]]:
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
DEFAULT = [*ALWAYS, *EVERYWHERE, *CRD, *BUDGET]
DASHBOARDS = [("ConfigMap", "system")] * len([*(CHART / "files/dashboards").iterdir()])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, DEFAULT),
        ({"replicas": 1}, [*ALWAYS, *EVERYWHERE, *CRD]),
        ({"crds.install": False}, [*ALWAYS, *EVERYWHERE, *BUDGET]),
        ({"watchNamespaces": ["a"]}, [*ALWAYS, *CRD, *BUDGET, ("Role", "a"), ("RoleBinding", "a")]),
        (
            {"watchNamespaces": ["system", "b"], "replicas": 0, "crds.install": False},
            [*ALWAYS, *(("Role", n) for n in ("system", "b")), *(("RoleBinding", n) for n in ("system", "b"))],
        ),
        ({"monitoring.serviceMonitor.enabled": True}, [*DEFAULT, ("ServiceMonitor", "system")]),
        ({"monitoring.podMonitor.enabled": True}, [*DEFAULT, ("PodMonitor", "system")]),
        ({"monitoring.prometheusRule.enabled": True}, [*DEFAULT, ("PrometheusRule", "system")]),
        ({"monitoring.dashboards.enabled": True}, [*DEFAULT, *DASHBOARDS]),
        ({"monitoring.scrapeAnnotations": True}, DEFAULT),
        (
            {"monitoring.tensorboards": [{"namespace": n, "claimName": "runs"} for n in "ab"]},
            [*DEFAULT, *((kind, n) for kind in ("Deployment", "Service") for n in "ab")],
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


@pytest.mark.parametrize("annotated", [False, True])
def test_the_operator_understands_its_environment(annotated: bool) -> None:
    values: Raw = {
        "watchNamespaces": ["a", "b"],
        "progressIntervalSeconds": 5,
        "monitoring.scrapeAnnotations": annotated,
    }
    objects = render(**values)
    container = objects["Deployment", "system", "op"]["spec"]["template"]["spec"]["containers"][0]
    fields = {"metadata.namespace": "system", "metadata.name": "op-6d4cf56db6-x2x7k"}
    environ = {
        variable["name"]: variable.get("value") or fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for variable in container["env"]
    }
    settings = Settings.from_environ(environ)
    assert settings.watch_namespaces == ("a", "b")
    assert settings.progress_interval == 5
    assert settings.scrape_annotations == annotated
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
    names = [name for _, _, name in render("r" * 53, **{"crds.install": False})]
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
        ({"nodeSelector": {"disk": 1}}, "nodeSelector"),
        ({"monitoring.serviceMonitor.interval": "30"}, "interval"),
        ({"monitoring.serviceMonitor.enabled": "yes"}, "enabled"),
        ({"monitoring.podMonitor.interval": ""}, "interval"),
        ({"monitoring.podMonitor.labels": {"release": 1}}, "release"),
        ({"monitoring.podMonitor.namespaces": ["a"]}, "namespaces"),
        ({"monitoring.prometheusRule.runbookUrl": "example.com/runbooks"}, "runbookUrl"),
        ({"monitoring.prometheusRule.runbookUrl": "https://example.com/runbooks/"}, "runbookUrl"),
        ({"monitoring.dashboards.labels": ["grafana_dashboard"]}, "labels"),
        ({"monitoring.scrapeAnnotations": "true"}, "scrapeAnnotations"),
        ({"monitoring.tensorboards": [{"namespace": "a"}]}, "claimName"),
        ({"monitoring.tensorboards": [{"namespace": "a", "claimName": "Runs"}]}, "claimName"),
        ({"monitoring.tensorboards": [{"namespace": "a", "claimName": "runs"}] * 2}, "tensorboards"),
        ({"monitoring.grafana": True}, "grafana"),
    ],
)
def test_bad_values_are_refused_by_name(values: Raw, words: str) -> None:
    done = template(**values)
    assert done.returncode != 0
    assert words in done.stderr


def test_each_value_is_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    assert values["monitoring"].keys() == schema["properties"]["monitoring"]["properties"].keys()
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
    values: Raw = {"replicas": replicas, "crds.install": install, "watchNamespaces": watched}
    rendered = template(namespace=namespace, **values)
    assert rendered.returncode == 0, rendered.stderr
    manifest = ("--filename=-", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    done = kubectl("apply", *manifest, stdin=rendered.stdout)
    assert done.returncode == 0, done.stderr
    assert "arning" not in done.stderr
