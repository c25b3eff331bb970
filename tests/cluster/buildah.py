"""buildah with a store of our own under the cache folder, so that nothing of the person's images is touched."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.layout import BUILDAH_RUN, CACHE

POLICY = Path(__file__).parent / "config" / "image-policy.json"
_STORE = (f"--root={CACHE}/buildah", f"--runroot={BUILDAH_RUN}", "--storage-driver=overlay")


def buildah(command: str, *arguments: str | Path, log: Path | None = None) -> str:
    """Run one buildah command and return its standard output; ClusterError with the last lines it said where it fails.

    With ``log``, everything it prints goes there too, so that a long build can be followed.
    """
    argv = ["buildah", *_STORE, command, *map(str, arguments)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(done.stdout + done.stderr)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ClusterError(f"buildah {command} failed (exit {done.returncode}):\n{tail}")
    return done.stdout.strip()


def image_exists(reference: str) -> bool:
    argv = ["buildah", *_STORE, "inspect", "--type=image", "--format={{.FromImageID}}", reference]
    return subprocess.run(argv, check=False, capture_output=True).returncode == 0


def machine_mounts() -> Sequence[str]:
    """What a build needs of this machine to reach the package registries: its CA bundle and its pip configuration."""
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    pip_files = (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf")
    mounts = [f"{bundle}:{bundle}:ro"] if bundle.exists() else []
    mounts += [f"{path}:/etc/pip.conf:ro" for path in pip_files if path.exists()][:1]
    return [f"--volume={mount}" for mount in mounts]
