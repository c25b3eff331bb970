from pathlib import Path

import pytest

from lab.images import shipped
from lab.images.images import OPERATOR, TRAINER, Image
from lab.images.shipped import TRAINER_ASCEND910, Shipped

ARM_BASE = "hub/ascend-tensorflow-arm:20.2.0"


@pytest.mark.parametrize(
    ("ascend_base", "machine", "expected"),
    [
        (None, "x86_64", {OPERATOR: {}, TRAINER: {}}),
        (None, "aarch64", {OPERATOR: {}}),
        (ARM_BASE, "aarch64", {OPERATOR: {}, TRAINER_ASCEND910: {"BASE_IMAGE": ARM_BASE}}),
        (ARM_BASE, "x86_64", {OPERATOR: {}, TRAINER: {}, TRAINER_ASCEND910: {"BASE_IMAGE": ARM_BASE}}),
    ],
)
def test_what_can_be_built_where(ascend_base: str | None, machine: str, expected: dict[Image, dict[str, str]]) -> None:
    assert shipped.chosen(ascend_base, machine) == expected


@pytest.mark.parametrize("image", [OPERATOR, TRAINER], ids=lambda image: image.name)
def test_only_what_decides_the_tag_goes_into_the_image(image: Image) -> None:
    lines = (image.context / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line[1:] for line in lines if line.startswith("!")} == set(image.sources) - {"Dockerfile"}
    assert lines[-1] == "**/__pycache__"


def test_the_table_shows_what_was_made(tmp_path: Path) -> None:
    archive, sbom = tmp_path / "operator.tar.gz", tmp_path / "operator.spdx.json"
    archive.write_bytes(bytes(1_600_000))
    table = shipped.table([Shipped("bertfinetune/operator:0.2.0", archive, sbom)])
    assert [line.split() for line in table.splitlines()] == [
        ["IMAGE", "SIZE", "ARCHIVE", "SBOM"],
        ["bertfinetune/operator:0.2.0", "2", "MB", str(archive), str(sbom)],
    ]
