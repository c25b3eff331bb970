"""The images that ship, built once for all tests that look at them, and a Docker of the tests' own."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from lab.cluster.layout import PROJECT
from lab.cluster.processes import wait_until
from lab.images import shipped
from lab.images.builder import Buildah
from lab.images.shipped import Shipped

DOCKER = PROJECT / ".build" / "docker"


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sequence[Shipped]]:
    """Operator and trainer, by buildah; a gigabyte that goes with the session."""
    folder = tmp_path_factory.mktemp("release")
    yield shipped.ship(shipped.chosen(None, platform.machine()), Buildah(), folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """A Docker whose daemon leaves the machine's network alone: the environment in which `docker` reaches it."""
    folder = tmp_path_factory.mktemp("docker")
    reach = {"DOCKER_HOST": f"unix://{folder}/docker.sock", "PATH": f"{DOCKER}:{os.environ['PATH']}"}
    options = [f"--host={reach['DOCKER_HOST']}", "--bridge=none", "--iptables=false", "--ip-masq=false"]
    places = [f"--{name}={folder / name}" for name in ("data-root", "exec-root", "pidfile")]
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen([DOCKER / "dockerd", *options, *places], stdout=log, stderr=log)
        try:
            asked = lambda: subprocess.run(["docker", "info"], check=False, capture_output=True, env=os.environ | reach)  # noqa: E731
            assert wait_until(lambda: asked().returncode == 0, 60), Path(log.name).read_text()
            yield reach
        finally:
            daemon.terminate()
            daemon.wait(30)
    for mount in (folder / "exec-root/netns").glob("*"):  # it leaves the machine's own network namespace there
        subprocess.run(["umount", mount], check=True)
    shutil.rmtree(folder)
