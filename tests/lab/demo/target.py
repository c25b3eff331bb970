"""Which cluster the demo uses: this machine's own, or one that the person names and confirms."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lab.cluster import local
from lab.cluster.errors import ClusterError
from lab.cluster.kubectl import Kubectl
from lab.cluster.layout import BIN
from lab.images import images
from lab.images.images import Image


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
        return self.deliver_all(image)[0]

    def deliver_all(self, *wanted: Image) -> list[str]:
        """Make several usable at once, which takes less time than one by one; their references there."""
        if self.registry:
            return [images.push(image, self.registry) for image in wanted]
        images.import_into_containerd(*wanted)
        return [image.reference() for image in wanted]


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
