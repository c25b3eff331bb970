from pathlib import Path

import pytest

from cluster import components, images, local
from cluster.layout import NODE_NAME
from demo.target import Target


def test_programs_started_beside_the_cluster_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "RUN", tmp_path)
    for name in ("kubelet", "kwok", "a-controller"):
        (tmp_path / f"{name}.pid").write_text("1 1\n")
    assert [component.name for component in local.started_beside()] == ["a-controller", "kwok"]


@pytest.mark.cluster
@pytest.mark.usefixtures("target")
def test_a_second_up_says_so_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = [c.pid_file.read_text() for c in components.all_components()]
    local.up()
    assert "cluster is already up" in capsys.readouterr().out
    assert [c.pid_file.read_text() for c in components.all_components()] == before


@pytest.mark.cluster
def test_pods_reach_the_api_server_by_name(target: Target, namespace: str) -> None:
    """DNS, the service network and the pod network at once: the path that the operator's pod takes."""
    server = "('kubernetes.default.svc.cluster.local', 443)"
    script = f"import socket; print(socket.create_connection({server}, 10).getpeername()[0])"
    image = images.DEVICE_PLUGIN_SIM  # the smallest one with a Python
    images.import_into_containerd(image)
    kubectl, pod = target.kubectl, f"--namespace={namespace}"
    kubectl.run(
        *(pod, "run", "probe", f"--image={image.reference()}", "--restart=Never"),
        *("--command", "--", "/opt/venv/bin/python", "-c", script),
    )
    ended = "jsonpath={.status.containerStatuses[0].state.terminated}"
    kubectl.run(pod, "wait", f"--for={ended}", "pod/probe", "--timeout=60s")
    assert kubectl.run(pod, "logs", "probe").stdout.strip() == "10.96.0.1"


@pytest.mark.cluster
def test_node_carries_the_labels_of_an_ascend_node(target: Target) -> None:
    labels = target.kubectl.get("node", NODE_NAME)["metadata"]["labels"]
    assert labels["accelerator"] == "huawei-Ascend910"
    assert labels["host-arch"] in ("huawei-x86", "huawei-arm")
