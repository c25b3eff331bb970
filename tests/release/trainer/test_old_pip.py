"""The image's packages install where the base has the pip of CPython 3.7.5, as Ascend Hub's image of CANN 20.2 has."""

import os
import subprocess
import sys
from pathlib import Path

from support.trainer.places import PROJECT

IMAGE = PROJECT / "trainer_image"


def installation(folder: Path) -> str:
    """Returns the Dockerfile's own installation, with what it copies into /tmp taken from `folder`."""
    lines = (IMAGE / "Dockerfile").read_text().splitlines()
    start = lines.index("RUN set -eu; \\") + 1
    end = next(number for number in range(start, len(lines)) if not lines[number].endswith("\\"))
    return "set -eu\n" + "\n".join(lines[start : end + 1]).replace("/tmp/", f"{folder}/")


def test_the_packages_install_from_the_pip_of_an_old_base(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python3.7"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    if not python.exists():
        python.symlink_to("python")
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "pip==19.2.3"], check=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("python3.7/site-packages")
    (packages / "tensorflow.py").touch()  # a simulation of the base's own TensorFlow, which stays
    for name in ("requirements-pip.txt", "requirements.txt", "requirements-tensorflow.txt"):
        (tmp_path / name).write_text((IMAGE / name).read_text())
    done = subprocess.run(
        ["sh", "-c", installation(tmp_path)],
        check=False,
        env={**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    check = "import aiohttp, prometheus_client, s3fs, tokenizers"
    subprocess.run([str(python), "-c", check], check=True)
