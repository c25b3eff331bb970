"""What the Helm chart renders from which values."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bertfinetune_operator.accelerator import VIRTUAL_DEVICES
from bertfinetune_operator.api import BertFinetune
from bertfinetune_operator.leader import ATTEMPT_SECONDS
from bertfinetune_operator.settings import NAME, RESOURCE, Settings
from chart.helm import CHART, Objects, Raw, helm, render, sets, template
from docs.commands import is_whole

DEFAULTS: Raw = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: Raw = json.loads((CHART / "values.schema.json").read_text())


def kinds(objects: Objects) -> list[tuple[str, str]]:
    return sorted((kind, namespace) for kind, namespace, _ in objects)


ALWAYS = [
    ("Deployment", "system"),
    ("NetworkPolicy", "system"),
    ("Role", "system"),
    ("RoleBinding", "system"),
    ("Service", "system"),
    ("ServiceAccount", "system"),
]
OWN_CLUSTER_ROLE = [("ClusterRole", ""), ("ClusterRoleBinding", "")]
EVERYWHERE = [*OWN_CLUSTER_ROLE, *[("ClusterRole", "")] * 2]
"""Also those that view, edit and admin are made of."""
CRD = [("CustomResourceDefinition", "")]
BUDGET = [("PodDisruptionBudget", "system")]
DEFAULT = [*ALWAYS, *EVERYWHERE, *CRD, *BUDGET]
DASHBOARDS = [("ConfigMap", "system")] * len([*(CHART / "files/dashboards").iterdir()])


def served(*namespaces: str) -> list[tuple[str, str]]:
    """What watched namespaces get."""
    return [(kind, n) for kind in ("Role", "RoleBinding", "NetworkPolicy", "NetworkPolicy") for n in namespaces]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, DEFAULT),
        ({"replicas": 1}, [*ALWAYS, *EVERYWHERE, *CRD]),
        ({"crds.install": False}, [*ALWAYS, *EVERYWHERE, *BUDGET]),
        ({"watchNamespaces": ["a"]}, [*ALWAYS, *CRD, *BUDGET, *served("a")]),
        (
            {"watchNamespaces": ["system", "b"], "replicas": 0, "crds.install": False},
            [*ALWAYS, *served("system", "b")],
        ),
        ({"rbac.aggregateClusterRoles": False}, [*ALWAYS, *OWN_CLUSTER_ROLE, *CRD, *BUDGET]),
        ({"networkPolicy.enabled": False}, [kind for kind in DEFAULT if kind[0] != "NetworkPolicy"]),
        ({"monitoring.serviceMonitor.enabled": True}, [*DEFAULT, ("ServiceMonitor", "system")]),
        ({"monitoring.podMonitor.enabled": True}, [*DEFAULT, ("PodMonitor", "system")]),
        ({"monitoring.prometheusRule.enabled": True}, [*DEFAULT, ("PrometheusRule", "system")]),
        ({"monitoring.dashboards.enabled": True}, [*DEFAULT, *DASHBOARDS]),
        ({"monitoring.scrapeAnnotations": True}, DEFAULT),
        (
            {"monitoring.tensorboards": [{"namespace": n, "claimName": "runs"} for n in "ab"]},
            [*DEFAULT, *((kind, n) for kind in ("Deployment", "NetworkPolicy", "Service") for n in "ab")],
        ),
    ],
)
def test_the_objects(values: Raw, expected: list[tuple[str, str]]) -> None:
    assert kinds(render(**values)) == sorted(expected)


FIELDS = {"metadata.namespace": "system", "metadata.name": "op-6d4cf56db6-x2x7k"}
"""What the downward API tells a pod."""


@pytest.fixture(scope="module")
def plain() -> Raw:
    """The operator's pod with the default values."""
    return pod()


def pod(**values: Any) -> Raw:
    """The operator's pod."""
    spec: Raw = render(**values)["Deployment", "system", "op"]["spec"]["template"]["spec"]
    return spec


def settings(pod: Raw) -> Settings:
    """What the operator reads from the environment that the chart gives it."""
    environ = {
        variable["name"]: FIELDS[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        if "valueFrom" in variable
        else variable["value"]
        for variable in pod["containers"][0]["env"]
    }
    return Settings.from_environ(environ)


BY_DEFAULT = ["trainer_image_ascend910", "trainer_image_cpu", "trainer_network_policies"]
BY_DEFAULT += ["leader_election", "namespace", "lease_name", "pod_name"]
"""Settings of the chart's own, whatever the values are."""


def test_the_operator_has_its_own_defaults_unless_a_value_says_otherwise(plain: Raw) -> None:
    read = settings(plain)
    assert read == Settings(**{name: getattr(read, name) for name in BY_DEFAULT})
    images = {"ascend910": read.trainer_image_ascend910, "cpu": read.trainer_image_cpu}
    assert images == DEFAULTS["trainer"]["images"]
    assert read.leader_election
    assert (read.namespace, read.lease_name, read.pod_name) == ("system", "op", FIELDS["metadata.name"])
    ports = {port["name"]: port["containerPort"] for port in plain["containers"][0]["ports"]}
    assert ports == {"health": read.health_port, "metrics": read.metrics_port}


@pytest.mark.parametrize(
    ("value", "setting", "expected"),
    [
        ({"watchNamespaces": ["a", "b"]}, "watch_namespaces", ("a", "b")),
        ({"progressIntervalSeconds": 5}, "progress_interval", 5),
        ({"monitoring.scrapeAnnotations": True}, "scrape_annotations", True),
        ({"trainer.images.ascend910": "r/npu:1"}, "trainer_image_ascend910", "r/npu:1"),
        ({"trainer.images.cpu": "r/cpu:1"}, "trainer_image_cpu", "r/cpu:1"),
        ({"trainer.imagePullSecrets": ["a", "b.c"]}, "trainer_image_pull_secrets", ("a", "b.c")),
        ({"trainer.nodeSelector.ascend910": {"a": "b"}}, "trainer_node_selector_ascend910", {"a": "b"}),
        ({"trainer.nodeSelector.cpu": {"c/d": 'e"'}}, "trainer_node_selector_cpu", {"c/d": 'e"'}),
        ({"ascend.resource": "huawei.com/npu"}, "ascend_resource", "huawei.com/npu"),
        ({"ascend.virtualDevices": {"2c": "a.b/c"}}, "ascend_virtual_devices", {"2c": "a.b/c"}),
        ({"ascend.driver": "hostPath"}, "ascend_driver", "hostPath"),
        ({"scheduling.defaultSchedulerName": "volcano"}, "default_scheduler_name", "volcano"),
        ({"scheduling.defaultQueue": "team"}, "default_queue", "team"),
    ],
)
def test_a_value_reaches_the_operator(plain: Raw, value: Raw, setting: str, expected: object) -> None:
    assert getattr(settings(plain), setting) != expected
    assert getattr(settings(pod(**value)), setting) == expected


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        ({"image.pullSecrets": ["a", "1"]}, "imagePullSecrets", [{"name": "a"}, {"name": "1"}]),
        ({"priorityClassName": "system-cluster-critical"}, "priorityClassName", "system-cluster-critical"),
        ({"nodeSelector": {"kubernetes.io/arch": "arm64"}}, "nodeSelector", {"kubernetes.io/arch": "arm64"}),
        ({"tolerations": [{"operator": "Exists"}]}, "tolerations", [{"operator": "Exists"}]),
        ({"affinity": {"podAffinity": {}}}, "affinity", {"podAffinity": {}}),
    ],
)
def test_a_value_reaches_the_operators_pods(plain: Raw, value: Raw, key: str, expected: object) -> None:
    assert key not in plain
    assert pod(**value) == plain | {key: expected}


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
        (
            {"monitoring.dashboards.labels": {"grafana_dashboard": 1}},
            "/dashboards/labels/grafana_dashboard': got number",
        ),
        ({"monitoring.scrapeAnnotations": "true"}, "scrapeAnnotations"),
        ({"monitoring.tensorboards": [{"namespace": "a"}]}, "claimName"),
        ({"monitoring.tensorboards": [{"namespace": "a", "claimName": "Runs"}]}, "claimName"),
        ({"monitoring.tensorboards": [{"namespace": "a", "claimName": "runs"}] * 2}, "tensorboards"),
        ({"monitoring.grafana": True}, "grafana"),
        ({"trainer.images.npu": "a"}, "/trainer/images': additional properties 'npu' not allowed"),
        ({"trainer.images.cpu": ""}, "/trainer/images/cpu"),
        ({"trainer.imagePullSecrets": "registry"}, "/trainer/imagePullSecrets': got string, want array"),
        ({"trainer.imagePullSecrets": [{"name": "registry"}]}, "/trainer/imagePullSecrets/0': got object, want string"),
        ({"trainer.nodeSelector.npu": {}}, "/trainer/nodeSelector': additional properties 'npu' not allowed"),
        ({"trainer.nodeSelector.cpu": {"disk": 1}}, "/trainer/nodeSelector/cpu/disk': got number, want string"),
        ({"ascend.resource": "Ascend910"}, "/ascend/resource': 'Ascend910' does not match"),
        ({"ascend.virtualDevices": {"3c": "a.b/c"}}, "/ascend/virtualDevices': additional properties '3c' not allowed"),
        ({"ascend.virtualDevices": {"2c": "c"}}, "/ascend/virtualDevices/2c': 'c' does not match"),
        ({"ascend.driver": "hostpath"}, "/ascend/driver': value must be one of 'runtime', 'hostPath'"),
        ({"ascend.drivers": []}, "/ascend': additional properties 'drivers' not allowed"),
        ({"scheduling.defaultQueue": 1}, "/scheduling/defaultQueue': got number, want string"),
        ({"scheduling.defaultSchedulerName": "Volcano"}, "/scheduling/defaultSchedulerName': 'Volcano' does not match"),
        ({"scheduling.queue": "a"}, "/scheduling': additional properties 'queue' not allowed"),
        ({"priorityClassName": "High"}, "/priorityClassName': 'High' does not match"),
        ({"affinity.node": {}}, "/affinity': additional properties 'node' not allowed"),
        ({"tolerations": [{"keys": "a"}]}, "/tolerations/0': additional properties 'keys' not allowed"),
        ({"resources.request": {}}, "/resources': additional properties 'request' not allowed"),
        ({"resources.limits.memory": True}, "/resources/limits/memory': got boolean, want number or string"),
        ({"image.pullSecrets": ["A"]}, "/image/pullSecrets/0': 'A' does not match"),
        ({"crds.keep": "yes"}, "/crds/keep': got string, want boolean"),
        ({"networkPolicy.enabled": "no"}, "/networkPolicy/enabled': got string, want boolean"),
        (
            {"networkPolicy.scrapers": [{"namespace": "a"}]},
            "/scrapers/0': additional properties 'namespace' not allowed",
        ),
        ({"networkPolicy.scrapers": [{}]}, "/networkPolicy/scrapers/0': minProperties: got 0, want 1"),
        ({"networkPolicy.apiServer.cidrs": ["10.0.0.1"]}, "/apiServer/cidrs/0': '10.0.0.1' does not match"),
        ({"networkPolicy.apiServer.ports": []}, "/apiServer/ports': minItems: got 0, want 1"),
        ({"networkPolicy.dnsPorts": [0]}, "/networkPolicy/dnsPorts/0': minimum: got 0, want 1"),
        (
            {"networkPolicy.downloads": [{"ipBlock": {"cidr": "10.0.0.0/8", "exclude": []}}]},
            "/networkPolicy/downloads/0/ipBlock': additional properties 'exclude' not allowed",
        ),
        ({"networkPolicy.trainers": True}, "/networkPolicy': additional properties 'trainers' not allowed"),
        ({"rbac.aggregate": True}, "/rbac': additional properties 'aggregate' not allowed"),
    ],
)
def test_bad_values_are_refused_by_name(values: Raw, words: str) -> None:
    done = template(**values)
    assert done.returncode != 0
    assert words in done.stderr


KINDS = {bool: "boolean", int: "number", str: "string", list: "array", dict: "object"}
USERS_OWN = {"resources", "labels"}
"""Maps whose defaults a user may take away: their keys are Kubernetes' and the user's, not the chart's."""


def objects_of(values: Raw, schema: Raw, path: str = "") -> Iterator[tuple[str, Raw, Raw]]:
    """Each map of the values that has defaults, with its path and its schema."""
    yield path, values, schema
    for name, value in values.items():
        inner = resolved(schema["properties"][name])
        if isinstance(value, dict) and value and "properties" in inner:
            yield from objects_of(value, inner, f"{path}.{name}".lstrip("."))


def resolved(schema: Raw) -> Raw:
    return resolved(SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]) if "$ref" in schema else schema


def test_values_and_schema_have_the_same_keys_and_types() -> None:
    for path, values, schema in objects_of(DEFAULTS, SCHEMA):
        assert values.keys() == schema["properties"].keys() - {"global"}, path
        for name, value in values.items():
            kind = resolved(schema["properties"][name])
            types = {KINDS[type(choice)] for choice in kind["enum"]} if "enum" in kind else {kind["type"]}
            assert KINDS[type(value)] in {"number" if one == "integer" else one for one in types}, f"{path}.{name}"


def test_the_schema_knows_every_key_at_every_level() -> None:
    """A map is closed, or says what its values are; what is Kubernetes' own it takes as it is."""
    free = {"global", "podSelector", "namespaceSelector", "nodeAffinity", "podAffinity", "podAntiAffinity"}

    def check(name: str, schema: Raw) -> None:
        if schema.get("type") == "object" and name not in free:
            assert schema.get("additionalProperties", True) is not True, name
        for key, inner in schema.get("properties", {}).items():
            check(key, inner)
        if "items" in schema:
            check(f"{name}[]", schema["items"])

    for name, schema in {"": SCHEMA, **SCHEMA["definitions"]}.items():
        check(name, schema)


def test_a_value_without_an_empty_default_cannot_be_null() -> None:
    for path, values, schema in objects_of(DEFAULTS, SCHEMA):
        if path.partition(".")[0] != "resources":
            needed = {name for name, value in values.items() if value and name not in USERS_OWN}
            assert needed <= set(schema.get("required", ())), path


def test_no_value_set_to_null_renders_anything_else_than_the_default() -> None:
    """Helm takes null for "remove the default"; a template must not stumble over it."""
    nulls: Raw = {
        f"{path}.{name}".lstrip("."): None
        for path, values, schema in objects_of(DEFAULTS, SCHEMA)
        for name, value in values.items()
        if not value and name not in schema.get("required", ())
    }
    assert len(nulls) > 15
    assert render(**nulls) == render()


@pytest.mark.parametrize("value", ["ascend", "trainer.nodeSelector", "ascend.driver", "replicas", "crds.keep"])
def test_a_value_that_is_missing_is_named(value: str) -> None:
    """So an upgrade with --reuse-values, which takes the older chart's defaults, says what it lacks."""
    values: Raw = {value: None}
    done = template(**values)
    assert done.returncode != 0
    assert f"missing property '{value.rpartition('.')[2]}'" in done.stderr


def test_schema_and_operator_take_the_same_names() -> None:
    patterns = {name: SCHEMA["definitions"][name]["pattern"] for name in ("name", "nameOrNone", "resource")}
    assert patterns == {"name": f"^{NAME}$", "nameOrNone": f"^({NAME})?$", "resource": f"^{RESOURCE}$"}
    shares = SCHEMA["properties"]["ascend"]["properties"]["virtualDevices"]["properties"]
    assert tuple(shares) == VIRTUAL_DEVICES


def test_the_readme_describes_every_value() -> None:
    rows = re.findall(r"^\| `(\S+)` \| (.+) \| (.*) \|$", (CHART / "README.md").read_text(), re.MULTILINE)
    described = {path for path, _, description in rows if description}
    paths = [f"{path}.{name}".lstrip(".") for path, values, _ in objects_of(DEFAULTS, SCHEMA) for name in values]
    maps = {path for path, *_ in objects_of(DEFAULTS, SCHEMA)} - described
    assert {path for path in paths if not described & {path, path.partition(".")[0]}} == maps - {""}
    assert len(rows) == len(described)
    assert max(len(default) for _, default, _ in rows) < 60  # readable


@pytest.mark.parametrize("watched", [[], ["research", "lab"]])
def test_the_notes_say_what_to_do_next(watched: list[str]) -> None:
    values: Raw = {"watchNamespaces": watched, "trainer.images.cpu": "registry.example.com/cpu:1"}
    install = ("install", "op", CHART, "--namespace=system", "--dry-run=client", *sets(values))
    notes = helm(*install, program="helm4").stdout.partition("NOTES:\n")[2]  # Helm 3 asks a cluster even for this
    assert "kubectl -n system rollout status deployment/op\n" in notes
    assert "kubectl -n system logs deployment/op\n" in notes
    assert "trainer.images.ascend910 is bertfinetune/trainer-ascend910:" in notes  # nobody has said where it is
    assert "image.repository is bertfinetune/operator, " in notes
    assert "trainer.images.cpu is" not in notes
    where = " -n research" if watched else ""
    assert f"kubectl{where} get bertfinetunes --watch\n" in notes
    sample = re.search(rf"^kubectl{where} apply -f - <<'END'\n(.*?)^END\n", notes, re.MULTILINE | re.DOTALL)
    assert sample
    assert is_whole(sample[0])  # a shell that gets it as it is printed waits for no more
    raw = yaml.safe_load(sample[1])
    raw["metadata"] |= {"namespace": "a", "uid": "b"}
    assert BertFinetune.model_validate(raw).spec.task == "MRPC"
