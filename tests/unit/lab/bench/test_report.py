import json
from dataclasses import replace

import pytest

from lab.bench.operator import report
from lab.bench.operator.results import Requests, Restart, Results, percentile, writes
from unit.lab.bench.measured import LISTS, OURS, RESULTS, STATUS


def test_the_last_line_is_the_result() -> None:
    assert json.loads(report.last_line(report.result(RESULTS))) == {
        "bench": "operator",
        "n": 100,
        "floor_ratio": 1.25,
        "peer_time_ratio": 4.0,
        "cpu_ms_per_object": 5.0,
        "peer_cpu_ratio": 2.0,
        "trainer_time_ratio": 2.0,
        "trainer_cpu_ratio": 3.0,
        "trainer_writes_per_object": 7.0,
        "rss_mb": 71.5,
        "growth_kb_per_object": 15.0,
        "writes_per_object": 3.0,
        "restart_writes": 0,
        "p99_apply_to_job_ms": 99,
        "scrape_seconds": 0.12,
    }


OF_PEERS = {
    "training-operator": ("peer_time_ratio", "peer_cpu_ratio"),
    "trainer": ("trainer_time_ratio", "trainer_cpu_ratio", "trainer_writes_per_object"),
}


@pytest.mark.parametrize("name", OF_PEERS)
def test_of_a_peer_that_took_no_part_nothing_is_told(name: str) -> None:
    others = {peer: run for peer, run in RESULTS.peers.items() if peer != name}
    results = Results(RESULTS.floor, OURS, others)
    figures = report.result(results)
    assert {field for field, value in figures.items() if value is None} == set(OF_PEERS[name])
    title = {"training-operator": "training-operator", "trainer": "Kubeflow Trainer"}[name]
    assert title not in report.comparison(results) + report.requests(results) + report.programs(results)


def test_writes_after_a_restart_are_counted() -> None:
    restart = Restart(1.5, 0.7, 80.0, LISTS + Requests({STATUS: 3}))
    again = replace(OURS, restart=restart)
    assert report.result(Results(RESULTS.floor, again, {}))["restart_writes"] == 3
    text = report.further(again)
    assert "1 list jobs, 3 patch bertfinetunes/status" in text
    assert "a scrape of /metrics: 120 ms, 2.3 MB; meanwhile /healthz answers within 6 ms" in text


def test_the_tables_name_everyone_and_the_peers_limit() -> None:
    text = report.comparison(RESULTS)
    assert text.splitlines()[0].split("|")[1:-1] == [
        cell.center(len(cell)) for cell in text.splitlines()[0].split("|")[1:-1]
    ]
    assert all(name in text for name in ("bare Jobs", "ours", "training-operator", "Kubeflow Trainer"))
    assert "limited to 20 requests/s" in text


def cells(text: str, title: str) -> list[str]:
    [row] = [line for line in text.splitlines() if line.startswith(f"| {title} ")]
    return [cell.strip() for cell in row.split("|")[2:-1]]


def test_rows() -> None:
    text = report.comparison(RESULTS)
    assert cells(text, "first create to all done, s") == ["8.0", "10.0", "40.0", "20.0"]
    assert cells(text, "controller, CPU ms an object") == ["", "5.0", "10.0", "15.0"]
    assert cells(text, "controller, writes an object") == ["", "3.00", "5.00", "7.00"]
    assert cells(report.requests(RESULTS), "patch bertfinetunes/status") == ["2.000", "0.000", "0.000"]
    assert cells(report.programs(RESULTS), "etcd") == ["10.0"] * 4
    assert cells(report.programs(RESULTS), "all of them") == ["50.0", "55.0", "60.0", "65.0"]


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (99, 4.0), (25, 1.0), (0, 1.0)])
def test_percentile(percent: float, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value


def test_what_writes() -> None:
    assert writes(Requests({STATUS: 3, "list jobs": 5, "create pods": 2, "watch pods": 7})) == 5
