"""The images that ship: built under their version, each in an archive of its own with an SBOM beside it."""

import dataclasses
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN, PROJECT
from lab.images.builder import Builder
from lab.images.images import OPERATOR, TRAINER, Image

CHART = PROJECT / "charts" / "bertfinetune-operator"
# The same trainer on Ascend Hub's base, which whoever has an account there names.
TRAINER_ASCEND910 = dataclasses.replace(TRAINER, name="trainer-ascend910", base=None)


@dataclass(frozen=True)
class Shipped:
    """An image in an archive that, unpacked, ``docker load``, ``ctr images import`` and ``skopeo copy`` take."""

    reference: str
    archive: Path
    sbom: Path


def version() -> str:
    """The chart's appVersion, which is the tag that the chart asks for."""
    return yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]


def chosen(ascend_base: str | None, machine: str) -> dict[Image, dict[str, str]]:
    """What this machine (``uname -m``) can build, with build arguments: PyPI has TensorFlow 1.15.0 for x86-64 only."""
    images: dict[Image, dict[str, str]] = {OPERATOR: {}}
    if machine == "x86_64":
        images[TRAINER] = {}
    if ascend_base:
        images[TRAINER_ASCEND910] = {"BASE_IMAGE": ascend_base}
    return images


def ship(images: Mapping[Image, Mapping[str, str]], builder: Builder, folder: Path) -> list[Shipped]:
    """Build the images, and write each into the folder with its SBOM."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = {"org.opencontainers.image.version": version(), "org.opencontainers.image.revision": _revision()}
    shipped = []
    for image, arguments in images.items():
        reference = f"bertfinetune/{image.name}:{version()}"
        builder.build(image, reference, arguments, labels)
        shipped.append(_pack(reference, builder, folder / image.name))
    return shipped


def _pack(reference: str, builder: Builder, path: Path) -> Shipped:
    unpacked, sbom = path.with_suffix(".tar"), path.with_suffix(".spdx.json")
    for outdated in (unpacked, unpacked.with_suffix(".tar.gz")):
        outdated.unlink(missing_ok=True)
    builder.save(reference, unpacked)
    print(f"==> syft: {sbom.name}", flush=True)
    name, tag = reference.rsplit(":", 1)
    syft = [BIN / "syft", "scan", f"docker-archive:{unpacked}", f"--source-name={name}", f"--source-version={tag}"]
    _run(*syft, "--quiet", f"--output=spdx-json={sbom}", SYFT_CHECK_FOR_APP_UPDATE="false")
    _run("gzip", "--no-name", "--fast", unpacked)  # less than half the time, and a tenth more, of the default
    return Shipped(reference, unpacked.with_suffix(".tar.gz"), sbom)


def table(shipped: Sequence[Shipped]) -> str:
    """What was made, for people."""
    rows = [(s.reference, f"{s.archive.stat().st_size / 1e6:.0f} MB", str(s.archive), str(s.sbom)) for s in shipped]
    rows.insert(0, ("IMAGE", "SIZE", "ARCHIVE", "SBOM"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _revision() -> str:
    """The commit, marked where the files are not the commit's; unknown outside a checkout."""
    git = ["git", "-C", PROJECT]
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=False, capture_output=True, text=True)
    if head.returncode:
        return "unknown"
    changed = subprocess.run([*git, "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    return head.stdout.strip() + ("-dirty" if changed else "")


def _run(*argv: str | Path, **environment: str) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        raise ClusterError(f"{Path(argv[0]).name} failed (exit {done.returncode}): {done.stderr.strip()}")
