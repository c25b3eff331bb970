import dataclasses
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from cluster.errors import ClusterError
from cluster.images import OPERATOR
from release import builder
from release.builder import Buildah, Docker


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


@pytest.mark.cluster  # no cluster, but Docker's daemon, which needs root
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
