"""The table of what the node's tests change in crds/samples: each file is in it, and it changes what it may only."""

import copy
import re

import pytest

from node.samples import CHANGED, CHANGES, CHECKSUM, FOLDER, SAMPLES, STORE, changed, needs_the_whole_node

VALUES = {STORE: "http://store", FOLDER: "a-folder"} | {
    spec[role]["source"]["uri"]["url"]: "checksum"
    for spec in (raw["spec"] for raw in SAMPLES.values())
    for role in ("model", "data")
    if "uri" in spec[role]["source"]
}


def test_each_sample_has_its_line() -> None:
    assert CHANGES.keys() == SAMPLES.keys()


@pytest.mark.parametrize("name", SAMPLES)
def test_only_what_is_the_sites_own_is_changed(name: str) -> None:
    assert [path for path in CHANGES[name] if not re.fullmatch(CHANGED, path)] == []
    raw, shipped = changed(name, VALUES), copy.deepcopy(SAMPLES[name])
    for path, value in CHANGES[name].items():
        *parents, last = path.split(".")
        place, original = raw["spec"], shipped["spec"]
        for parent in parents:
            place, original = place[parent], original[parent]
        expected = "checksum" if value is CHECKSUM else VALUES[value] if value in (STORE, FOLDER) else value
        assert place.pop(last, None) == expected
        del original[last]
    assert raw == shipped


def test_a_new_file_must_get_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SAMPLES, "new.yaml", {"spec": {}})
    with pytest.raises(AssertionError, match=r"crds/samples/new.yaml is new: give it a line"):
        changed("new.yaml")


@pytest.mark.parametrize(
    ("spec", "whole"),
    [
        ({}, False),
        ({"accelerator": {"type": "CPU"}}, False),
        ({"accelerator": {"type": "Ascend910", "devicesPerWorker": 4}}, False),
        ({"accelerator": {"type": "Ascend910", "devicesPerWorker": 8}}, True),
        ({"accelerator": {"type": "Ascend910", "virtualDevice": "2c"}}, True),
    ],
)
def test_what_needs_the_whole_node(spec: dict, whole: bool) -> None:
    assert needs_the_whole_node(spec) == whole
