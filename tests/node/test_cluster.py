import pytest

from lab.cluster import components, local
from lab.cluster.layout import NODE_NAME
from lab.demo.target import Target
from lab.images import images


@pytest.mark.usefixtures("target")
def test_a_second_up_says_so_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = [c.pid_file.read_text() for c in components.all_components()]
    local.up()
    assert "cluster is already up" in capsys.readouterr().out
    assert [c.pid_file.read_text() for c in components.all_components()] == before


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


def test_node_carries_the_labels_of_an_ascend_node(target: Target) -> None:
    labels = target.kubectl.get("node", NODE_NAME)["metadata"]["labels"]
    assert labels["accelerator"] == "huawei-Ascend910"
    assert labels["host-arch"] in ("huawei-x86", "huawei-arm")
