"""Base images where none can be pulled: Debian by debootstrap, and on it this machine's CPython 3.7.

They stand in for ``python:3.11-slim`` and ``python:3.7-slim``, the defaults of the Dockerfiles.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.cluster.counted import run_counted
from lab.cluster.errors import ClusterError
from lab.cluster.layout import CACHE, PROJECT
from lab.images.buildah import POLICY, buildah, image_exists

SUITE = "bookworm"
# Debian's Python with venv, and the shared libraries that a CPython 3.7 of pyenv or of uv is linked with.
PACKAGES = (
    "ca-certificates,python3,python3-venv,"
    "libssl3,libffi8,libsqlite3-0,libreadline8,libuuid1,zlib1g,libbz2-1.0,liblzma5,libexpat1"
)
# Parts of a CPython prefix that no program needs at run time.
UNNEEDED = ("__pycache__", "test", "tests", "idlelib", "lib2to3", "turtledemo", "*.a", "share", "include")


def debian() -> str:
    """Name of the Debian base image; made first where it does not exist (about a minute)."""
    reference = f"localhost/base/debian:{SUITE}-{_short_hash(PACKAGES)}"
    if not image_exists(reference):
        print(f"==> making base image {reference} (debootstrap)", flush=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as root:
            _debootstrap(root)
            for leftover in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
                shutil.rmtree(Path(root) / leftover, ignore_errors=True)
            _commit("scratch", root, "/", reference)
    return reference


def _debootstrap(root: str) -> None:
    options = ("--variant=minbase", f"--include={PACKAGES}")
    with tempfile.TemporaryDirectory(dir=CACHE) as listing:
        listed = ["debootstrap", *options, "--print-debs", SUITE, listing]
        packages = subprocess.run(listed, check=False, capture_output=True, text=True).stdout.split()
    log = PROJECT / ".build" / "logs" / "debootstrap.log"
    argv, marks = ["debootstrap", *options, SUITE, root], ("Retrieving", "Unpacking", "Configuring")
    lines = re.compile(f"I: ({'|'.join(marks)}) ")
    if run_counted(argv, log, lines, len(marks) * len(packages), "packages fetched, unpacked and configured"):
        raise ClusterError(f"debootstrap failed: {log.read_text().splitlines()[-1]}")


def python37() -> str:
    """Name of the CPython 3.7 base image: the interpreter in /usr/local, as in Docker's python images."""
    python = os.environ["PYTHON37"]
    probe = "import json, sys; print(json.dumps([sys.base_prefix, sys.version]))"
    prefix, version = json.loads(
        subprocess.run([python, "-c", probe], check=True, capture_output=True, text=True).stdout
    )
    reference = f"localhost/base/python:{version.split()[0]}-{_short_hash(debian() + version)}"
    if not image_exists(reference):
        print(f"==> making base image {reference} from {prefix}", flush=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as copy:
            shutil.copytree(
                prefix,
                copy,
                symlinks=True,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns(*UNNEEDED, "site-packages"),
            )
            _commit(
                debian(),
                copy,
                "/usr/local",
                reference,
                "ldconfig && python3.7 -m ensurepip && ln -sf python3.7 /usr/local/bin/python",
            )
    return reference


def _commit(base: str, folder: str, destination: str, reference: str, command: str = "") -> None:
    container = buildah("from", f"--signature-policy={POLICY}", base)
    try:
        buildah("add", "--quiet", container, f"{folder}/", destination)
        if command:
            buildah("run", "--isolation=chroot", container, "--", "sh", "-c", command)
        buildah(
            "config",
            "--env=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "--env=LANG=C.UTF-8",
            container,
        )
        buildah("commit", f"--signature-policy={POLICY}", "--quiet", container, reference)
    finally:
        buildah("rm", container)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
