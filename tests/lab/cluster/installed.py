"""A controller of others as a process beside this machine's control plane, which without a node runs no pods.

It differs from a user's installation in this: the token of its ServiceAccount lies in a kubeconfig, the files of its
Secret in a folder, as if a kubelet had mounted them, and the Service of its webhooks leads to the process.
"""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from lab.cluster.layout import KUBECONFIG
from lab.cluster.local import KUBECTL
from lab.cluster.processes import answers

Raw = dict[str, Any]


def without_pods(objects: Iterable[Raw], service: str, address: str) -> list[Raw]:
    """The objects but for Deployments; the webhooks' Service leads to the address.

    The API server calls a Service of type ExternalName on the port that the webhook configuration names, which is 443.
    """
    kept = [raw for raw in objects if raw["kind"] != "Deployment"]
    for raw in kept:
        if raw["kind"] == "Service" and raw["metadata"]["name"] == service:
            raw["spec"] = {"type": "ExternalName", "externalName": address}
    return kept


def write_kubeconfig(file: Path, namespace: str, account: str) -> None:
    """One with the token of a ServiceAccount: its rights are those that the manifests give it."""
    token = KUBECTL.run("create", "token", account, f"--namespace={namespace}", "--duration=24h").stdout.strip()
    config = yaml.safe_load(KUBECONFIG.read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    file.write_text(yaml.safe_dump(config))


def mount(namespace: str, secret: str, folder: Path) -> bool:
    """Put the files of the Secret, which the controller fills, into the folder; whether the certificate was there."""
    files = KUBECTL.get(f"--namespace={namespace}", "secret", secret).get("data") or {}
    if not {"tls.crt", "tls.key"} <= files.keys():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(base64.b64decode(content))
    return True


def is_ready(address: str) -> bool:
    """Whether the process says so on this address and port."""
    return answers(f"http://{address}/readyz")
