import pytest

from lab.bench.operator import goals

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
        ({"peer_time_ratio": 2.99}, "peer_time_ratio is 2.99, the goal is >= 3"),
        ({"peer_cpu_ratio": 1.49}, "peer_cpu_ratio is 1.49, the goal is >= 1.5"),
        ({"peer_time_ratio": None, "peer_cpu_ratio": None}, None),
        ({"rss_mb": 110.1}, "rss_mb is 110.1, the goal is <= 110"),
        ({"rss_mb": 200.0, "n": 10000}, None),
        ({"growth_kb_per_object": 15.0}, "growth_kb_per_object is 15.0, the goal is < 15"),
        ({"growth_kb_per_object": 15.0, "n": 10000}, "growth_kb_per_object is 15.0, the goal is < 15"),
        ({"writes_per_object": 4.01}, "writes_per_object is 4.01, the goal is <= 4"),
        ({"restart_writes": 1}, "restart_writes is 1, the goal is == 0"),
        ({"scrape_seconds": 0.21}, "scrape_seconds is 0.21, the goal is <= 0.2"),
        ({"floor_ratio": 9.0, "cpu_ms_per_object": 1000.0, "p99_apply_to_job_ms": 1e6}, None),
    ],
)
def test_each_goal(change: dict[str, float | None], missed: str | None) -> None:
    assert goals.missed(GOOD | change) == ([missed] if missed else [])


def test_all_misses_are_named() -> None:
    assert len(goals.missed(GOOD | {"scrape_seconds": 2.0, "restart_writes": 7})) == 2
