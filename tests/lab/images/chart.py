"""The chart's package: the same bytes for one commit, whoever makes it and when."""

import os
import subprocess
from pathlib import Path

from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN, PROJECT
from lab.images.shipped import CHART, version


def package(folder: Path) -> Path:
    """Write ``bertfinetune-operator-<version>.tgz`` into the folder; its files have the commit's date, or none."""
    # Helm 3 dates them by the clock
    argv = [BIN / "helm4", "package", CHART, f"--destination={folder}"]
    committed = subprocess.run(
        ["git", "-C", PROJECT, "log", "-1", "--format=%ct"], check=False, capture_output=True, text=True
    )
    environ = {"SOURCE_DATE_EPOCH": committed.stdout.strip() or "0"} | os.environ
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=environ)
    if done.returncode:
        raise ClusterError(f"helm package: {done.stderr.strip()}")
    return folder / f"{CHART.name}-{version()}.tgz"
