"""What Volcano says of a PodGroup that it does not place. Pure.

The conditions are those of scheduling.volcano.sh/v1beta1.
"""

from bertfinetune_operator.kinds import Object


def unschedulable(pod_group: Object | None) -> str:
    """Why Volcano does not place a PodGroup, in its own words, or "" if it says nothing."""
    conditions = (pod_group or {}).get("status", {}).get("conditions", ())
    waiting = [c for c in conditions if c.get("type") == "Unschedulable" and c.get("status") == "True"]
    return ": ".join(filter(None, (waiting[-1].get("reason"), waiting[-1].get("message")))) if waiting else ""
