"""Why Kueue holds a Job: the conditions and checks of a Workload as Kueue 0.19 and before write them."""

from typing import Any

import pytest

from bertfinetune_operator.decision import kueue

Raw = dict[str, Any]


def workload(quota: tuple[str, str, str] | None = None, **more: Any) -> Raw:
    """A Workload with the condition QuotaReserved of this status, reason and message, and other parts of it."""
    conditions: list[Raw] = [{"type": "Requeued", "status": "True", "reason": "BackoffFinished", "message": "any"}]
    if quota:
        status, reason, message = quota
        conditions.append({"type": "QuotaReserved", "status": status, "reason": reason, "message": message})
    conditions += more.pop("conditions", [])
    created = more.pop("created", "2026-01-02T03:00:00Z")
    return {
        "metadata": {"creationTimestamp": created},
        "spec": more.pop("spec", {"active": True}),
        "status": {"conditions": conditions} | more,
    }


SHORT = "couldn't assign flavors to pod set main: insufficient unused quota for huawei.com/Ascend910 in flavor cards"
NEVER = "couldn't assign flavors to pod set main: insufficient quota, current podset request (8) > maximum capacity (4)"
PREEMPTED = "Preempted to accommodate a workload (UID: 1, JobUID: 2) due to prioritization in the ClusterQueue"
EVICTED = {
    "type": "Evicted",
    "status": "True",
    "reason": "Deactivated",
    "message": "The workload is deactivated due to",
}
RESERVED = ("True", "QuotaReserved", "Quota reserved in ClusterQueue cards")


def check(name: str, state: str, message: str = "") -> Raw:
    return {"name": name, "state": state, "message": message}


@pytest.mark.parametrize(
    ("held", "why", "help_needed"),
    [
        (workload(), "", False),
        ({"metadata": {"creationTimestamp": "2026-01-02T03:00:00Z"}, "spec": {}}, "", False),
        (workload(("False", "Pending", SHORT)), f"Pending: {SHORT}", False),
        (workload(("False", "Pending", NEVER)), f"Pending: {NEVER}", False),
        (workload(("False", "ExceedsMaxQuota", NEVER)), f"ExceedsMaxQuota: {NEVER}", True),
        (workload(("False", "WaitingForQuota", SHORT)), f"WaitingForQuota: {SHORT}", False),
        (workload(("False", "Pending", PREEMPTED)), f"Pending: {PREEMPTED}", False),
        (
            workload(("False", "Inadmissible", "LocalQueue team doesn't exist")),
            "Inadmissible: LocalQueue team doesn't exist",
            True,
        ),
        (
            workload(("False", "Inadmissible", "ClusterQueue cards is inactive")),
            "Inadmissible: ClusterQueue cards is inactive",
            True,
        ),
        (workload(("False", "OnHold", "")), "OnHold", False),
        (
            workload(("False", "Pending", SHORT), spec={"active": False}),
            "Deactivated: The workload is deactivated",
            True,
        ),
        (
            workload(("False", "Pending", SHORT), spec={"active": False}, conditions=[EVICTED]),
            "Deactivated: The workload is deactivated due to",
            True,
        ),
        (workload(RESERVED), "", False),
        (workload(RESERVED, admissionChecks=[check("nodes", "Ready")]), "", False),
        (
            workload(RESERVED, admissionChecks=[check("nodes", "Pending", "1 node to come"), check("budget", "Ready")]),
            "Pending: admission check nodes: 1 node to come",
            False,
        ),
        (
            workload(RESERVED, admissionChecks=[check("nodes", "Pending"), check("budget", "Rejected", "none left")]),
            "Rejected: admission check nodes: Pending; admission check budget: none left",
            True,
        ),
    ],
)
def test_why_a_workload_is_held(held: Raw, why: str, help_needed: bool) -> None:
    assert kueue.why_held([held]) == why
    assert kueue.needs_help(why) == help_needed


def test_the_newest_workload_of_a_job_counts() -> None:
    older = workload(("False", "Pending", SHORT))
    newer = workload(("False", "Inadmissible", "LocalQueue team doesn't exist"), created="2026-01-02T03:00:01Z")
    for held in ([older, newer], [newer, older]):
        assert kueue.why_held(held) == "Inadmissible: LocalQueue team doesn't exist"


def test_no_workload_and_no_kueue_need_help_and_what_cannot_be_read_does_not_say() -> None:
    assert kueue.why_held([]) == kueue.NO_WORKLOAD
    assert kueue.needs_help(kueue.NO_WORKLOAD)
    assert kueue.needs_help(kueue.NOT_INSTALLED)
    assert not kueue.needs_help(kueue.UNREADABLE)
    assert not kueue.needs_help(kueue.WAITING)
