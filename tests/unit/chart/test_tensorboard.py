"""The TensorBoards of the chart: one for each claim, in the image and on the nodes that the values say."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from bertfinetune_operator import contract
from support.helm import CHART, OPERATOR, Raw, render


def tensorboard(claim: str) -> tuple[str, Raw, Raw]:
    """The name, Deployment and Service for a claim in the operator's own namespace."""
    objects, without = render(**{"monitoring.tensorboards": [{"namespace": "system", "claimName": claim}]}), render()
    added = {key[0]: raw for key, raw in objects.items() if key not in without}
    assert added.keys() == {"Deployment", "NetworkPolicy", "Service"}
    (name,) = {raw["metadata"]["name"] for raw in added.values()}
    return name, added["Deployment"], added["Service"]


def test_a_tensorboard_reads_the_claim_as_the_user_who_wrote_it() -> None:
    name, deployment, service = tensorboard("runs")
    assert name == "tensorboard-runs"
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert {"name": "output", "persistentVolumeClaim": {"claimName": "runs"}} in pod["volumes"]
    assert mounts[contract.OUTPUT_PATH] == {"name": "output", "mountPath": contract.OUTPUT_PATH, "readOnly": True}
    assert f"--logdir={contract.OUTPUT_PATH}" in container["args"]
    job = yaml.safe_load((CHART.parents[1] / "tests/unit/operator/golden/job/minimal.yaml").read_text())
    trainer = job["spec"]["template"]["spec"]["securityContext"]
    assert pod["securityContext"].items() <= trainer.items()
    assert service["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]


@pytest.mark.parametrize("has_ipv6", [True, False])
def test_a_tensorboard_listens_to_ipv6_where_there_is_any(tmp_path: Path, has_ipv6: bool) -> None:
    (container,) = tensorboard("runs")[1]["spec"]["template"]["spec"]["containers"]
    shell, option, script, *more = [*container["command"], *container["args"]]
    addresses = tmp_path / "if_inet6"
    if has_ipv6:
        addresses.touch()
    said = script.replace("/proc/net/if_inet6", str(addresses)).replace("exec", "echo")
    done = subprocess.run([shell, option, said, *more], capture_output=True, text=True, check=True)
    expected = "python3.7 -m tensorboard.main --logdir=/output --port=6006 --reload_interval=30"
    assert done.stdout.strip() == expected + ("" if has_ipv6 else " --host=0.0.0.0")


def test_a_tensorboard_gets_its_image_where_and_as_the_cpu_trainers_do() -> None:
    values: Raw = {
        "monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}],
        "trainer.images.cpu": "r/cpu:1",
        "trainer.imagePullSecrets": ["registry"],
        "trainer.nodeSelector.cpu": {"kubernetes.io/arch": "amd64"},
    }
    objects = render(**values)
    pod = objects["Deployment", "system", "tensorboard-runs"]["spec"]["template"]["spec"]
    assert [container["image"] for container in pod["containers"]] == ["r/cpu:1"]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert not {"imagePullSecrets", "nodeSelector"} & tensorboard("runs")[1]["spec"]["template"]["spec"].keys()


def test_nobody_takes_a_tensorboard_for_an_operator_or_for_a_trainer() -> None:
    _, deployment, service = tensorboard("runs")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    objects = render(**{"monitoring.podMonitor.enabled": True})
    for selector in (
        objects["Service", "system", f"{OPERATOR}-metrics"]["spec"]["selector"],
        objects["Deployment", "system", OPERATOR]["spec"]["selector"]["matchLabels"],
        objects["PodDisruptionBudget", "system", OPERATOR]["spec"]["selector"]["matchLabels"],
        objects["PodMonitor", "system", f"{OPERATOR}-trainers"]["spec"]["selector"]["matchLabels"],
        tensorboard("other")[2]["spec"]["selector"],
    ):
        assert not selector.items() <= labels.items()
    for selector in (service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= labels.items()


@pytest.mark.parametrize("claim", ["c" * 253, "ab." * 20 + "z", "a.b"])
def test_the_name_of_a_tensorboard_is_a_dns_label(claim: str) -> None:
    assert re.fullmatch("[a-z]([-a-z0-9]{0,61}[a-z0-9])", tensorboard(claim)[0])


CLAIMS: list[Raw] = [
    *({"claimName": name} for name in ("b-c", "b.c", "c" * 51, "c" * 52, "c" * 253)),
    *({"claimName": name, "subPath": folder} for name in ("b-c", "b.c") for folder in ("nlp", "vision/a")),
]


def test_no_two_of_a_namespace_have_one_name_and_plain_ones_keep_theirs() -> None:
    objects = render(**{"monitoring.tensorboards": [{"namespace": "nlp"} | claim for claim in CLAIMS]})
    of = {}
    for (kind, namespace, name), raw in objects.items():
        if (kind, namespace) == ("Deployment", "nlp"):
            pod = raw["spec"]["template"]["spec"]
            mount = pod["containers"][0]["volumeMounts"][0]
            claim = {"claimName": pod["volumes"][0]["persistentVolumeClaim"]["claimName"]}
            of[name] = claim | ({"subPath": mount["subPath"]} if "subPath" in mount else {})
    assert sorted(of.values(), key=str) == sorted(CLAIMS, key=str)
    assert all(re.fullmatch("[a-z][-a-z0-9]{0,62}", name) for name in of)
    assert (of["tensorboard-b-c"], of[f"tensorboard-{'c' * 51}"]) == (CLAIMS[0], CLAIMS[2])


def test_a_tensorboard_has_an_image_resources_and_nodes_of_its_own() -> None:
    own: Raw = {
        "tensorboard.image": "r/board:1",
        "tensorboard.resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        "tensorboard.tolerations": [{"operator": "Exists"}],
        "trainer.imagePullPolicy": "Always",
    }
    boards = {"monitoring.tensorboards": [{"namespace": "system", "claimName": "runs"}]}
    pod = render(**own, **boards)["Deployment", "system", "tensorboard-runs"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("r/board:1", "Always")
    assert container["resources"] == {"requests": {"cpu": "50m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert "tolerations" not in tensorboard("runs")[1]["spec"]["template"]["spec"]
