"""Which replica leads: client-go's election on one Lease, as functions of what was seen and when.

The clocks of two machines are never compared. The times in the lease are for people; a lease has expired once this
replica has seen it unchanged, on its own clock, for as long as the holder said it would be good.
"""

from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]
"""The spec of a Lease of coordination.k8s.io/v1."""

LEASE_SECONDS = 15
"""A lease that was not renewed for so long is anybody's."""

RENEW_DEADLINE = 10.0
"""A leader whose last renewal was begun this long ago has stopped leading: seconds before anybody else can start."""

RETRY_PERIOD = 2.0
"""Seconds between two renewals, and between two looks of a replica that stands by."""


@dataclass(frozen=True)
class Sight:
    """What the lease says, and since when it has been seen to say so, in seconds on this replica's clock."""

    spec: Spec
    since: float

    @property
    def holder(self) -> str:
        """Who holds the lease; "" is nobody."""
        return str(self.spec.get("holderIdentity") or "")

    @property
    def expires(self) -> float:
        """When the lease is anybody's unless it is renewed before."""
        return self.since + float(self.spec.get("leaseDurationSeconds") or LEASE_SECONDS)


def look(before: Sight | None, spec: Spec, now: float) -> Sight:
    """The lease was read and said `spec`."""
    return before if before and before.spec == spec else Sight(spec, now)


def claim(sight: Sight | None, identity: str, now: float, wall: str) -> Spec | None:
    """What to write so that `identity` takes the lease or keeps it; None while it is somebody else's.

    `sight` is None where there is no lease yet; `wall` is the time of day, for people.
    """
    if sight is None:
        return _taken({}, identity, wall) | {"leaseTransitions": 0}
    if sight.holder == identity:
        return sight.spec | {"leaseDurationSeconds": LEASE_SECONDS, "renewTime": wall}
    if sight.holder and now < sight.expires:
        return None
    return _taken(sight.spec, identity, wall) | {"leaseTransitions": int(sight.spec.get("leaseTransitions") or 0) + 1}


def released(spec: Spec, wall: str) -> Spec:
    """What the holder writes when it goes: nobody's, so that nobody has to wait."""
    return spec | {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": wall}


def _taken(spec: Spec, identity: str, wall: str) -> Spec:
    times = {"acquireTime": wall, "renewTime": wall}
    return spec | {"holderIdentity": identity, "leaseDurationSeconds": LEASE_SECONDS} | times
