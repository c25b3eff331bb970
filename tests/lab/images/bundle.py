"""One archive with all that a cluster without Internet needs; its README is operator/docs/air-gap.md."""

import hashlib
import io
import platform
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.cluster.layout import PROJECT
from lab.images import chart
from lab.images.shipped import CHART, Shipped, version

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's name, and the one that images have


def make(shipped: Sequence[Shipped], folder: Path) -> Path:
    """Write ``bertfinetune-<version>-<architecture>.tar`` into the folder."""
    machine = platform.machine()
    name = f"bertfinetune-{version()}-{ARCHITECTURES.get(machine, machine)}"
    with tempfile.TemporaryDirectory() as packages:
        archive = folder / f"{name}.tar"
        write(archive, name, contents(shipped, chart.package(Path(packages))))
    return archive


def contents(shipped: Sequence[Shipped], package: Path) -> dict[str, Path]:
    """The bundle's files by their paths in it."""
    files = {
        "README.md": PROJECT / "operator/docs/air-gap.md",
        "LICENSE": PROJECT / "LICENSE",
        package.name: package,
    }
    folders = {
        "claims": (CHART / "files/claims", "*.yaml"),
        "crds": (PROJECT / "crds", "*.yaml"),
        "dashboards": (CHART / "files/dashboards", "*.json"),
        "prometheus": (CHART / "files/prometheus", "*.yaml"),
        "rules": (CHART / "files/rules", "*.yaml"),
        "runbooks": (CHART / "files/runbooks", "*.md"),
        "samples": (PROJECT / "crds/samples", "*.yaml"),
    }
    for folder, (source, pattern) in folders.items():
        files |= {f"{folder}/{path.name}": path for path in source.glob(pattern)}
    for image in shipped:
        files |= {f"images/{image.archive.name}": image.archive, f"sbom/{image.sbom.name}": image.sbom}
    return files


def write(archive: Path, name: str, files: Mapping[str, Path]) -> None:
    """A tar with one folder, the files and their SHA256SUMS in it: the same files make the same archive."""
    sums = ""
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files):
            with files[path].open("rb") as file:
                sums += f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path}\n"
                file.seek(0)
                tar.addfile(_entry(f"{name}/{path}", files[path].stat().st_size), file)
        tar.addfile(_entry(f"{name}/SHA256SUMS", len(sums)), io.BytesIO(sums.encode()))


def _entry(path: str, size: int) -> tarfile.TarInfo:
    """Owned by root and of no date, whoever packs it and when."""
    entry = tarfile.TarInfo(path)
    entry.size = size
    return entry
