"""buildah with a store of our own under the cache folder, so that nothing of the person's images is touched."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.layout import BUILDAH_RUN, CACHE

POLICY = Path(__file__).parent / "config" / "image-policy.json"
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
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        done = subprocess.run([*_ARGV, "bud", *options, context], check=False, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        raise _failed("bud", done.returncode, log.read_text())


def save(reference: str, archive: Path, name: str) -> None:
    """Write the image under that name as ``docker save`` does: containerd, Docker and skopeo take the archive."""
    buildah("push", f"--signature-policy={POLICY}", reference, f"docker-archive:{archive}:{name}")


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
