"""Volumes with the weights and the data, and an empty one for the results, as the sample manifest names them."""

import hashlib
import json
from pathlib import Path

from lab.cluster.errors import ClusterError
from lab.cluster.layout import VOLUMES
from lab.cluster.render import render
from lab.demo.target import Target
from lab.images.images import TRAINER

CONTENT = "bertfinetune.dev/content-sha256"  # annotation of a claim: what was copied into it
LOADER = "loader"


def ensure(target: Target, namespace: str, contents: dict[str, Path | None]) -> None:
    """Create the claims and copy each folder into its claim (None: leave it empty)."""
    fill(target, namespace, create(target, namespace, contents))


def create(target: Target, namespace: str, contents: dict[str, Path | None]) -> dict[str, Path]:
    """Create the claims; those that do not hold their folder's present content yet, with the folder."""
    target.ensure_namespace(namespace)
    stale = {}
    for name, folder in contents.items():
        if target.is_local:
            _ensure_local_volume(target, f"{namespace}-{name}")
        claim = _claim(name, f"{namespace}-{name}" if target.is_local else None)
        target.kubectl.apply(json.dumps(claim), f"--namespace={namespace}")
        found = target.kubectl.get("persistentvolumeclaim", name, f"--namespace={namespace}")["metadata"]
        if folder and found.get("annotations", {}).get(CONTENT) != _digest(folder):
            stale[name] = folder
    return stale


def fill(target: Target, namespace: str, folders: dict[str, Path]) -> None:
    """Copy each folder into its claim, and note in the claim what it holds."""
    if not folders:
        return
    _load(target, namespace, folders)
    for name, folder in folders.items():
        note = f"{CONTENT}={_digest(folder)}"
        target.kubectl.run(f"--namespace={namespace}", "annotate", "--overwrite", f"persistentvolumeclaim/{name}", note)


def _ensure_local_volume(target: Target, name: str) -> None:
    folder = VOLUMES / name
    folder.mkdir(parents=True, exist_ok=True)
    target.kubectl.apply(render("volume.yaml", NAME=name, PATH=str(folder)))
    phase = target.kubectl.run("get", "persistentvolume", name, "--output=jsonpath={.status.phase}").stdout
    if phase == "Released":  # its claim went with an earlier namespace, and no other can have it until it is let go
        target.kubectl.run("patch", "persistentvolume", name, "--type=merge", '--patch={"spec": {"claimRef": null}}')


def _claim(name: str, volume: str | None) -> dict:
    spec: dict = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    if volume:
        spec |= {"volumeName": volume, "storageClassName": "local"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def _load(target: Target, namespace: str, folders: dict[str, Path]) -> None:
    """Copy folders through a pod, which works on any cluster and needs no access to its nodes."""
    in_namespace = f"--namespace={namespace}"
    target.kubectl.run(in_namespace, "delete", "pod", LOADER, "--ignore-not-found", "--grace-period=0", "--timeout=60s")
    target.kubectl.apply(json.dumps(_loader(target.deliver(TRAINER), list(folders))), in_namespace)
    target.kubectl.run(in_namespace, "wait", "--for=condition=Ready", f"pod/{LOADER}", "--timeout=180s")
    for name, folder in folders.items():
        print(f"==> copying {folder.name} into claim {name}", flush=True)
        target.kubectl.run(in_namespace, "cp", "--no-preserve", f"{folder}/.", f"{LOADER}:/{name}/")
        listed = set(target.kubectl.run(in_namespace, "exec", LOADER, "--", "ls", f"/{name}").stdout.split())
        if missing := {path.name for path in folder.iterdir()} - listed:
            raise ClusterError(f"claim {name}: {', '.join(sorted(missing))} did not arrive; run the same command again")
    target.kubectl.run(in_namespace, "delete", "pod", LOADER, "--grace-period=1", "--timeout=60s")


def _loader(image: str, claims: list[str]) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": LOADER},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": LOADER,
                    "image": image,
                    "command": ["sleep", "3600"],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in claims],
                }
            ],
            "volumes": [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims],
        },
    }


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
