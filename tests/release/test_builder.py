import dataclasses
import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.cluster.errors import ClusterError
from lab.cluster.layout import PROJECT
from lab.images import baseimages, buildah, builder
from lab.images.builder import Buildah, Docker
from lab.images.images import OPERATOR
from pages.commands import all_commands
from pages.shell import Shell


@pytest.mark.parametrize(
    ("working", "expected"),
    [({"buildah", "docker"}, Buildah), ({"buildah"}, Buildah), ({"docker"}, Docker)],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else value.__name__,
)
def test_whichever_is_there_builds(working: set[str], expected: type) -> None:
    assert isinstance(builder.choose(lambda program, *_: program in working), expected)


def test_neither_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ClusterError, match="neither buildah nor a running Docker was found: apt-get install buildah"):
        builder.choose(lambda *_: False)


def test_docker_without_its_daemon_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "docker"
    client.write_text('#!/bin/sh\necho "Client: 28"; [ "$1" != info ]\n')
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert builder.works("docker", "version")
    with pytest.raises(ClusterError, match="neither buildah nor a running Docker"):
        builder.choose()
    (tmp_path / "buildah").symlink_to(client)
    assert isinstance(builder.choose(), Buildah)


def test_a_real_docker_builds_and_saves(
    docker: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in docker.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "Dockerfile").write_text(
        'FROM scratch\nCOPY Dockerfile /\nARG BASE_IMAGE=own\nARG OTHER\nLABEL base="${BASE_IMAGE}" other="${OTHER}"\n'
    )
    image = dataclasses.replace(OPERATOR, context=tmp_path)
    archive = tmp_path / "image.tar"
    assert builder.works("docker", "info")
    Docker().build(image, "bertfinetune/operator:1", {"OTHER": "given"}, {"version": "1"})
    Docker().save("bertfinetune/operator:1", archive)
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "image", filter="data")
    (manifest,) = json.loads((tmp_path / "image/manifest.json").read_text())
    config = json.loads((tmp_path / "image" / manifest["Config"]).read_text())["config"]
    assert manifest["RepoTags"] == ["bertfinetune/operator:1"]
    assert config["Labels"] == {"base": "own", "other": "given", "version": "1"}

    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    with pytest.raises(ClusterError, match=r"docker build failed \(exit 1\)"):
        Docker().build(image, "bertfinetune/operator:2", {}, {})


@pytest.mark.timeout(900)  # it installs TensorFlow and compiles the kernels
def test_a_real_docker_builds_the_trainer_as_its_page_says(docker: Mapping[str, str], tmp_path: Path) -> None:
    (command,) = {c.text for c in all_commands() if c.text.startswith("docker build trainer_image/")}
    load_base(docker, tmp_path)
    # The tests' Docker has no bridge: what a build downloads comes over the machine's own network.
    client = tmp_path / "bin/docker"
    client.parent.mkdir()
    client.write_text(
        f'#!/bin/sh\n[ "$1" != build ] || set -- "$@" --network=host --iidfile={tmp_path}/id\n'
        f'exec {shutil.which("docker", path=docker["PATH"])} "$@"\n'
    )
    client.chmod(0o755)
    with Shell(PROJECT, {**docker, "PATH": f"{client.parent}:{docker['PATH']}"}) as shell:
        built = shell.run(command, seconds=800)
        assert built.status == 0, built.output
        shown = shell.run(f"docker run --rm --network=none $(cat {tmp_path}/id) --help")
    assert shown.status == 0, shown.output
    assert "--precision_mode" in shown.output


def load_base(docker: Mapping[str, str], folder: Path) -> None:
    """Give Docker the base that the Dockerfile names, from this machine, with what pip needs of this machine."""
    (name,) = re.findall(r"^ARG BASE_IMAGE=(.+)$", (PROJECT / "trainer_image/Dockerfile").read_text(), re.MULTILINE)
    archive, context = folder / "base.tar", folder / "base"
    buildah.save(baseimages.python37(), archive, name)
    context.mkdir()
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    shutil.copy(bundle, context)
    (context / "Dockerfile").write_text(f"FROM {name}\nCOPY {bundle.name} {bundle}\nENV PIP_CERT={bundle}\n")
    for argv in (["load", f"--input={archive}"], ["build", f"--tag={name}", context]):
        subprocess.run(["docker", *argv], check=True, capture_output=True, env=dict(docker))
