"""What values the operator reads, and what its pods and TensorBoards' are made of."""

from typing import Any

import pytest

from bertfinetune_operator import __version__
from bertfinetune_operator.api.pods import EnvVar, Resources, Toleration
from bertfinetune_operator.settings import TRAINER_POD_SECURITY_CONTEXT as CONTEXT
from bertfinetune_operator.settings import Settings
from support.helm import OPERATOR, Raw, render

FIELDS = {"metadata.namespace": "system", "metadata.name": f"{OPERATOR}-6d4cf56db6-x2x7k"}
"""What the downward API tells a pod."""


@pytest.fixture(scope="module")
def plain() -> Raw:
    """The operator's pod with the default values."""
    return pod()


def pod(**values: Any) -> Raw:
    """The operator's pod."""
    spec: Raw = render(**values)["Deployment", "system", OPERATOR]["spec"]["template"]["spec"]
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
BY_DEFAULT += ["trainer_resources_ascend910", "trainer_resources_cpu"]
BY_DEFAULT += ["leader_election", "namespace", "lease_name", "pod_name"]
"""Settings of the chart's own, whatever the values are."""


def test_the_operator_has_its_own_defaults_unless_a_value_says_otherwise(plain: Raw) -> None:
    read = settings(plain)
    assert read == Settings(**{name: getattr(read, name) for name in BY_DEFAULT})
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
        ({"trainer.images.cpu": None}, "trainer_image_cpu", ""),
        ({"trainer.imagePullSecrets": ["a", "b.c"]}, "trainer_image_pull_secrets", ("a", "b.c")),
        ({"trainer.nodeSelector.ascend910": {"a": "b"}}, "trainer_node_selector_ascend910", {"a": "b"}),
        ({"trainer.nodeSelector.cpu": {"c/d": "e.f"}}, "trainer_node_selector_cpu", {"c/d": "e.f"}),
        ({"trainer.metadata.labels": {"team": "nlp"}}, "trainer_labels", {"team": "nlp"}),
        ({"trainer.metadata.annotations": {"a/b": 'c"'}}, "trainer_annotations", {"a/b": 'c"'}),
        (
            {"trainer.podSecurityContext": {"runAsUser": None, "runAsGroup": 0, "fsGroup": None}},
            "trainer_pod_security_context",
            {key: value for key, value in CONTEXT.items() if key not in ("runAsUser", "fsGroup")} | {"runAsGroup": 0},
        ),
        ({"ascend.runtimeClassName": "ascend"}, "ascend_runtime_class_name", "ascend"),
        (
            {"trainer.resources.cpu": {"requests": {"memory": None}, "limits": {"memory": "8Gi"}}},
            "trainer_resources_cpu",
            Resources(requests={"cpu": 1}, limits={"memory": "8Gi"}),
        ),
        (
            {"trainer.resources.ascend910.requests": None},
            "trainer_resources_ascend910",
            Resources(requests={}, limits={}),
        ),
        ({"ascend.resource": "huawei.com/npu"}, "ascend_resource", "huawei.com/npu"),
        ({"ascend.virtualDevices": {"2c": "a.b/c"}}, "ascend_virtual_devices", {"2c": "a.b/c"}),
        ({"ascend.driver": "hostPath"}, "ascend_driver", "hostPath"),
        ({"ascend.deviceGroups": [1000, 2147483647]}, "ascend_device_groups", (1000, 2147483647)),
        ({"ascend.deviceGroups": []}, "ascend_device_groups", ()),
        ({"ascend.cardAddresses": False}, "ascend_card_addresses", False),
        ({"scheduling.defaultSchedulerName": "volcano"}, "default_scheduler_name", "volcano"),
        ({"scheduling.defaultQueue": "team"}, "default_queue", "team"),
    ],
)
def test_a_value_reaches_the_operator(plain: Raw, value: Raw, setting: str, expected: object) -> None:
    assert getattr(settings(plain), setting) != expected
    assert getattr(settings(pod(**value)), setting) == expected


TOLERATION = {"key": "huawei.com/Ascend910", "operator": "Exists", "effect": "NoSchedule"}
BY_THE_SITE: list[tuple[str, object, str, object]] = [
    ("trainer.imagePullPolicy", "Never", "trainer_image_pull_policy", "Never"),
    ("trainer.tolerations.ascend910", [TOLERATION], "trainer_tolerations_ascend910", (Toleration(**TOLERATION),)),
    ("trainer.tolerations.cpu", [{"operator": "Exists"}], "trainer_tolerations_cpu", (Toleration(operator="Exists"),)),
    ("trainer.priorityClassName", "training", "trainer_priority_class_name", "training"),
    (
        "trainer.env",
        [{"name": "A", "value": 'b"'}, {"name": "C"}],
        "trainer_env",
        (EnvVar(name="A", value='b"'), EnvVar(name="C")),
    ),
    ("trainer.ttlSecondsAfterFinished", 2147483647, "trainer_ttl_seconds_after_finished", 2147483647),
    ("logLevel", "warning", "log_level", "warning"),
    ("logFormat", "text", "log_format", "text"),
    ("workers", 64, "workers", 64),
    ("watchTimeoutSeconds", 600, "watch_timeout", 600),
]
"""Values, and the settings that they become."""


def test_what_a_site_says_of_all_runs_and_of_the_operator_reaches_it(plain: Raw) -> None:
    before, after = settings(plain), settings(pod(**{value: told for value, told, _, _ in BY_THE_SITE}))
    for value, _, setting, expected in BY_THE_SITE:
        assert (getattr(before, setting) != expected, getattr(after, setting)) == (True, expected), value


def test_a_time_to_live_of_nothing_is_one() -> None:
    assert settings(pod(**{"trainer.ttlSecondsAfterFinished": 0})).trainer_ttl_seconds_after_finished == 0


def test_all_secrets_reach_the_pods_that_they_are_for() -> None:
    """In the form of other charts, and in the old one for a release more."""
    objects = render(
        **{
            "global.imagePullSecrets": [{"name": "all"}],
            "imagePullSecrets": [{"name": "operator"}, {"name": "all"}],
            "image.pullSecrets": ["old"],
            "trainer.imagePullSecrets": [{"name": "runs"}, "old.runs"],
            "monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}],
        }
    )
    operator, board = (
        objects["Deployment", "system", name]["spec"]["template"]["spec"] for name in (OPERATOR, "tensorboard-runs")
    )
    assert operator["imagePullSecrets"] == [{"name": name} for name in ("all", "operator", "old")]
    assert settings(operator).trainer_image_pull_secrets == ("all", "runs", "old.runs")
    assert board["imagePullSecrets"] == [{"name": name} for name in ("all", "runs", "old.runs")]


DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("values", "operator", "trainer"),
    [
        ({"image.registry": "r.example.com:5000"}, "r.example.com:5000/a/op:{}", "b/cpu:1"),
        ({"global.imageRegistry": "mirror/all", "image.registry": "r"}, "mirror/all/a/op:{}", "mirror/all/b/cpu:1"),
        ({"image.digest": DIGEST, "image.tag": "1"}, f"a/op@{DIGEST}", "b/cpu:1"),
        (
            {
                "global.imageRegistry": "mirror",
                "image.repository": "localhost/op",
                "trainer.images.cpu": f"r:1/cpu@{DIGEST}",
            },
            "localhost/op:{}",
            f"r:1/cpu@{DIGEST}",
        ),
    ],
)
def test_an_image_is_in_the_registry_that_is_said(values: Raw, operator: str, trainer: str) -> None:
    boards = {"monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}]}
    objects = render(**{"image.repository": "a/op", "trainer.images.cpu": "b/cpu:1"} | values | boards)
    pods = [
        objects["Deployment", "system", name]["spec"]["template"]["spec"] for name in (OPERATOR, "tensorboard-runs")
    ]
    images = [pod["containers"][0]["image"] for pod in pods]
    assert images == [operator.format(__version__), trainer]
    assert settings(pods[0]).trainer_image_cpu == trainer


OF_THE_POD: Raw = {
    "imagePullSecrets": [{"name": "a"}, {"name": "1"}],
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/arch": "arm64"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAffinity": {}},
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["192.0.2.53"], "options": [{"name": "ndots", "value": "2"}]},
    "hostAliases": [{"ip": "192.0.2.1", "hostnames": ["a.example.com"]}],
    "volumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
}
"""Values that are called as what they become in the pod."""


def test_what_a_pod_may_have_reaches_the_operators(plain: Raw) -> None:
    variable, mount = {"name": "TZ", "value": "UTC"}, {"name": "ca", "mountPath": "/ca", "readOnly": True}
    probes = {"livenessProbe": {"failureThreshold": 9}, "readinessProbe": {"timeoutSeconds": 3}}
    changed = pod(**OF_THE_POD, **probes, extraEnv=[variable], volumeMounts=[mount])
    (before,), (after,) = plain["containers"], changed["containers"]
    wanted = {
        "env": [*before["env"], variable],
        "volumeMounts": [mount],
        **{probe: before[probe] | times for probe, times in probes.items()},
    }
    assert after == before | wanted
    [spread] = changed["topologySpreadConstraints"]
    own = {"labelSelector": plain["topologySpreadConstraints"][0]["labelSelector"]}
    assert spread == OF_THE_POD["topologySpreadConstraints"][0] | own
    assert changed == plain | OF_THE_POD | {"containers": [after], "topologySpreadConstraints": [spread]}


def test_no_constraint_spreads_them_where_none_is_wanted() -> None:
    assert "topologySpreadConstraints" not in pod(topologySpreadConstraints=[])


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


def test_labels_and_annotations_reach_the_operators_pods_and_no_label_of_the_charts_gives_way() -> None:
    wanted = {"team": "ml", "app.kubernetes.io/name": "other"}
    deployment = render(podLabels=wanted, podAnnotations={"a": "b"})["Deployment", "system", OPERATOR]["spec"]
    before = render()["Deployment", "system", OPERATOR]["spec"]["template"]["metadata"]
    assert deployment["template"]["metadata"] == {
        "labels": before["labels"] | {"team": "ml"},
        "annotations": {"a": "b"},
    }


RANGE = {"runAsUser": 1000670000, "runAsGroup": None}


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        ({}, OPERATOR, {"runAsUser": 65532, "runAsGroup": 65532}),
        ({"podSecurityContext": RANGE}, OPERATOR, {"runAsUser": 1000670000}),
        ({"podSecurityContext": {"fsGroup": 7}}, OPERATOR, {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 7}),
        ({}, "tensorboard-runs", {"runAsUser": 65532, "runAsGroup": 65532}),
        ({"trainer.podSecurityContext": RANGE | {"fsGroup": 7}}, "tensorboard-runs", {"runAsUser": 1000670000}),
    ],
)
def test_user_and_groups_are_replaced_or_left_out(value: Raw, name: str, expected: Raw) -> None:
    objects = render(**value, **{"monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}]})
    context = objects["Deployment", "system", name]["spec"]["template"]["spec"]["securityContext"]
    fixed = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert {key: told for key, told in context.items() if told is not None} == fixed | expected


def test_tensorboards_have_what_policies_ask_of_runs() -> None:
    metadata = {"trainer.metadata": {"labels": {"team": "nlp"}, "annotations": {"a": "b"}}}
    boards = {"monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}]}
    pod = render(**metadata, **boards)["Deployment", "system", "tensorboard-runs"]["spec"]["template"]["metadata"]
    assert pod["labels"].items() >= {"team": "nlp", "app.kubernetes.io/name": "tensorboard"}.items()
    assert pod["annotations"] == {"a": "b"}
