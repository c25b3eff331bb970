"""arm64 is the usual host of Ascend 910: which requirement has no wheel for it."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.cluster.layout import PROJECT

WITHOUT_A_WHEEL = {"tensorflow==1.15.0", "numpy==1.18.5", "gast==0.2.2"}
"""Of requirements-tensorflow.txt, which an Ascend base makes unnecessary."""
PAGE = PROJECT / "operator/docs/air-gap.md"


def download(python: str, folder: Path, *requirements: str) -> subprocess.CompletedProcess[str]:
    """Have pip fetch what a CPython of that version on aarch64 would take, wheels only."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--only-binary=:all:", "--platform=manylinux2014_aarch64", "--platform=manylinux_2_17_aarch64"),
            *(f"--python-version={python}", f"--dest={folder}", *requirements),
        ],
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("python", "file"), [("3.11", "operator/requirements.txt"), ("3.7", "trainer_image/requirements.txt")]
)
def test_all_that_is_installed_on_arm64_has_a_wheel_with_a_pinned_hash(python: str, file: str, tmp_path: Path) -> None:
    done = download(python, tmp_path, "--require-hashes", f"--requirement={PROJECT / file}")
    assert done.returncode == 0, done.stderr


def test_the_page_names_all_that_has_none(tmp_path: Path) -> None:
    lines = (PROJECT / "trainer_image/requirements-tensorflow.txt").read_text().splitlines()
    pinned = {line.split()[0] for line in lines if line[:1].isalnum()}
    assert pinned > WITHOUT_A_WHEEL
    done = download("3.7", tmp_path, *(pinned - WITHOUT_A_WHEEL))
    assert done.returncode == 0, done.stderr
    for requirement in sorted(WITHOUT_A_WHEEL):
        done = download("3.7", tmp_path, requirement)
        assert f"No matching distribution found for {requirement}" in done.stderr
        assert requirement in PAGE.read_text()
