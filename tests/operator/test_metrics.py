from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from bertfinetune_operator.index import Index
from bertfinetune_operator.metrics import Metrics, ObjectsCollector
from golden import builders as make

DONE = {
    "phase": "Succeeded",
    "result": {"accuracy": 0.8137255, "f1": 0.87},
    "progress": {"percent": 100, "msPerStep": 83.29},
}


def scrape(index: Index, max_objects: int = 2000) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(ObjectsCollector(index, max_objects))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def put(index: Index, name: str, status: dict[str, Any] | None, created: str) -> None:
    index.put(make.bertfinetune(status, name=name, uid=f"uid-{name}", creationTimestamp=created))


def test_numbers_of_the_objects() -> None:
    index = Index()
    put(index, "done", DONE, "2026-01-02T03:00:00Z")
    put(index, "new", None, "2026-01-02T03:01:00Z")
    put(index, "half", {"phase": "Running", "progress": {"percent": 41}}, "2026-01-02T03:02:00Z")
    assert scrape(index) == {
        'bertfinetune_accuracy{name="done",namespace="research"}': 0.8137255,
        'bertfinetune_f1{name="done",namespace="research"}': 0.87,
        'bertfinetune_ms_per_step{name="done",namespace="research"}': 83.29,
        'bertfinetune_progress_ratio{name="done",namespace="research"}': 1.0,
        'bertfinetune_progress_ratio{name="half",namespace="research"}': 0.41,
        'bertfinetunes{namespace="research",phase="Succeeded"}': 1.0,
        'bertfinetunes{namespace="research",phase="Pending"}': 1.0,
        'bertfinetunes{namespace="research",phase="Running"}': 1.0,
        "bertfinetune_series_dropped": 0.0,
    }


def test_series_are_bounded_and_the_unfinished_and_the_newest_stay() -> None:
    index = Index()
    for minute in range(10, 20):
        put(index, f"done-{minute}", DONE, f"2026-01-02T03:{minute}:00Z")
    put(index, "old-but-running", {"phase": "Running", "progress": {"percent": 1}}, "2026-01-01T00:00:00Z")
    samples = scrape(index, max_objects=3)
    shown = {name for name in samples if name.startswith("bertfinetune_progress_ratio")}
    assert {name.split('"')[1] for name in shown} == {"old-but-running", "done-19", "done-18"}
    assert samples["bertfinetune_series_dropped"] == 8
    assert samples['bertfinetunes{namespace="research",phase="Succeeded"}'] == 10


def test_the_operators_own_series_have_no_creation_times() -> None:
    metrics = Metrics()
    metrics.api_requests.labels("patch", "200").inc()
    metrics.queue_depth.set_function(lambda: 7)
    with metrics.reconcile_duration.time():
        pass
    text = generate_latest(metrics.registry).decode()
    assert 'bertfinetune_operator_api_requests_total{code="200",verb="patch"} 1.0' in text
    assert "bertfinetune_operator_queue_depth 7.0" in text
    assert "bertfinetune_operator_reconcile_duration_seconds_count 1.0" in text
    assert "_created" not in text
