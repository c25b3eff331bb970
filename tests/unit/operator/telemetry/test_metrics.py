"""What a scrape says of the objects, and what the operator counts; the names are what rules and dashboards rely on."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from bertfinetune_generators.metrics_table import names
from bertfinetune_operator import __version__
from bertfinetune_operator.api.status import PHASES
from bertfinetune_operator.informer.index import Index
from bertfinetune_operator.telemetry.counters import Metrics
from bertfinetune_operator.telemetry.runs import ObjectsCollector
from support import builders as make

RUN = 'name="minimal",namespace="research"'
ONE_CARD = (
    'accelerator="Ascend910",cpu="",devices="1",gradient_accumulation_steps="1",max_seq_length="128",model="custom"'
)
EIGHT_CARDS = ONE_CARD.replace('devices="1"', 'devices="8"')
IN_TWO_LOTS = ONE_CARD.replace('steps="1"', 'steps="2"')
HALF_A_CPU = ONE_CARD.replace('cpu=""', 'cpu="500m"')
EIGHT_CPUS = ONE_CARD.replace('cpu=""', 'cpu="8"').replace("Ascend910", "CPU")
RECIPE = 'task="MRPC",train_batch_size="32",virtual_device=""'
SHARED = RECIPE.replace('virtual_device=""', 'virtual_device="2c"')
ALWAYS = {
    f"bertfinetune_info{{{ONE_CARD},{RUN},{RECIPE}}}": 1,
    f"bertfinetune_devices{{{RUN}}}": 1,
    f"bertfinetune_created_timestamp_seconds{{{RUN}}}": 1767322800,
    f"bertfinetune_retries{{{RUN}}}": 0,
    f"bertfinetune_backoff_limit{{{RUN}}}": 3,
}


def scrape(index: Index, max_objects: int = 1000) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(ObjectsCollector(index, max_objects))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def defaulted(status: dict[str, Any] | None, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    """The object with the defaults that the API server puts in."""
    defaults = {"accelerator": {"type": "Ascend910", "devicesPerWorker": 1}, "backoffLimit": 3}
    defaults["training"] = {"trainBatchSize": 32, "gradientAccumulationSteps": 1, "maxSeqLength": 128}
    raw = make.bertfinetune(status, defaults | (spec or {}))
    raw["spec"]["model"]["name"] = "custom"
    return raw


def of_object(status: dict[str, Any] | None, spec: dict[str, Any] | None = None) -> dict[str, float]:
    """The series of one object, without what each has."""
    index = Index()
    index.put(defaulted(status, spec))
    return {name: value for name, value in scrape(index).items() if RUN in name and (name, value) not in ALWAYS.items()}


RESULT = {"collapsed": False, "accuracy": 0.8504902, "f1": 0.8947, "matthews": 0.64, "durationSeconds": 476, "seed": 1}
COLLAPSED = {"collapsed": True, "accuracy": 0.6838235, "matthews": 0, "seed": 1}
PROGRESS = {"step": 141, "totalSteps": 344, "percent": 40, "summary": "141/344 (40%)"}


@pytest.mark.parametrize(
    ("status", "spec", "expected"),
    [
        (
            None,
            {},
            {'status_phase{phase="Pending",reason="Pending"}': 1, "waiting_since_timestamp_seconds{}": 1767322800},
        ),
        (
            {"phase": "Pending", "reason": "Unschedulable", "podName": "p"},
            {},
            {
                'status_phase{phase="Pending",reason="Unschedulable"}': 1,
                'pod_info{node="",pod="p"}': 1,
                "waiting_since_timestamp_seconds{}": 1767322800,
            },
        ),
        (
            {
                "phase": "Queued",
                "conditions": [
                    {"type": "Queued", "status": "True", "lastTransitionTime": "2026-01-02T03:06:00Z"},
                    {"type": "Running", "status": "False", "lastTransitionTime": "2026-01-02T03:01:00Z"},
                    {"type": "Suspended", "status": "False", "lastTransitionTime": "2026-01-02T03:05:00Z"},
                ],
            },
            {},
            {
                'status_phase{phase="Queued",reason="Queued"}': 1,
                "waiting_since_timestamp_seconds{}": 1767323100,  # since it was resumed
            },
        ),
        (
            {
                "phase": "Running",
                "reason": "Training",
                "podName": "p",
                "nodeName": "n",
                "startTime": "2026-01-02T03:01:00Z",
                "progress": PROGRESS | {"msPerStep": 83.29, "etaSeconds": 17},
                "retries": 2,
            },
            {
                "quality": {"minAccuracy": 0.84},
                "accelerator": {"type": "CPU", "devicesPerWorker": 1},
                "trainer": {"resources": {"limits": {"cpu": 8, "memory": "4Gi"}}},
            },
            {
                f"info{{{EIGHT_CPUS},{RECIPE}}}": 1,
                "devices{}": 0,
                'status_phase{phase="Running",reason="Training"}': 1,
                'pod_info{node="n",pod="p"}': 1,
                "start_timestamp_seconds{}": 1767322860,
                "progress_ratio{}": 141 / 344,
                "ms_per_step{}": 83.29,
                "eta_seconds{}": 17,
                "retries{}": 2,
                "min_accuracy{}": 0.84,
            },
        ),
        (
            {
                "phase": "Succeeded",
                "reason": "Completed",
                "startTime": "2026-01-02T03:01:00Z",
                "completionTime": "2026-01-02T03:09:00Z",
                "result": RESULT,
                "progress": PROGRESS | {"step": 344, "msPerStep": 83.29},
            },
            {},
            {
                'status_phase{phase="Succeeded",reason="Completed"}': 1,
                "accuracy{}": 0.8504902,
                "f1{}": 0.8947,
                "matthews{}": 0.64,
                "collapsed{}": 0,
                "training_duration_seconds{}": 476,
                "ms_per_step{}": 83.29,
                "progress_ratio{}": 1,
                "start_timestamp_seconds{}": 1767322860,
                "completion_timestamp_seconds{}": 1767323340,
            },
        ),
        (
            None,
            {"accelerator": {"type": "Ascend910", "devicesPerWorker": 8}},
            {
                "devices{}": 8,
                f"info{{{EIGHT_CARDS},{RECIPE}}}": 1,
                'status_phase{phase="Pending",reason="Pending"}': 1,
                "waiting_since_timestamp_seconds{}": 1767322800,
            },
        ),
        (
            {"phase": "Succeeded", "reason": "Completed"},
            {
                "accelerator": {"type": "Ascend910", "devicesPerWorker": 1, "virtualDevice": "2c"},
                "trainer": {"image": "a", "resources": {"limits": {"cpu": "500m"}}},
            },
            {
                f"info{{{HALF_A_CPU},{SHARED}}}": 1,
                'status_phase{phase="Succeeded",reason="Completed"}': 1,
            },
        ),
        (
            {"phase": "Succeeded", "reason": "Completed", "gradientAccumulationSteps": 2},
            {"onOOM": "Accumulate"},
            {
                f"info{{{IN_TWO_LOTS},{RECIPE}}}": 1,
                'status_phase{phase="Succeeded",reason="Completed"}': 1,
            },
        ),
        (
            {"phase": "Retrying", "reason": "Collapsed", "trials": [COLLAPSED]},
            {},
            {
                'status_phase{phase="Retrying",reason="Collapsed"}': 1,
                "waiting_since_timestamp_seconds{}": 1767322800,
                "collapsed{}": 1,
                'trial_accuracy{seed="1",trial="0"}': 0.6838235,
            },
        ),
        (
            {
                "phase": "Succeeded",
                "reason": "Completed",
                "completionTime": "2026-01-02T03:09:00Z",
                "trials": [COLLAPSED],
                "result": {"collapsed": False, "accuracy": 0.85, "seed": 2},
            },
            {},
            {
                'status_phase{phase="Succeeded",reason="Completed"}': 1,
                "completion_timestamp_seconds{}": 1767323340,
                "accuracy{}": 0.85,
                "collapsed{}": 0,
                'trial_accuracy{seed="1",trial="0"}': 0.6838235,
                'trial_accuracy{seed="2",trial="1"}': 0.85,
            },
        ),
    ],
)
def test_numbers_of_an_object(status: dict[str, Any] | None, spec: dict[str, Any], expected: dict[str, float]) -> None:
    def whole(short: str) -> str:
        name, _, labels = short.removesuffix("}").partition("{")
        pairs = sorted(filter(None, [*labels.split(","), *RUN.split(",")]))
        return f"bertfinetune_{name}{{{','.join(pairs)}}}"

    assert of_object(status, spec) == {whole(short): value for short, value in expected.items()}


def put(index: Index, name: str, phase: str, created: str) -> None:
    status = {"phase": phase, "completionTime": "2026-01-02T04:00:00Z"}
    index.put(make.bertfinetune(status, name=name, uid=f"uid-{name}", creationTimestamp=created))


def test_series_are_bounded_and_the_unfinished_and_the_newest_stay() -> None:
    index = Index()
    for minute in range(10, 20):
        put(index, f"done-{minute}", "Succeeded", f"2026-01-02T03:{minute}:00Z")
    put(index, "old-but-running", "Running", "2026-01-01T00:00:00Z")
    samples = scrape(index, max_objects=3)
    shown = {name for name in samples if name.startswith("bertfinetune_status_phase")}
    assert {name.split('"')[1] for name in shown} == {"old-but-running", "done-19", "done-18"}
    assert samples["bertfinetune_series_dropped"] == 8
    assert samples['bertfinetunes{namespace="research",phase="Succeeded"}'] == 10
    assert samples['bertfinetunes{namespace="research",phase="Running"}'] == 1


def test_series_vanish_with_their_object() -> None:
    index = Index()
    raw = make.bertfinetune({"phase": "Running"})
    index.put(raw)
    assert any(RUN in name for name in scrape(index))
    index.discard(raw)
    assert scrape(index) == {"bertfinetune_series_dropped": 0}


numbers = st.floats(0, 1, allow_nan=False)
results = st.fixed_dictionaries(
    {"collapsed": st.booleans()}, optional={"accuracy": numbers, "f1": numbers, "seed": st.integers(0, 9)}
)
statuses = st.fixed_dictionaries(
    {"completionTime": st.just("2026-01-02T03:09:00Z")},
    optional={
        "phase": st.sampled_from(PHASES),
        "reason": st.text(),
        "podName": st.text(),
        "nodeName": st.text(),
        "result": results,
        "trials": st.lists(results, max_size=3),
        "retries": st.integers(0, 5),
        "progress": st.fixed_dictionaries({"step": st.integers(0, 10), "totalSteps": st.integers(0, 10)}),
    },
)


@given(st.none() | statuses)
def test_whatever_the_status_a_scrape_can_be_read(status: dict[str, Any] | None) -> None:
    index = Index()
    metrics = Metrics(index)
    index.put(make.bertfinetune(status))
    text = list(parse(generate_latest(metrics.registry).decode()))
    openmetrics = list(parse_openmetrics(generate_openmetrics(metrics.registry).decode()))
    for families in (text, openmetrics):
        seen = [(sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples]
        assert len(seen) == len(set(seen))
        assert {name for name, *_ in seen} <= names()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(Index())


def counted(metrics: Metrics) -> dict[str, float]:
    """The counters that have counted."""

    def samples() -> Iterator[tuple[str, float]]:
        for family in metrics.registry.collect():
            for sample in family.samples:
                if sample.name.startswith("bertfinetune_operator_") and not sample.name.endswith("_bucket"):
                    labels = ",".join(f"{value}" for value in sample.labels.values())
                    yield f"{sample.name.removeprefix('bertfinetune_operator_')}({labels})", sample.value

    ours = dict(samples())
    assert ours.pop(f"info({__version__})") == 1
    return {name: value for name, value in ours.items() if value}


STARTED = {"phase": "Running", "startTime": "2026-01-02T03:01:00Z"}
RETRYING = {"phase": "Retrying", "reason": "OOMKilled", "nextAttemptTime": "2026-01-02T03:05:00Z"}
AGAIN = RETRYING | {"reason": "NodeLost", "nextAttemptTime": "2026-01-02T03:07:00Z"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, {"phase": "Pending"}, {}),
        (
            {"phase": "Pending"},
            STARTED,
            {"run_wait_seconds_count(Ascend910)": 1, "run_wait_seconds_sum(Ascend910)": 60},
        ),
        (STARTED, STARTED | {"progress": PROGRESS}, {}),
        (STARTED, STARTED | RETRYING, {"retries_total(OOMKilled)": 1}),
        (STARTED | RETRYING, STARTED, {}),
        (STARTED | RETRYING, STARTED | RETRYING | {"message": "longer"}, {}),
        (STARTED | RETRYING, STARTED | AGAIN, {"retries_total(NodeLost)": 1}),
        (
            STARTED,
            STARTED | {"phase": "Succeeded", "reason": "Completed", "result": RESULT},
            {"finished_total(Succeeded,Completed)": 1},
        ),
        (
            STARTED,
            STARTED | {"phase": "Failed", "reason": "BadData", "lastFailure": {"class": "BadData"}},
            {"finished_total(Failed,BadData)": 1},
        ),
        (
            STARTED,
            STARTED | RETRYING | {"reason": "Collapsed", "trials": [COLLAPSED]},
            {"collapses_total()": 1, "retries_total(Collapsed)": 1},
        ),
        (
            STARTED | {"trials": [COLLAPSED]},
            STARTED | {"phase": "Failed", "reason": "Collapsed", "trials": [COLLAPSED], "result": COLLAPSED},
            {"collapses_total()": 1, "finished_total(Failed,Collapsed)": 1},
        ),
        (  # the result of a trial becomes a trial
            STARTED | {"result": COLLAPSED},
            STARTED | {"trials": [COLLAPSED]},
            {},
        ),
    ],
)
def test_what_a_write_of_the_status_counts(
    metrics: Metrics, before: dict[str, Any] | None, after: dict[str, Any], expected: dict[str, float]
) -> None:
    metrics.changed(defaulted(before), defaulted(copy.deepcopy(after)))
    assert counted(metrics) == expected


def test_what_can_be_foreseen_begins_at_zero(metrics: Metrics) -> None:
    text = generate_latest(metrics.registry).decode()
    for series in (
        'reconciles_total{result="error"}',
        'retries_total{reason="DeviceFault"}',
        'finished_total{phase="Failed",reason="DeadlineExceeded"}',
        'finished_total{phase="Succeeded",reason="Succeeded"}',
        'run_wait_seconds_count{accelerator="CPU"}',
    ):
        assert f"bertfinetune_operator_{series} 0.0\n" in text


def test_passes_and_requests(metrics: Metrics) -> None:
    metrics.requested("patch", "200", 0.25)
    with metrics.reconciling(make.KEY):
        pass
    with pytest.raises(RuntimeError), metrics.reconciling(make.KEY):
        raise RuntimeError
    seen = counted(metrics)
    assert seen.pop("reconcile_duration_seconds_sum()") > 0
    assert seen == {
        "api_requests_total(patch,200)": 1,
        "api_request_duration_seconds_count(patch)": 1,
        "api_request_duration_seconds_sum(patch)": 0.25,
        "reconciles_total(success)": 1,
        "reconciles_total(error)": 1,
        "reconcile_duration_seconds_count()": 2,
    }
    text = generate_openmetrics(metrics.registry).decode()
    assert f'# {{namespace="research",uid="{make.UID}"}}' in text
    assert "_created" not in generate_latest(metrics.registry).decode().replace("bertfinetune_created", "")


def test_an_exemplar_fits_the_longest_key(metrics: Metrics) -> None:
    with metrics.reconciling(make.KEY._replace(namespace="n" * 63)):  # OpenMetrics allows 128 characters
        pass
    assert "n" * 63 in generate_openmetrics(metrics.registry).decode()
