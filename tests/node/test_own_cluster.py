"""``make demo KUBECONFIG=... IMAGE_REGISTRY=...``: a cluster that pulls from a registry, as other people's do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cluster.layout import KUBECONFIG
from lab.demo import target
from lab.demo.target import Target
from lab.images import images, registry


@pytest.fixture
def team(tmp_path: Path) -> Iterator[str]:
    """A place in a registry."""
    with registry.serving(tmp_path) as address:
        yield f"{address}/team"


@pytest.mark.usefixtures("target")
def test_a_confirmed_cluster_runs_what_was_pushed(team: str, namespace: str) -> None:
    own: Target = target.choose(str(KUBECONFIG), team, "bertfinetune-demo")
    image = own.deliver(images.DEVICE_PLUGIN_SIM)
    assert image.startswith(f"{team}/ascend-device-plugin-sim:")
    done = own.kubectl.run(
        f"--namespace={namespace}",
        *("run", "pulled", f"--image={image}", "--restart=Never", "--attach", "--rm", "--quiet"),
        *("--command", "--", "/opt/venv/bin/python", "-c", "import ascend_device_plugin; print('pulled and run')"),
    )
    assert done.stdout.strip() == "pulled and run"
