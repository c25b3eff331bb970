"""The election's rules by tables."""

import pytest

from bertfinetune_operator.election.lease import LEASE_SECONDS, Sight, Spec, claim, look, released

T0, T1 = "2026-01-02T03:04:05.000000Z", "2026-01-02T03:05:00.000000Z"
MINE: Spec = {
    "holderIdentity": "me",
    "leaseDurationSeconds": 15,
    "acquireTime": T0,
    "renewTime": T0,
    "leaseTransitions": 4,
}
THEIRS = MINE | {"holderIdentity": "they"}
TAKEN = MINE | {"acquireTime": T1, "renewTime": T1, "leaseTransitions": 5}


@pytest.mark.parametrize(
    ("sight", "now", "expected"),
    [
        pytest.param(None, 0, TAKEN | {"leaseTransitions": 0}, id="there is none: create it"),
        pytest.param(Sight(MINE, 0), 5, MINE | {"renewTime": T1}, id="mine: renew it"),
        pytest.param(Sight(MINE, 0), 500, MINE | {"renewTime": T1}, id="mine though nobody renewed it for long"),
        pytest.param(Sight(THEIRS, 100), 114.9, None, id="theirs"),
        pytest.param(Sight(THEIRS, 100), 115, TAKEN, id="theirs, and not renewed for its duration"),
        pytest.param(Sight(THEIRS | {"leaseDurationSeconds": 60}, 0), 59, None, id="theirs, with a longer duration"),
        pytest.param(Sight(THEIRS | {"leaseDurationSeconds": None}, 0), 14, None, id="theirs, without a duration"),
        pytest.param(Sight(released(THEIRS, T0), 100), 100, TAKEN, id="given back"),
        pytest.param(Sight({}, 100), 100, TAKEN | {"leaseTransitions": 1}, id="empty, as kubectl may create it"),
        pytest.param(Sight(THEIRS | {"strategy": "x"}, 0), 15, TAKEN | {"strategy": "x"}, id="with fields of others"),
    ],
)
def test_claim(sight: Sight | None, now: float, expected: Spec | None) -> None:
    assert claim(sight, "me", now, T1) == expected


def test_a_lease_ages_from_when_it_was_first_seen_unchanged() -> None:
    first = look(None, THEIRS, 10)
    assert look(first, dict(THEIRS), 20) == Sight(THEIRS, 10)
    assert look(first, THEIRS | {"renewTime": T1}, 20).since == 20
    assert first.expires == 10 + LEASE_SECONDS


def test_the_remote_clock_does_not_count() -> None:
    ancient = THEIRS | {"renewTime": "1970-01-01T00:00:00.000000Z"}
    assert claim(look(None, ancient, 1000), "me", 1001, T1) is None
