from pathlib import Path

import pytest
import yaml

from cluster.images import OPERATOR, TRAINER, Image
from release import shipped
from release.shipped import CHART, TRAINER_ASCEND910, Shipped

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


def test_they_are_called_what_the_chart_asks_for() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    version = shipped.version()
    assert values["image"] | {"tag": ""} == values["image"]  # no tag: the chart's appVersion
    asked = [f"{values['image']['repository']}:{version}", *values["trainer"]["images"].values()]
    named = [f"bertfinetune/{image.name}:{version}" for image in shipped.chosen(ARM_BASE, "x86_64")]
    assert sorted(asked) == sorted(named)


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
