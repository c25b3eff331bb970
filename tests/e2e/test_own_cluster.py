"""``make demo KUBECONFIG=... IMAGE_REGISTRY=...``: a cluster that pulls from a registry, as other people's do."""

import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import images
from cluster.layout import BIN, KUBECONFIG
from cluster.processes import wait_until
from demo import target
from demo.target import Target

pytestmark = pytest.mark.cluster
ADDRESS = "127.0.0.1:5055"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A real registry on loopback."""
    config = tmp_path / "registry.yml"
    storage = f"storage: {{filesystem: {{rootdirectory: {tmp_path}/images}}}}"
    config.write_text(f"version: 0.1\nlog: {{level: warn}}\n{storage}\nhttp: {{addr: '{ADDRESS}'}}\n")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([BIN / "registry", "serve", config], stdout=log, stderr=log)
        try:
            assert wait_until(_answers, 20), (tmp_path / "log").read_text()
            yield f"{ADDRESS}/team"
        finally:
            process.terminate()
            process.wait(10)


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://{ADDRESS}/v2/") as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.usefixtures("target")
def test_a_confirmed_cluster_runs_what_was_pushed(registry: str, namespace: str) -> None:
    own: Target = target.choose(str(KUBECONFIG), registry, "bertfinetune-demo")
    image = own.deliver(images.DEVICE_PLUGIN_SIM)
    assert image.startswith(f"{registry}/ascend-device-plugin-sim:")
    done = own.kubectl.run(
        f"--namespace={namespace}",
        *("run", "pulled", f"--image={image}", "--restart=Never", "--attach", "--rm", "--quiet"),
        *("--command", "--", "/opt/venv/bin/python", "-c", "import ascend_device_plugin; print('pulled and run')"),
    )
    assert done.stdout.strip() == "pulled and run"
