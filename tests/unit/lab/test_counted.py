"""A counted command: its log is whole, its exit code is kept, and only what counts moves the count."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.cluster.counted import run_counted
from lab.cluster.layout import PROJECT
from lab.images.buildah import MARKS, marks_expected

TEN = "for i in 1 2 3 4 5 6 7 8 9 10; do echo noise; echo STEP $i; done; echo a word to stderr >&2; exit 3"


def test_it_counts_the_marked_lines_and_logs_all(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "logs" / "ten.log"
    assert run_counted(["sh", "-c", TEN], log, re.compile("STEP "), 10, "steps done") == 3
    shown = capfd.readouterr().out.splitlines()
    assert shown[0] == "    1 of 10 steps done (10%)"
    assert shown[-1] == "    10 of 10 steps done (100%)"
    assert len(shown) == 10
    assert log.read_text().count("noise") == 10
    assert "a word to stderr" in log.read_text()


def test_a_build_counts_its_instructions_and_pinned_packages(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("# a comment\nFROM base\nRUN set -eu; \\\n    true\nUSER 1\n")
    pins = "numpy==1.21.6 \\\n    --hash=sha256:00\n    # via somebody\nprometheus-client==0.17.1 --hash=sha256:00\n"
    (tmp_path / "requirements.txt").write_text(pins)
    assert marks_expected(tmp_path) == 3 + 2


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("STEP 3/9: RUN true", True),
        ("Collecting numpy==1.21.6 (from -r /tmp/requirements.txt (line 7))", True),
        ("  Downloading numpy-1.21.6.whl", False),
        ("Installing collected packages: numpy", False),
    ],
)
def test_marks(line: str, counts: bool) -> None:
    assert bool(MARKS.match(line)) is counts


APT_GET = """#!/bin/sh
case "$*" in
*--simulate*) printf 'Reading package lists...\\nInst runc (1.1)\\nInst libc6 (2.36)\\nConf runc (1.1)\\n' ;;
*--download-only*) printf 'Get:1 runc\\nGet:2 libc6\\n' ;;
*install*) printf 'Unpacking runc (1.1) ...\\nUnpacking libc6 (2.36) ...\\nSetting up runc (1.1) ...\\n' ;;
esac
"""


def test_debian_packages_are_counted(tmp_path: Path) -> None:
    """`runc` brings another package with it."""
    for name, text in (("apt-get", APT_GET), ("dpkg-query", "#!/bin/sh\n"), ("id", "#!/bin/sh\necho 0\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    command = [PROJECT / "tests/lab/setup/apt-packages.sh", "runc"]
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "==> apt-get install runc",
        "    1 of 2 packages fetched (50%)",
        "    2 of 2 packages fetched (100%)",
        "    1 of 2 packages unpacked (50%)",
        "    2 of 2 packages unpacked (100%)",
    ]
