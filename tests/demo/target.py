"""Which cluster the demo uses: this machine's own, or one that the person names and confirms."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cluster import images, local
from cluster.errors import ClusterError
from cluster.images import Image
from cluster.kubectl import Kubectl
from cluster.layout import BIN


@dataclass(frozen=True)
class Target:
    """A cluster, how it gets images, and whether we made it."""

    kubectl: Kubectl
    registry: str | None  # None: the local cluster, whose containerd takes images directly

    @property
    def is_local(self) -> bool:
        return self.registry is None

    def ensure_namespace(self, name: str) -> None:
        """A namespace of a platform team that admits restricted pods only: ours must run there."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        meta = {"name": name, "labels": labels}
        self.kubectl.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}))

    def deliver(self, image: Image) -> str:
        """Make the image usable in the cluster; its reference there."""
        if self.registry:
            return images.push(image, self.registry)
        images.import_into_containerd(image)
        return image.reference()


def choose(kubeconfig: str | None, registry: str | None, confirmed: str | None) -> Target:
    """The local cluster, started where it is down; or the person's, if its context was confirmed by name."""
    if not kubeconfig:
        local.up()
        return Target(local.KUBECTL, None)
    if not registry:
        raise ClusterError(
            "IMAGE_REGISTRY is not set: your cluster needs a registry to pull from, "
            "e.g. make demo KUBECONFIG=... IMAGE_REGISTRY=registry.example.com/team"
        )
    context = _current_context(Path(kubeconfig))
    if confirmed != context:
        given = f", and CONFIRM_CONTEXT is {confirmed!r}" if confirmed else ""
        raise ClusterError(
            f"refusing to touch context {context!r} of {kubeconfig}: it was not confirmed{given}. "
            f"To install the operator and the demo there, add CONFIRM_CONTEXT={context}"
        )
    return Target(Kubectl(Path(kubeconfig), context), registry)


def _current_context(kubeconfig: Path) -> str:
    if not kubeconfig.is_file():
        raise ClusterError(f"KUBECONFIG={kubeconfig}: no such file")
    done = subprocess.run(
        [BIN / "kubectl", f"--kubeconfig={kubeconfig}", "config", "current-context"],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ClusterError(f"KUBECONFIG={kubeconfig}: {done.stderr.strip()}")
    return done.stdout.strip()
