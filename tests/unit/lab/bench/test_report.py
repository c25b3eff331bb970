import json
from collections import Counter

import pytest

from lab.bench.operator import report
from lab.bench.operator.audit import Call
from lab.bench.operator.results import ControlledRun, OurRun, Process, Restart, Results, Run, Scrape

STATUS, JOB, SERVICE = Call("patch", "bertfinetunes/status"), Call("create", "jobs"), Call("create", "services")
PROGRAMS = {"etcd": 1.0, "kube-apiserver": 4.0}
LISTS = Counter({Call("list", "jobs"): 1})
OURS = OurRun(
    *(100, 1.0, 10.0, PROGRAMS),
    Process(0.5, 70.0, 71.5, Counter({STATUS: 200, JOB: 100, Call("list", "pods"): 2})),
    latencies_ms=[float(number) for number in range(1, 101)],
    scrape=Scrape(0.12, 2.3, 0.006),
    restart=Restart(1.5, 0.7, 80.0, LISTS),
)
PEER = ControlledRun(100, 1.0, 40.0, PROGRAMS, Process(1.0, 40.0, 50.0, Counter({SERVICE: 500})))
RESULTS = Results(Run(100, 1.0, 8.0, PROGRAMS), OURS, PEER)


def test_the_last_line_is_the_result() -> None:
    assert json.loads(report.last_line(report.result(RESULTS))) == {
        "bench": "operator",
        "n": 100,
        "floor_ratio": 1.25,
        "peer_time_ratio": 4.0,
        "cpu_ms_per_object": 5.0,
        "peer_cpu_ratio": 2.0,
        "rss_mb": 71.5,
        "growth_kb_per_object": 15.0,
        "writes_per_object": 3.0,
        "restart_writes": 0,
        "p99_apply_to_job_ms": 99,
        "scrape_seconds": 0.12,
    }


def test_without_the_peer_its_ratios_are_null() -> None:
    alone = Results(RESULTS.floor, OURS, None)
    result = report.result(alone)
    assert result["peer_time_ratio"] is result["peer_cpu_ratio"] is None
    assert "training-operator" not in report.comparison(alone) + report.requests(alone) + report.programs(alone)


def test_writes_after_a_restart_are_counted() -> None:
    restart = Restart(1.5, 0.7, 80.0, LISTS + Counter({STATUS: 3}))
    again = OurRun(100, 1.0, 10.0, PROGRAMS, OURS.process, OURS.latencies_ms, OURS.scrape, restart)
    assert report.result(Results(RESULTS.floor, again, None))["restart_writes"] == 3
    text = report.further(again)
    assert "1 list jobs, 3 patch bertfinetunes/status" in text
    assert "a scrape of /metrics: 120 ms, 2.3 MB; meanwhile /healthz answers within 6 ms" in text


def test_the_tables_name_everyone_and_the_peers_limit() -> None:
    text = report.comparison(RESULTS)
    assert text.splitlines()[0].split("|")[1:-1] == [
        cell.center(len(cell)) for cell in text.splitlines()[0].split("|")[1:-1]
    ]
    assert [name in text for name in ("bare Jobs", "ours", "training-operator")] == [True] * 3
    assert "limited to 20 requests/s" in text


def cells(text: str, title: str) -> list[str]:
    [row] = [line for line in text.splitlines() if line.startswith(f"| {title} ")]
    return [cell.strip() for cell in row.split("|")[2:-1]]


def test_rows() -> None:
    text = report.comparison(RESULTS)
    assert cells(text, "first create to all done, s") == ["8.0", "10.0", "40.0"]
    assert cells(text, "controller, CPU ms an object") == ["", "5.0", "10.0"]
    assert cells(text, "controller, writes an object") == ["", "3.00", "5.00"]
    assert cells(report.requests(RESULTS), "patch bertfinetunes/status") == ["2.000", "0.000"]
    assert cells(report.programs(RESULTS), "etcd") == ["10.0", "10.0", "10.0"]
    assert cells(report.programs(RESULTS), "all of them") == ["50.0", "55.0", "60.0"]


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (99, 4.0), (25, 1.0), (0, 1.0)])
def test_percentile(percent: float, value: float) -> None:
    assert report.percentile([4.0, 1.0, 3.0, 2.0], percent) == value
