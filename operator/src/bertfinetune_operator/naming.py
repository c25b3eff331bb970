"""Names, labels and paths derived from an object: pure functions, so that every pass finds the same children."""

from bertfinetune_operator import contract

API_VERSION = f"{contract.GROUP}/{contract.VERSION}"
CRD_NAME = f"{contract.PLURAL}.{contract.GROUP}"
MANAGER = "bertfinetune-operator"

LABEL_NAME = "app.kubernetes.io/name"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_INSTANCE = "app.kubernetes.io/instance"
LABEL_UID = f"{contract.GROUP}/uid"
LABEL_ATTEMPT = f"{contract.GROUP}/attempt"
LABEL_DOWNLOADS = f"{contract.GROUP}/downloads"
"""On pods that download model or data: a network policy lets these connect to others."""
POD_GROUP = "scheduling.k8s.io/group-name"
"""Annotation with a pod's PodGroup, set by Volcano."""
KUEUE_QUEUE = "kueue.x-k8s.io/queue-name"
VOLCANO_QUEUE = "scheduling.volcano.sh/queue-name"
QUEUES = (KUEUE_QUEUE, VOLCANO_QUEUE)
"""By which a Job or pod names its queue: spec.scheduling.queue becomes one of them."""
VOLCANO_GROUP_SIZE = "scheduling.volcano.sh/group-min-member"

VENDOR = "huawei.com/"
"""Domain of the resources of Huawei's device plugin, which also sets ASCEND_VISIBLE_DEVICES in the container."""

RESERVED_PREFIXES = (f"{contract.GROUP}/", "batch.kubernetes.io/", VENDOR)
RESERVED_KEYS = (
    *(LABEL_NAME, LABEL_MANAGED_BY, LABEL_INSTANCE, "controller-uid", "job-name"),
    *(POD_GROUP, VOLCANO_GROUP_SIZE, "predicate-time"),
)
"""Labels and annotations of a Job or its pods that are the operator's, the Job controller's or a scheduler's to set.

Where Volcano places pods, Huawei's device plugin gives each the cards that annotation huawei.com/Ascend910 names, to
the pod with the lowest predicate-time first: a tenant who sets these takes the cards of others.
"""

CHILD_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGER}"

MAX_NAME = 63
"""Longest metadata.name: it is the value of a label."""

UID_CHARS = 8


def job_name(name: str, uid: str, attempt: int) -> str:
    """The name of the Job of an attempt, from 0: a DNS label of at most 63 characters.

    The uid's first characters keep it apart from the Job of an earlier object of the same name, which the garbage
    collector may not have removed yet.
    """
    suffix = f"-{uid[:UID_CHARS]}" + (f"-{attempt}" if attempt else "")
    return name.replace(".", "-")[: MAX_NAME - len(suffix)].rstrip("-") + suffix


def output_folder(namespace: str, name: str, uid: str, trial: int) -> str:
    """The folder of a trial, from 0, in the output volume: a re-created object never finds an older one's checkpoints.

    A trial that follows a collapsed one starts from the pre-trained weights, so it must not find that one's either.
    """
    return f"{namespace}-{name}-{uid[:UID_CHARS]}" + (f"-trial-{trial}" if trial else "")


def child_labels(name: str, uid: str, attempt: int) -> dict[str, str]:
    """Labels of a Job and of its pods; the uid leads from a child to its object without a lookup."""
    return {
        LABEL_NAME: "bert-trainer",
        LABEL_MANAGED_BY: MANAGER,
        LABEL_INSTANCE: name,
        LABEL_UID: uid,
        LABEL_ATTEMPT: str(attempt),
    }


def is_reserved(key: str) -> bool:
    """Whether a label or annotation of a run's Jobs and pods is not for users and sites to choose."""
    return key in RESERVED_KEYS or key in QUEUES or key.startswith(RESERVED_PREFIXES)
