"""The folders of a run in its pod: one volume for each claim or folder of a node, mounted once for each use of it."""

from typing import NamedTuple

from bertfinetune_operator import contract
from bertfinetune_operator.api.spec import BertFinetune, Volume
from bertfinetune_operator.kinds import Manifest


class Folder(NamedTuple):
    """One folder that the trainer sees, where it comes from and where it is mounted."""

    role: str
    path: str
    place: Volume
    read_only: bool


def volumes(obj: BertFinetune) -> list[Manifest]:
    """One volume for each distinct claim and host path, whichever folders of it are used; one for each download.

    Up to version 1.34 the kubelet never finishes mounting a pod that has two volumes of one claim
    (https://github.com/kubernetes/kubernetes/issues/122140). A claim that is only read is mounted read-only as a
    whole: ReadOnlyMany claims demand it, and the kubelet then leaves the group of their files alone.
    """
    return [_volume(shared) for shared in _by_volume(obj)]


def mounts(obj: BertFinetune) -> list[Manifest]:
    """The trainer's mounts: model, data and output."""
    names = {folder.role: _name(shared) for shared in _by_volume(obj) for folder in shared}
    return [_mount(names[folder.role], folder) for folder in _folders(obj)]


def _folders(obj: BertFinetune) -> tuple[Folder, ...]:
    return (
        Folder("model", contract.MODEL_PATH, obj.spec.model.source, read_only=True),
        Folder("data", contract.DATA_PATH, obj.spec.data.source, read_only=True),
        Folder("output", contract.OUTPUT_PATH, obj.spec.output, read_only=False),
    )


def _by_volume(obj: BertFinetune) -> list[list[Folder]]:
    """The folders, those of one volume together."""
    groups: dict[tuple[str, str], list[Folder]] = {}
    for folder in _folders(obj):
        groups.setdefault(_identity(folder), []).append(folder)
    return list(groups.values())


def _identity(folder: Folder) -> tuple[str, str]:
    if folder.place.claim:
        return "claim", folder.place.claim.claim_name
    if folder.place.host_path:
        return "hostPath", folder.place.host_path.path
    return "download", folder.role


def _name(shared: list[Folder]) -> str:
    return "-".join(folder.role for folder in shared)


def _volume(shared: list[Folder]) -> Manifest:
    volume: Manifest = {"name": _name(shared)}
    match _identity(shared[0]):
        case "claim", name:
            volume["persistentVolumeClaim"] = {"claimName": name}
            if all(folder.read_only for folder in shared):
                volume["persistentVolumeClaim"]["readOnly"] = True
        case "hostPath", path:
            volume["hostPath"] = {"path": path, "type": "Directory"}
        case _:
            volume["emptyDir"] = {}
    return volume


def _mount(name: str, folder: Folder) -> Manifest:
    mount: Manifest = {"name": name, "mountPath": folder.path}
    if folder.read_only:
        mount["readOnly"] = True
    if folder.place.claim and folder.place.claim.sub_path:
        mount["subPath"] = folder.place.claim.sub_path
    return mount
