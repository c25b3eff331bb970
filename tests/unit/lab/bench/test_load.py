import pytest

from lab.bench.operator.load import STALLED_SECONDS, Tally
from lab.bench.operator.objects import JOBS
from lab.cluster.errors import ClusterError


def job(name: str, *conditions: str) -> dict:
    status = {"conditions": [{"type": kind, "status": "True"} for kind in conditions]}
    return {"metadata": {"name": name}, "status": status}


def test_the_time_is_that_of_the_last_one_done() -> None:
    tally = Tally(2)
    tally.note(JOBS, job("a"))
    assert not tally.done
    tally.note(JOBS, job("a", "Complete"))
    first = tally.seconds
    tally.note(JOBS, job("a", "Complete"))
    assert (tally.done, tally.seconds) == ({"a"}, first)
    tally.note(JOBS, job("b", "Complete"))
    assert tally.seconds > first


def test_a_failed_object_ends_it() -> None:
    with pytest.raises(ClusterError, match="jobs a: None: None"):
        Tally(1).note(JOBS, job("a", "Failed"))


def test_a_stall_ends_it() -> None:
    tally = Tally(2)
    tally.check_moving()
    tally.start -= STALLED_SECONDS + 1
    with pytest.raises(ClusterError, match="0 of 2 done, and no more for 300 s"):
        tally.check_moving()
