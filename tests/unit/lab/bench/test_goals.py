from dataclasses import replace

import pytest

from lab.bench.operator import goals
from lab.bench.operator.record import Record
from unit.lab.bench.measured import RESULTS

GOOD = {
    "bench": "operator",
    "n": 2000,
    "floor_ratio": 1.1,
    "peer_time_ratio": 3.0,
    "cpu_ms_per_object": 7.0,
    "peer_cpu_ratio": 1.5,
    "rss_mb": 110.0,
    "growth_kb_per_object": 14.9,
    "writes_per_object": 4.0,
    "restart_writes": 0,
    "p99_apply_to_job_ms": 900,
    "scrape_seconds": 0.2,
}


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, None),
        ({"peer_time_ratio": 0.1, "peer_cpu_ratio": 0.1}, None),
        ({"rss_mb": 110.1}, "rss_mb is 110.1, the goal is <= 110"),
        ({"rss_mb": 200.0, "n": 10000}, None),
        ({"growth_kb_per_object": 20.1}, "growth_kb_per_object is 20.1, the goal is <= 20"),
        ({"growth_kb_per_object": 20.1, "n": 10000}, "growth_kb_per_object is 20.1, the goal is <= 20"),
        ({"writes_per_object": 4.01}, "writes_per_object is 4.01, the goal is <= 4"),
        ({"restart_writes": 1}, "restart_writes is 1, the goal is == 0"),
        ({"scrape_seconds": 0.21}, "scrape_seconds is 0.21, the goal is <= 0.2"),
        ({"floor_ratio": 9.0, "cpu_ms_per_object": 1000.0, "p99_apply_to_job_ms": 1e6}, None),
    ],
)
def test_each_goal(change: dict[str, float | None], missed: str | None) -> None:
    assert goals.missed(GOOD | change, None) == ([missed] if missed else [])


def test_all_misses_are_named() -> None:
    assert len(goals.missed(GOOD | {"scrape_seconds": 2.0, "restart_writes": 7}, None)) == 2


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"cpu_ms_per_object": 8.75, "floor_ratio": 1.155, "writes_per_object": 4.0}, None),
        ({"cpu_ms_per_object": 8.76}, f"cpu_ms_per_object is 8.76, the goal is <= 1.25 x 7.0 of {goals.BASE}"),
        ({"floor_ratio": 1.16}, f"floor_ratio is 1.16, the goal is <= 1.05 x 1.1 of {goals.BASE}"),
    ],
)
def test_what_is_compared_with_an_earlier_commit(change: dict[str, float], missed: str | None) -> None:
    assert goals.missed(GOOD | change, GOOD) == ([missed] if missed else [])


def test_a_run_is_compared_with_one_of_as_many_objects_on_such_a_machine() -> None:
    machine = "2 cores of A, Linux 6"
    run = Record("2026-11-30", goals.BASE, f"{machine}, load 0.1 before the start", 500, "no", {"run": 1}, RESULTS)
    runs = [run, replace(run, commit="later", figures={"run": 2}), replace(run, n=2000, figures={"run": 3})]
    assert goals.base_of(f"{machine}, load 2.0 before the start", 500, runs) == {"run": 1}
    assert goals.base_of(f"{machine}, load 2.0 before the start", 10000, runs) is None
    assert goals.base_of("4 cores of B, Linux 6, load 2.0 before the start", 500, runs) is None
