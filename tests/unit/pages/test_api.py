"""The page of the API's fields is current, and the samples that give its examples set every field."""

from typing import Any

import pytest
import yaml

from bertfinetune_generators.api_table import leaves, page, values
from bertfinetune_generators.crd import build_crd
from lab.cluster.layout import PROJECT

SAMPLES = sorted((PROJECT / "crds/samples").iterdir())
MANIFESTS = {path.name: yaml.safe_load(path.read_text()) for path in SAMPLES}
SPEC = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]


def test_the_page_is_current() -> None:
    assert (PROJECT / "operator/docs/api.md").read_text() == page(MANIFESTS), "run make generate"


@pytest.mark.parametrize("path", list(leaves("spec", SPEC)))
def test_a_sample_sets(path: str) -> None:
    assert any(True for manifest in MANIFESTS.values() for _ in values(manifest, path))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.b", [1]),
        ("a", [{"b": 1}]),
        ("l[].b", [1, 2]),
        ("l", [[{"b": 1}, {"b": 2}, {"c": 3}]]),
        ("l[].c", [3]),
        ("a.c", []),
        ("x[].b", []),
    ],
)
def test_what_a_manifest_sets(path: str, found: list[Any]) -> None:
    assert list(values({"a": {"b": 1}, "l": [{"b": 1}, {"b": 2}, {"c": 3}]}, path)) == found
