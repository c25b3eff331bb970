"""A small benchmark on a real control plane, without a peer, which takes minutes to build."""

import json
import os
import subprocess
import sys

import pytest

from lab.cluster import local
from lab.cluster.layout import PROJECT

MOST_WRITES = 6
"""The Job, two or three phases and their events: so few objects are written one by one."""


def test_ten_objects_beside_the_floor() -> None:
    if local.is_up():
        pytest.fail("the cluster is up, and the benchmark needs its addresses: `make cluster-down` first")
    done = subprocess.run(
        [sys.executable, "-m", "lab.bench.operator", "--n=10", "--peer=no"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT / "tests")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["n"] == 10
    assert result["restart_writes"] == 0
    assert result["writes_per_object"] <= MOST_WRITES
    assert "patch bertfinetunes/status" in done.stdout
    assert not local.is_up()
