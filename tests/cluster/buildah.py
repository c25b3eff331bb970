"""buildah with a store of our own under the cache folder, so that nothing of the person's images is touched."""

import subprocess
from collections.abc import Sequence
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


def bud(*arguments: str | Path, log: Path) -> None:
    """Run ``buildah bud`` with everything it says in a log, so that a long build can be followed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        done = subprocess.run([*_ARGV, "bud", *map(str, arguments)], check=False, stdout=file, stderr=subprocess.STDOUT)
    if done.returncode:
        raise _failed("bud", done.returncode, log.read_text())


def _failed(command: str, code: int, output: str) -> ClusterError:
    tail = "\n".join(output.splitlines()[-15:])
    return ClusterError(f"buildah {command} failed (exit {code}):\n{tail}")


def image_exists(reference: str) -> bool:
    argv = [*_ARGV, "inspect", "--type=image", "--format={{.FromImageID}}", reference]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def machine_mounts() -> Sequence[str]:
    """What a build needs of this machine to reach the package registries: its CA bundle and its pip configuration."""
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    pip_files = (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf")
    mounts = [f"{bundle}:{bundle}:ro"] if bundle.exists() else []
    mounts += [f"{path}:/etc/pip.conf:ro" for path in pip_files if path.exists()][:1]
    return [f"--volume={mount}" for mount in mounts]
