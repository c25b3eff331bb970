"""What the Helm chart renders from which values."""

import re
from itertools import combinations

import pytest
import yaml

from bertfinetune_operator.api.spec import BertFinetune
from bertfinetune_operator.election.leader import ATTEMPT_SECONDS
from lab.cluster.layout import PROJECT
from pages.commands import is_whole
from support.helm import CHART, IMAGES, OPERATOR, Objects, Raw, by_both, helm, render, sets, template


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
POLICY = [("ValidatingAdmissionPolicy", ""), ("ValidatingAdmissionPolicyBinding", "")]
ALWAYS += POLICY
DEFAULT = [*ALWAYS, *EVERYWHERE, *CRD, *BUDGET]
DASHBOARDS = [("ConfigMap", "system")] * len([*(CHART / "files/dashboards").iterdir()])


def served(*namespaces: str) -> list[tuple[str, str]]:
    """What watched namespaces get."""
    return [(kind, n) for kind in ("Role", "RoleBinding", "NetworkPolicy", "NetworkPolicy") for n in namespaces]


def without_roles(kinds: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is left where somebody else gives the rights."""
    return [kind for kind in kinds if "Role" not in kind[0]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, DEFAULT),
        ({"replicas": 1}, [*ALWAYS, *EVERYWHERE, *CRD]),
        ({"podDisruptionBudget.enabled": False}, [*ALWAYS, *EVERYWHERE, *CRD]),
        (
            {"serviceAccount": {"create": False, "name": "site"}},
            [kind for kind in DEFAULT if kind[0] != "ServiceAccount"],
        ),
        ({"rbac.create": False}, without_roles(DEFAULT)),
        ({"rbac.create": False, "watchNamespaces": ["a"]}, without_roles([*ALWAYS, *CRD, *BUDGET, *served("a")])),
        ({"crds.install": False}, [*ALWAYS, *EVERYWHERE, *BUDGET]),
        ({"watchNamespaces": ["a"]}, [*ALWAYS, *CRD, *BUDGET, *served("a")]),
        (
            {"watchNamespaces": ["system", "b"], "replicas": 0, "crds.install": False},
            [*ALWAYS, *served("system", "b")],
        ),
        ({"rbac.aggregateClusterRoles": False}, [*ALWAYS, *OWN_CLUSTER_ROLE, *CRD, *BUDGET]),
        ({"admissionPolicy.enabled": False}, [kind for kind in DEFAULT if kind not in POLICY]),
        ({"networkPolicy.enabled": False}, [kind for kind in DEFAULT if kind[0] != "NetworkPolicy"]),
        ({"monitoring.serviceMonitor.enabled": True}, [*DEFAULT, ("ServiceMonitor", "system")]),
        ({"monitoring.podMonitor.enabled": True}, [*DEFAULT, ("PodMonitor", "system")]),
        ({"monitoring.npuExporter.enabled": True}, [*DEFAULT, ("PodMonitor", "system")]),
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


def test_the_kubernetes_that_it_is_for_is_what_is_tested() -> None:
    """`make test-versions` has a control plane for each in a Go module of its own."""
    modules = (PROJECT / "tests/lab/cluster/go").glob("kubernetes-*")
    oldest, newest = sorted(module.name.removeprefix("kubernetes-") for module in modules)
    assert f"VERSIONS ?= {oldest} {newest}\n" in (PROJECT / "Makefile").read_text()
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == f">={oldest}.0-0"
    for text in ((CHART / "Chart.yaml").read_text(), (CHART / "README.md").read_text()):
        assert f"on {oldest} and {newest}" in text


def test_a_rollout_and_a_drain_leave_one_replica() -> None:
    objects = render()
    spec = objects["Deployment", "system", OPERATOR]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    budget = objects["PodDisruptionBudget", "system", OPERATOR]["spec"]
    assert budget["maxUnavailable"] == 1
    labels = spec["template"]["metadata"]["labels"]
    spread = spec["template"]["spec"]["topologySpreadConstraints"]
    assert [constraint["whenUnsatisfiable"] for constraint in spread] == ["ScheduleAnyway"]  # one node is enough
    for selector in (spec["selector"], budget["selector"], spread[0]["labelSelector"]):
        assert selector["matchLabels"].items() <= labels.items()
    # the kernel's time for a stop: passes under way 5 s, the lease, and as much again for the watches
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] >= 2 * (5 + ATTEMPT_SECONDS)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"strategy.type": "Recreate"}, {"type": "Recreate"}),
        (
            {"strategy.rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}},
        ),
    ],
)
def test_another_rollout_is_as_it_is_told(values: Raw, expected: Raw) -> None:
    assert render(**values)["Deployment", "system", OPERATOR]["spec"]["strategy"] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"minAvailable": 0}, {"minAvailable": 0}),
        ({"minAvailable": "50%", "maxUnavailable": 2}, {"minAvailable": "50%"}),
        ({"maxUnavailable": 0}, {"maxUnavailable": 0}),
    ],
)
def test_another_budget_is_as_it_is_told(values: Raw, expected: Raw) -> None:
    budget = render(podDisruptionBudget=values)["PodDisruptionBudget", "system", OPERATOR]["spec"]
    assert {key: told for key, told in budget.items() if key.endswith("vailable")} == expected


BUILDS = {
    "image.repository": "docker build operator/",
    "trainer.images.ascend910": "docker build trainer_image/ --build-arg=BASE_IMAGE=AN_IMAGE_OF_ASCEND_HUB",
}
"""The values that name images, and how each is built."""


@pytest.mark.parametrize(
    "missing",
    [subset for size in (1, 2) for subset in combinations(BUILDS, size)],
    ids="+".join,
)
def test_without_an_image_it_says_in_a_sentence_which_to_build_and_how(missing: tuple[str, ...]) -> None:
    given = {name: f"registry.example.com/{name}" for name in BUILDS if name not in missing}
    done = by_both("template", "op", CHART, *sets(given))
    assert done.returncode != 0
    images = "; ".join(f"{name} ({BUILDS[name]})" for name in missing)
    sentence = f"no registry has these images, so build them, push them, and set where they are: {images}"
    assert f": {sentence}\n" in done.stderr


def test_a_tensorboard_says_which_image_it_lacks() -> None:
    boards = {"monitoring.tensorboards": [{"namespace": "a", "claimName": "runs"}]}
    assert template(**boards, **{"trainer.images.cpu": None, "tensorboard.image": "r/board:1"}).returncode == 0
    lacking = template(**boards, **{"trainer.images.cpu": None})
    assert "monitoring.tensorboards: there is no trainer.images.cpu, so set tensorboard.image to" in lacking.stderr


def test_with_the_images_nothing_else_is_needed() -> None:
    images = sets(dict.fromkeys(BUILDS, "registry.example.com/a"))
    assert by_both("template", "op", CHART, *images).returncode == 0


@pytest.mark.parametrize("watched", [[], ["research", "lab"]])
def test_the_notes_say_what_to_do_next(watched: list[str]) -> None:
    install = ("install", "op", CHART, "--namespace=system", "--dry-run=client", IMAGES)
    done = helm(*install, *sets({"watchNamespaces": watched}), program="helm4")  # Helm 3 asks a cluster even for this
    notes = done.stdout.partition("NOTES:\n")[2]
    assert f"kubectl -n system rollout status deployment/{OPERATOR}\n" in notes
    assert f"kubectl -n system logs deployment/{OPERATOR}\n" in notes
    where = " -n research" if watched else ""
    assert f"kubectl{where} get bertfinetunes --watch\n" in notes
    sample = re.search(rf"^kubectl{where} apply -f - <<'END'\n(.*?)^END\n", notes, re.MULTILINE | re.DOTALL)
    assert sample
    assert is_whole(sample[0])  # a shell that gets it as it is printed waits for no more
    raw = yaml.safe_load(sample[1])
    raw["metadata"] |= {"namespace": "a", "uid": "b"}
    assert BertFinetune.model_validate(raw).spec.task == "MRPC"
