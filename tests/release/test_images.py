"""The images themselves, by buildah."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lab.cluster.errors import ClusterError
from lab.cluster.layout import PROJECT
from lab.images import baseimages
from lab.images.buildah import bud, buildah, image_id
from lab.images.builder import Buildah
from lab.images.images import OPERATOR, TRAINER, Image, base_image, build
from lab.images.shipped import Shipped, ship, version

pytestmark = pytest.mark.timeout(900)
BOTH = pytest.mark.parametrize("image", [OPERATOR, TRAINER], ids=lambda image: image.name)
PINNED = {
    OPERATOR: ("3.11", ["operator/requirements.txt"]),
    TRAINER: (
        "3.7",
        [
            "trainer_image/requirements-pip.txt",
            "trainer_image/requirements.txt",
            "trainer_image/requirements-tensorflow.txt",
        ],
    ),
}


def find(images: Sequence[Shipped], image: Image) -> Shipped:
    return next(one for one in images if one.reference == f"bertfinetune/{image.name}:{version()}")


def config(image: Shipped) -> dict[str, Any]:
    return json.loads(buildah("inspect", "--type=image", f"localhost/{image.reference}"))["OCIv1"]["config"]


def test_the_operator_is_small(images: Sequence[Shipped]) -> None:
    assert find(images, OPERATOR).archive.stat().st_size < 150e6


@BOTH
def test_every_pinned_requirement_is_in_the_sbom(images: Sequence[Shipped], image: Image) -> None:
    listed = json.loads(find(images, image).sbom.read_text())["packages"]
    found = {(canonicalize_name(package["name"]), package.get("versionInfo")) for package in listed}
    python, files = PINNED[image]
    lines = "\n".join((PROJECT / file).read_text() for file in files)
    pinned = [Requirement(line) for line in re.findall(r"^(\w[^\\]*?) \\$", lines, re.MULTILINE)]
    assert len(pinned) > 20
    environment = {"python_version": python, "python_full_version": f"{python}.1"}
    wanted = {
        (canonicalize_name(one.name), str(one.specifier).removeprefix("=="))
        for one in pinned
        if not one.marker or one.marker.evaluate(environment)
    }
    assert wanted - found == set()


@BOTH
def test_it_says_what_it_is_and_runs_as_nobody(images: Sequence[Shipped], image: Image) -> None:
    found = config(find(images, image))
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in found["Labels"].items()}
    assert labels["version"] == version()
    assert re.fullmatch("[0-9a-f]{40}(-dirty)?|unknown", labels["revision"])
    assert labels["licenses"] == "Apache-2.0"
    assert labels["base.name"] == base_image(image)["BASE_IMAGE"]
    assert labels["title"]
    assert labels["description"]
    assert found["User"] == "65532:65532"


def test_the_trainer_begins_in_a_folder_of_any_base_that_everybody_may_enter(images: Sequence[Shipped]) -> None:
    assert config(find(images, TRAINER))["WorkingDir"] == "/"


def test_the_same_image_is_packed_into_the_same_archive(images: Sequence[Shipped], tmp_path: Path) -> None:
    first = find(images, OPERATOR)
    (second,) = ship({OPERATOR: {}}, Buildah(), tmp_path)
    assert second.archive.read_bytes() == first.archive.read_bytes()
    sboms = [json.loads(one.sbom.read_text()) for one in (first, second)]
    for sbom in sboms:  # SPDX wants these two unique
        del sbom["creationInfo"]["created"], sbom["documentNamespace"]
    assert sboms[0] == sboms[1]


@BOTH
def test_another_checkout_at_another_time_makes_the_same_image(image: Image, tmp_path: Path) -> None:
    build(image)
    again = "localhost/test/again"
    for source in ("Dockerfile", ".dockerignore", *image.sources):
        copy(image.context / source, tmp_path / "context" / source)
    bud(tmp_path / "context", again, base_image(image), tmp_path / "log", cache=False)
    try:
        assert image_id(again) == image_id(image.reference())
    finally:
        buildah("rmi", "--force", again)


def copy(path: Path, to: Path) -> None:
    """As somebody checks it out whose umask lets nobody else read."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        shutil.copytree(path, to, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copyfile)
    else:
        shutil.copyfile(path, to)
    for file in [to, *to.rglob("*")]:
        if not file.name.startswith("requirements"):  # the trainer's lie in a layer as they are
            file.chmod(0o700 if file.is_dir() else 0o600)


def test_a_base_without_tensorflow_is_refused_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        'ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nRUN printf "#!/bin/sh\\necho aarch64\\n" >/usr/local/bin/uname'
        " && chmod +x /usr/local/bin/uname\n"
    )
    arm = "localhost/test/arm"
    bud(tmp_path, arm, {"BASE_IMAGE": baseimages.python37()}, tmp_path / "log")
    try:
        with pytest.raises(ClusterError, match="on aarch64 give Ascend Hub's ascend-tensorflow-arm"):
            bud(TRAINER.context, "localhost/test/refused", {"BASE_IMAGE": arm}, tmp_path / "log")
    finally:
        buildah("rmi", "--force", arm)
