"""A site without Internet: what operator/docs/air-gap.md says, command by command, with nothing but the archive."""

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from lab.cluster.layout import BIN, CONTAINERD_SOCKET, KUBECONFIG
from lab.demo import stack
from lab.demo.mrpc import SAMPLE
from lab.demo.target import Target
from lab.images import bundle, registry
from lab.images.shipped import Shipped, version
from pages.markdown import codes
from pages.shell import Shell
from support import runs as support

pytestmark = pytest.mark.timeout(1800)

NAMESPACE = "bert"
"""The one on the page."""
REGISTRY = f"{registry.ADDRESS}/bertfinetune"
PROGRAMS = ("bash", "tar", "gzip", "sha256sum", "skopeo", "ctr", "basename", "cat", "sed")
"""With helm and kubectl all that there is at the site."""


@pytest.fixture
def site(images: Sequence[Shipped], tmp_path: Path) -> Iterator[Shell]:
    """A terminal in a folder with the archive, which knows the site's cluster and its registry's certificate: none."""
    folder, programs, settings = (tmp_path / name for name in ("folder", "bin", "home/.config/containers"))
    for new in (folder, programs, settings):
        new.mkdir(parents=True)
    bundle.make(images, folder)
    for name in PROGRAMS:
        (programs / name).symlink_to(str(shutil.which(name)))
    for name in ("helm", "kubectl"):
        (programs / name).symlink_to(BIN / name)
    (settings / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry.ADDRESS}"\ninsecure = true\n')
    (settings / "policy.json").write_text(json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    environment = {
        "PATH": str(programs),
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path),
        "KUBECONFIG": str(KUBECONFIG),
        "CONTAINERD_ADDRESS": str(CONTAINERD_SOCKET),
    }
    with registry.serving(tmp_path), Shell(folder, environment) as shell:
        yield shell
    shutil.rmtree(folder)
    shutil.rmtree(tmp_path / "images")


@pytest.fixture
def bare(target: Target) -> Iterator[Target]:
    """The cluster without our operator and without images of this version; afterwards it is as it was."""
    helm = [BIN / "helm", f"--kubeconfig={KUBECONFIG}", f"--namespace={stack.SYSTEM_NAMESPACE}"]
    uninstall = [*helm, "uninstall", stack.RELEASE, "--wait"]
    was_installed = subprocess.run(uninstall, check=False, capture_output=True).returncode == 0
    forget_images()
    try:
        yield target
    finally:
        subprocess.run(uninstall, check=False, capture_output=True)
        if was_installed:
            stack.install(target)
        target.kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
        forget_images()


def ctr(*arguments: str) -> str:
    argv = ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images", *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def ours() -> list[str]:
    """Our images that containerd has, under the names of this page."""
    return [name for name in ctr("ls", "-q").split() if re.match(rf"({REGISTRY}|docker.io/bertfinetune)/", name)]


def forget_images() -> None:
    if found := ours():
        ctr("rm", *found)


def test_the_page_leads_from_the_archive_to_a_result(site: Shell, bare: Target) -> None:
    support.prepare(bare, NAMESPACE, {"bert-weights": support.ensure_weights(), "mrpc-data": SAMPLE})
    for command in commands_at_the_site("console", "console ctr"):
        done = site.run(command.replace("registry.example.com/bertfinetune", REGISTRY), seconds=900)
        assert done.status == 0, f"{command}\n{done.output}"
        if command.startswith("sha256sum"):
            assert done.output == ""
        elif "ctr " in command:
            names = ("operator", "trainer-cpu")
            assert sorted(ours()) == [f"docker.io/bertfinetune/{name}:{version()}" for name in names]
            forget_images()

    status = support.get(bare, NAMESPACE, "mrpc")["status"]
    assert (status["phase"], status["result"]["backend"]) == ("Succeeded", "cpu")
    for namespace, image in ((stack.SYSTEM_NAMESPACE, "operator"), (NAMESPACE, "trainer-cpu")):
        assert f'Successfully pulled image "{REGISTRY}/{image}:{version()}"' in pulls(bare, namespace)


def test_the_way_with_docker_ends_in_the_registry_too(
    images: Sequence[Shipped], docker: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    archive = next(image.archive for image in images if image.archive.name == "operator.tar.gz")  # one shows the way
    with (tmp_path / "images/operator.tar").open("wb") as file:
        subprocess.run(["gzip", "--decompress", "--stdout", archive], check=True, stdout=file)
    (command,) = commands_at_the_site("console docker")
    with registry.serving(tmp_path), Shell(tmp_path, {**docker, "REGISTRY": REGISTRY, "VERSION": version()}) as shell:
        done = shell.run(command)
        assert done.status == 0, done.output
        inspect = ["skopeo", "inspect", "--tls-verify=false", f"docker://{REGISTRY}/operator:{version()}"]
        found = json.loads(subprocess.run(inspect, check=True, capture_output=True, text=True).stdout)
    assert found["Labels"]["org.opencontainers.image.version"] == version()


def commands_at_the_site(*infos: str) -> Iterator[str]:
    """Those that follow the unpacking, in blocks of these kinds."""
    page = codes("operator/docs/air-gap.md")
    for code in itertools.dropwhile(lambda code: not code.text.startswith("$ tar "), page):
        if code.info in infos:
            yield from re.split(r"^\$ ", code.text, flags=re.MULTILINE)[1:]


def pulls(target: Target, namespace: str) -> str:
    found = target.kubectl.get("events", "--field-selector=reason=Pulled", f"--namespace={namespace}")["items"]
    return "\n".join(event["message"] for event in found)
