"""Names, labels and paths derived from an object: pure functions, so that every pass finds the same children."""

from bertfinetune_operator import contract

API_VERSION = f"{contract.GROUP}/{contract.VERSION}"
CRD_NAME = f"{contract.PLURAL}.{contract.GROUP}"
MANAGER = "bertfinetune-operator"

LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_UID = f"{contract.GROUP}/uid"
CHILD_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGER}"

MAX_NAME = 63
"""Longest metadata.name: it is the value of a label."""

UID_CHARS = 8


def job_name(name: str, uid: str) -> str:
    """The Job's name: a DNS label of at most 63 characters.

    The uid's first characters keep it apart from the Job of an earlier object of the same name, which the garbage
    collector may not have removed yet.
    """
    stem = name.replace(".", "-")[: MAX_NAME - UID_CHARS - 1].rstrip("-")
    return f"{stem}-{uid[:UID_CHARS]}"


def output_folder(namespace: str, name: str, uid: str) -> str:
    """The run's folder in the output volume: a re-created object never finds an older one's checkpoints."""
    return f"{namespace}-{name}-{uid[:UID_CHARS]}"


def child_labels(name: str, uid: str) -> dict[str, str]:
    """Labels of the Job and of its pods; the uid leads from a child to its object without a lookup."""
    return {LABEL_NAME: "bert-trainer", LABEL_MANAGED_BY: MANAGER, LABEL_INSTANCE: name, LABEL_UID: uid}
