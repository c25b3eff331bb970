"""The chart's README is what helm-docs makes of its values and its template."""

import shutil
import subprocess
from pathlib import Path

from lab.cluster.layout import BIN
from support.helm import CHART


def test_the_readme_is_current(tmp_path: Path) -> None:
    copy = tmp_path / CHART.name
    shutil.copytree(CHART, copy)
    command = [BIN / "helm-docs", f"--chart-search-root={tmp_path}", "--sort-values-order=file", "--log-level=warning"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (copy / "README.md").read_text() == (CHART / "README.md").read_text(), "run make generate"
