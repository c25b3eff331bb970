"""Our images in the local cluster, under the names that pages and manifests give them and no registry has."""

import subprocess

from lab.cluster.layout import CONTAINERD_SOCKET
from lab.images import images
from lab.images.shipped import version

REGISTRY = "registry.example.com/bertfinetune"
IMAGES = {"operator": images.OPERATOR, "trainer-ascend910": images.TRAINER_ASCEND_SIM, "trainer-cpu": images.TRAINER}


def name_images() -> None:
    """Name those that were delivered to containerd."""
    for name, image in IMAGES.items():
        ctr = ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io", "images", "tag", "--force"]
        subprocess.run([*ctr, image.reference(), f"{REGISTRY}/{name}:{version()}"], check=True, capture_output=True)
