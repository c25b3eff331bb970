"""What Kueue says of a Job that it holds back. Pure.

The words are those of a Workload's conditions and admission checks. Kueue keeps one for each Job in its queues:
https://kueue.sigs.k8s.io/docs/reference/kueue.v1beta2/#kueue-x-k8s-io-v1beta2-WorkloadStatus
"""

from collections.abc import Iterable
from typing import Final

from bertfinetune_operator.kinds import Object

GROUP: Final = "kueue.x-k8s.io"
JOB_UID: Final = f"{GROUP}/job-uid"
"""Label of a Workload: the uid of the Job that it stands for."""
VERSIONS: Final = ("v1beta2", "v1beta1")
"""The API's versions that can be read here, the newest first. Kueue 0.15 brought v1beta2; the conditions are alike."""

WAITING = "waiting for Kueue to admit the Job"
UNREADABLE = f"{WAITING}, whose Workload the operator may not read: upgrade the operator's release, so that it may"
NOT_INSTALLED = (
    f"NotInstalled: the cluster serves no Workloads of {GROUP}/{' or '.join(VERSIONS)}, so nothing will admit the "
    "Job: install Kueue, or create the run again without a queue"
)
NO_WORKLOAD = (
    "NoWorkload: Kueue has made no Workload for the Job: see that its controller runs, and that it manages batch/job "
    "in this namespace"
)
ON_ITS_OWN = frozenset(
    {
        *("Pending", "Waiting", "Preempted", "Retry"),
        *("PendingEvaluation", "WaitingForQuota", "WaitingForPreemptedWorkloads", "WaitingForPodsReady"),
    }
)
"""Words after which a Job may be admitted without anyone's help. All others name what a person has to change.
Those of the second line are told where Kueue's feature gate UnadmittedWorkloadsObservability is on."""

UNCOVERED = "unavailable in ClusterQueue"
"""Of a resource that no flavor of the ClusterQueue covers, after the word Pending: no wait brings it."""


def why_held(workloads: Iterable[Object]) -> str:
    """Why the newest of a Job's Workloads is not admitted, as "word: sentence", or "" if it says nothing."""
    newest = max(workloads, key=lambda workload: str(workload["metadata"]["creationTimestamp"]), default=None)
    if newest is None:
        return NO_WORKLOAD
    status = newest.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    quota = conditions.get("QuotaReserved", {})
    if not newest["spec"].get("active", True):
        return _told("Deactivated", conditions.get("Evicted", {}).get("message") or "The workload is deactivated")
    if quota.get("status") == "True":  # what it lacks now are the ClusterQueue's admission checks
        unready = [check for check in status.get("admissionChecks", ()) if check["state"] != "Ready"]
        checks = [f"admission check {check['name']}: {check.get('message') or check['state']}" for check in unready]
        worst = "Rejected" if any(check["state"] == "Rejected" for check in unready) else "Pending"
        return _told(worst, "; ".join(checks)) if checks else ""
    return _told(quota["reason"], quota.get("message", "")) if quota else ""


def needs_help(why: str) -> bool:
    """Whether what `why_held` returned names something that a person has to change."""
    word, colon, sentence = why.partition(": ")
    return bool(colon) and word.isalpha() and (word not in ON_ITS_OWN or UNCOVERED in sentence)


def _told(word: str, sentence: str) -> str:
    return f"{word}: {sentence}" if sentence else word
