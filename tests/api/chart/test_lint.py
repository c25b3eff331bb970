"""What Helm 3, Helm 4, helm-unittest and kube-score say of the chart, with each of ci/*-values.yaml."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.cluster.layout import BIN
from support.helm import CHART, VALUES, Raw, by_both

ACCEPTED = yaml.safe_load(Path(__file__).with_name("kube_score.yaml").read_text())
WHOLLY = 10
"""kube-score's grade for what it has nothing to say against."""


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_both_lint_it(values: Path) -> None:
    done = by_both("lint", "--strict", CHART, f"--values={values}")
    assert done.returncode == 0, done.stdout


def test_its_own_unit_tests_pass() -> None:
    done = subprocess.run([BIN / "helm-unittest", "--strict", CHART], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def untouched(values: Raw, defaults: Raw, above: str = "") -> Iterator[str]:
    """The values that a file leaves at their defaults. A security context is one value: parts of it have no other."""
    for key, default in defaults.items():
        if isinstance(default, dict) and default and key != "podSecurityContext":
            yield from untouched(values.get(key, {}), default, f"{above}{key}.")
        elif values.get(key, default) == default:
            yield f"{above}{key}"


def test_each_value_is_changed_by_one_of_them() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set.intersection(*(set(untouched(yaml.safe_load(path.read_text()), defaults)) for path in VALUES)) == set()


def test_kube_score_finds_nothing_but_what_has_a_reason() -> None:
    found: set[tuple[str, str]] = set()
    for values in VALUES:
        named = "--set=fullnameOverride=op"
        rendered = by_both("template", "op", CHART, "--namespace=system", f"--values={values}", named)
        assert rendered.returncode == 0, rendered.stderr
        found |= set(findings(rendered.stdout))
    assert found == {(name, check) for name, reasons in ACCEPTED.items() for check in reasons}


def findings(manifests: str) -> Iterator[tuple[str, str]]:
    """The objects, and the checks that they do not wholly pass, for the oldest Kubernetes that the chart is for."""
    argv = [BIN / "kube-score", "score", "--kubernetes-version=v1.31", "--output-format=json", "-"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, input=manifests)
    for scored in json.loads(done.stdout):
        name = f"{scored['type_meta']['kind']}/{scored['object_meta']['name']}"
        for check in scored["checks"]:
            if check["grade"] < WHOLLY and not check["skipped"]:
                yield name, check["check"]["id"]
