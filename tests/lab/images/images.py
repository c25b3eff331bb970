"""Container images without a Docker engine: buildah builds the Dockerfiles, containerd or a registry takes the images.

An image's tag is the hash of all that goes into it, so an image that exists is never built again and never stale.
"""

import functools
import hashlib
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.cluster.counted import run_counted
from lab.cluster.errors import ClusterError
from lab.cluster.layout import BIN, CONTAINERD_SOCKET, PROJECT, STATE
from lab.images import baseimages
from lab.images.buildah import POLICY, bud, buildah, image_exists, pack

LOCAL_REGISTRY = "localhost/bertfinetune"  # no registry at all: the name of what is imported into containerd
UNPACKED = re.compile("unpacking ")


@dataclass(frozen=True)
class Image:
    """One image: the folder with its Dockerfile, and what of that folder (or of elsewhere) goes into it."""

    name: str
    context: Path
    sources: tuple[str, ...]  # relative to the context
    base: Callable[[], str] | None = None  # makes and names what BASE_IMAGE stands for
    parent: "Image | None" = None  # BASE_IMAGE is another image of ours

    def reference(self, registry: str = LOCAL_REGISTRY) -> str:
        """``registry/name:hash``, the same tag on every machine that has the same files."""
        return f"{registry}/{self.name}:{_digest(self)}"


TRAINER = Image(
    "trainer-cpu",
    PROJECT / "trainer_image",
    (
        "Dockerfile",
        "requirements-pip.txt",
        "requirements.txt",
        "requirements-tensorflow.txt",
        "kernels",
        "src/bert_trainer",
        "src/bert_weights",
    ),
    baseimages.python37,
)
TRAINER_ASCEND_SIM = Image(
    "trainer-ascend-sim",
    PROJECT / "tests/lab/ascend/npu_bridge_sim",
    ("Dockerfile", "npu_bridge", "hccl"),
    parent=TRAINER,
)
OPERATOR = Image("operator", PROJECT / "operator", ("Dockerfile", "requirements.txt", "src"), baseimages.debian)
DEVICE_PLUGIN_SIM = Image(
    "ascend-device-plugin-sim",
    PROJECT / "tests/lab/ascend/device_plugin",
    ("Dockerfile", "requirements.txt", "ascend_device_plugin"),
    baseimages.debian,
)
PAUSE = Image("pause", BIN, ("pause",))
COREDNS = Image("coredns", BIN, ("coredns",))


@functools.cache
def _digest(image: Image) -> str:
    digest = hashlib.sha256(image.parent.reference().encode() if image.parent else b"")
    for path in _files(image):
        digest.update(f"{path.relative_to(image.context)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _files(image: Image) -> Iterable[Path]:
    for source in image.sources:
        path = image.context / source
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (file for file in found if file.is_file() and "__pycache__" not in file.parts)


def build(image: Image) -> None:
    """Build the image into buildah's store where it is not there yet; progress goes to a log that is named."""
    if image.parent:
        build(image.parent)
    if image_exists(image.reference()):
        return
    log = PROJECT / ".build" / "logs" / f"{image.name}.log"
    started = time.monotonic()
    print(f"==> building image {image.reference()} (log: {log.relative_to(PROJECT)})", flush=True)
    if (image.context / "Dockerfile").exists():
        bud(image.context, image.reference(), base_image(image), log)
    else:
        _build_from_scratch(image, log)
    print(f"    built in {time.monotonic() - started:.0f} s", flush=True)


def base_image(image: Image) -> dict[str, str]:
    """The build argument that names the image's base, which is made first where it does not exist."""
    if image.parent:
        return {"BASE_IMAGE": image.parent.reference()}
    return {"BASE_IMAGE": image.base()} if image.base else {}


def _build_from_scratch(image: Image, log: Path) -> None:
    """An image that holds one static program and nothing else."""
    program = image.context / image.name
    with tempfile.TemporaryDirectory() as context:
        (Path(context) / image.name).write_bytes(program.read_bytes())
        (Path(context) / image.name).chmod(0o755)
        (Path(context) / "Dockerfile").write_text(
            f'FROM scratch\nCOPY {image.name} /{image.name}\nENTRYPOINT ["/{image.name}"]\n'
        )
        bud(Path(context), image.reference(), {}, log)


def import_into_containerd(*images: Image) -> None:
    """Hand the images to the local cluster's containerd, where they are not there yet; shared layers only once."""
    ctr = ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images"]
    there = subprocess.run([*ctr, "ls", "-q"], check=True, capture_output=True, text=True).stdout.split()
    missing = [image for image in images if image.reference() not in there]
    if not missing:
        return
    for image in missing:
        build(image)
    names = ", ".join(image.name for image in missing)
    print(f"==> importing {names} into containerd", flush=True)
    with tempfile.TemporaryDirectory(dir=STATE) as scratch:
        layout, archive, log = Path(scratch, "layout"), Path(scratch, "images.tar"), Path(scratch, "log")
        for count, image in enumerate(missing, 1):
            pack(image.reference(), layout)
            print(f"    {count} of {len(missing)} packed", flush=True)
        subprocess.run(["tar", "--create", f"--file={archive}", f"--directory={layout}", "."], check=True)
        if run_counted([*ctr, "import", archive], log, UNPACKED, len(missing), "unpacked"):
            raise ClusterError(f"containerd does not take {names}: {log.read_text().strip()}")


def push(image: Image, registry: str) -> str:
    """Build the image and push it to the person's registry; its reference there."""
    build(image)
    reference = image.reference(registry)
    print(f"==> pushing {reference}", flush=True)
    # like Docker, plain HTTP for a registry on this machine and for no other
    secure = "false" if registry.partition("/")[0].partition(":")[0] in ("localhost", "127.0.0.1") else "true"
    buildah(
        "push", f"--signature-policy={POLICY}", f"--tls-verify={secure}", image.reference(), f"docker://{reference}"
    )
    return reference
