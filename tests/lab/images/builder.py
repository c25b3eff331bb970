"""What builds the images that ship: buildah, or Docker where there is no buildah."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from lab.cluster.errors import ClusterError
from lab.cluster.layout import PROJECT
from lab.images import buildah, images
from lab.images.images import Image


class Builder(Protocol):
    """Builds images, and writes them into archives as ``docker save`` does."""

    def build(self, image: Image, reference: str, arguments: Mapping[str, str], labels: Mapping[str, str]) -> None: ...

    def save(self, reference: str, archive: Path) -> None: ...


class Buildah:
    """On base images made on this machine, unless BASE_IMAGE is given."""

    def build(self, image: Image, reference: str, arguments: Mapping[str, str], labels: Mapping[str, str]) -> None:
        if "BASE_IMAGE" not in arguments:
            arguments = {**images.base_image(image), **arguments}
        log = PROJECT / ".build" / "logs" / f"{image.name}.release.log"
        print(f"==> buildah: {reference} (log: {log.relative_to(PROJECT)})", flush=True)
        buildah.bud(image.context, f"localhost/{reference}", arguments, log)
        # apart: given to buildah 1.28 as build arguments or --label, they would stay in its cache, or come from there
        lines = [f'LABEL {name}="{value}"' for name, value in labels.items()]
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "Dockerfile").write_text("\n".join([f"FROM localhost/{reference}", *lines]))
            buildah.bud(Path(folder), f"localhost/{reference}", {}, log.with_suffix(".labels.log"))

    def save(self, reference: str, archive: Path) -> None:
        buildah.save(f"localhost/{reference}", archive, reference)


class Docker:
    """On the Dockerfiles' own base images, which Docker pulls, unless BASE_IMAGE is given."""

    def build(self, image: Image, reference: str, arguments: Mapping[str, str], labels: Mapping[str, str]) -> None:
        given = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        given += [f"--label={name}={value}" for name, value in labels.items()]
        print(f"==> docker: {reference}", flush=True)
        self._run("build", f"--tag={reference}", *given, image.context)

    def save(self, reference: str, archive: Path) -> None:
        self._run("save", f"--output={archive}", reference)

    def _run(self, *arguments: str | Path) -> None:
        if code := subprocess.run(["docker", *arguments], check=False).returncode:
            raise ClusterError(f"docker {arguments[0]} failed (exit {code}); its own words are above")


def works(*command: str) -> bool:
    """Whether the program is there and says so itself: a docker command without its daemon builds nothing."""
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def choose(works: Callable[..., bool] = works) -> Builder:
    """buildah where it is, else Docker; ClusterError where neither works."""
    if works("buildah", "--version"):
        return Buildah()
    if works("docker", "info"):
        return Docker()
    raise ClusterError("neither buildah nor a running Docker was found: apt-get install buildah, or start Docker")
