"""The chart's README is what helm-docs makes of its values and its template."""

import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from lab.cluster.layout import BIN, PROJECT
from support.helm import CHART, Raw, conventions, helm

PODMONITORS = PROJECT / ".build/crds/monitoring.coreos.com_podmonitors.yaml"


def test_the_readme_is_current(tmp_path: Path) -> None:
    copy = tmp_path / CHART.name
    shutil.copytree(CHART, copy)
    command = [BIN / "helm-docs", f"--chart-search-root={tmp_path}", "--sort-values-order=file", "--log-level=warning"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (copy / "README.md").read_text() == (CHART / "README.md").read_text(), "run make generate"


def paths(values: Raw, above: str = ".") -> Iterator[str]:
    for name, value in values.items():
        yield above + name
        if isinstance(value, dict):
            yield from paths(value, f"{above}{name}.")


def made_by_helm(folder: Path) -> Raw:
    assert helm("create", folder / "made").returncode == 0
    return yaml.safe_load((folder / "made/values.yaml").read_text())


def kueue(folder: Path) -> Raw:
    with tarfile.open(BIN / "kueue-chart.tgz") as tar:
        tar.extractall(folder, filter="data")
    return yaml.safe_load((folder / "kueue/values.yaml").read_text())


@pytest.mark.parametrize(("letters", "values_of"), [("H", made_by_helm), ("KQ", kueue)])
def test_values_are_called_as_in_the_charts_that_are_at_hand(
    tmp_path: Path, letters: str, values_of: Callable[[Path], Raw]
) -> None:
    theirs = [*paths(values_of(tmp_path))]
    missing = [name for name in conventions()[letters] if not any(path.endswith(f".{name}") for path in theirs)]
    assert missing == []


def test_values_are_called_as_in_a_podmonitor() -> None:
    (version,) = yaml.safe_load(PODMONITORS.read_text())["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    fields = spec["podMetricsEndpoints"]["items"]["properties"].keys()
    assert {name.rpartition(".")[2] for name in conventions()["PM"]} <= fields
