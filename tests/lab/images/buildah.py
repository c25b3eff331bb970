"""buildah with a store of our own under the cache folder, so that nothing of the person's images is touched."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.cluster.counted import run_counted
from lab.cluster.errors import ClusterError
from lab.cluster.layout import BUILDAH_RUN, CACHE

POLICY = Path(__file__).with_name("image-policy.json")
MARKS = re.compile(r"STEP |Collecting |Requirement already satisfied")
"""What a build says at each line of the Dockerfile and, through pip, at each package."""
_ARGV = ("buildah", f"--root={CACHE}/buildah", f"--runroot={BUILDAH_RUN}", "--storage-driver=overlay")


def buildah(command: str, *arguments: str | Path) -> str:
    """Run one buildah command and return its standard output; ClusterError with its last lines where it fails."""
    done = subprocess.run([*_ARGV, command, *map(str, arguments)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise _failed(command, done.returncode, done.stdout + done.stderr)
    return done.stdout.strip()


def bud(context: Path, reference: str, arguments: Mapping[str, str], log: Path, *, cache: bool = True) -> None:
    """Build the folder's Dockerfile into an image, with everything buildah says in a log, so that it can be followed.

    Nothing in the image says when it was built: what goes into it decides its identity, bit for bit.
    """
    options = [
        f"--tag={reference}",
        "--layers",
        "--timestamp=0",
        "--isolation=chroot",
        f"--signature-policy={POLICY}",
        *_machine_mounts(),
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *([] if cache else ["--no-cache"]),
    ]
    code = run_counted([*_ARGV, "bud", *options, context], log, MARKS, marks_expected(context), "steps and packages")
    if code:
        raise _failed("bud", code, log.read_text())


def marks_expected(context: Path) -> int:
    """How many of MARKS a build of this folder says: its Dockerfile's instructions and its pinned packages."""
    pinned = [line for path in context.glob("requirements*.txt") for line in path.read_text().splitlines()]
    instructions = (context / "Dockerfile").read_text().splitlines()
    return sum(bool(re.match("[A-Z]+ ", line)) for line in instructions) + sum(
        bool(re.match("[^# ][^ ]*==", line)) for line in pinned
    )


def save(reference: str, archive: Path, name: str) -> None:
    """Write the image under that name as ``docker save`` does: containerd, Docker and skopeo take the archive."""
    buildah("push", f"--signature-policy={POLICY}", reference, f"docker-archive:{archive}:{name}")


def pack(reference: str, layout: Path) -> None:
    """Add the image to a folder in the OCI image layout, which ``ctr images import`` takes as a tar archive."""
    buildah("push", f"--signature-policy={POLICY}", reference, f"oci:{layout}:{reference}")


def _failed(command: str, code: int, output: str) -> ClusterError:
    tail = "\n".join(output.splitlines()[-15:])
    return ClusterError(f"buildah {command} failed (exit {code}):\n{tail}")


def image_exists(reference: str) -> bool:
    argv = [*_ARGV, "inspect", "--type=image", "--format={{.FromImageID}}", reference]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def image_id(reference: str) -> str:
    """The hash of the image's configuration, which holds the hashes of its layers."""
    return buildah("inspect", "--type=image", "--format={{.FromImageID}}", reference)


def _machine_mounts() -> Sequence[str]:
    """What a build needs of this machine to reach the package registries: its CA bundle and its pip configuration."""
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    pip_files = (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf")
    mounts = [f"{bundle}:{bundle}:ro"] if bundle.exists() else []
    mounts += [f"{path}:/etc/pip.conf:ro" for path in pip_files if path.exists()][:1]
    return [f"--volume={mount}" for mount in mounts]
