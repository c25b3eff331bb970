"""Metrics and progress as a scraper and the operator see them."""

import errno
import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional

import pytest

from bert_trainer import contract
from bert_trainer.errors import BadConfigError
from bert_trainer.reporting import telemetry
from bert_trainer.reporting.clock import PHASES
from bert_trainer.reporting.telemetry import StepTimes, Telemetry, serve
from lab.trainer import metrics_table
from support.trainer.serving import fetch, serving

# After bert_trainer.reporting.telemetry, which sets it up.
# isort: split
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

PEAK = 1051721728


@pytest.fixture(autouse=True)
def container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A container's peak of memory, where cgroups of version 1 have it."""
    peak = tmp_path / "memory.max_usage_in_bytes"
    peak.write_text(f"{PEAK}\n")
    monkeypatch.setattr(telemetry, "PEAK_MEMORY_FILES", (tmp_path / "memory.peak", peak))
    return peak


def test_without_a_cgroup_the_peak_is_the_processs(container: Path) -> None:
    container.unlink()
    assert 2**20 < telemetry.peak_memory() < 2**40


@pytest.fixture
def run() -> Telemetry:
    return Telemetry("npu-simulated", "MRPC", started=time.monotonic() - 5.0)


@pytest.fixture
def address(run: Telemetry) -> Iterator[str]:
    with serving(run) as address:
        yield address


def scrape(address: str) -> Dict[str, float]:
    samples = {}
    for family in text_string_to_metric_families(fetch(address + contract.METRICS_PATH)):
        for sample in family.samples:
            assert sample.labels["backend"] == "npu-simulated", sample
            assert not sample.name.endswith("_created")
            if "le" not in sample.labels:
                samples[sample.name + sample.labels.get("phase", "")] = sample.value
    return samples


# What Prometheus 2.42 and a person's curl ask for.
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
TEXT = "*/*"


@pytest.fixture
def telling() -> Iterator[str]:
    """Serves a run that has a value for each metric."""
    with serving(metrics_table.telling()) as address:
        yield address + contract.METRICS_PATH


@pytest.mark.parametrize(
    ("accept", "content_type", "rich"),
    [
        (OPENMETRICS, "application/openmetrics-text; version=0.0.1; charset=utf-8", True),
        (TEXT, "text/plain; version=0.0.4; charset=utf-8", False),
    ],
    ids=["OpenMetrics", "text"],
)
def test_the_format_is_the_one_asked_for(telling: str, accept: str, content_type: str, rich: bool) -> None:
    with urllib.request.urlopen(urllib.request.Request(telling, headers={"Accept": accept}), timeout=5) as answer:
        assert answer.headers["Content-Type"] == content_type
        body = answer.read().decode()
    assert body.endswith("# EOF\n") == ("step=" in body) == rich


def test_both_formats_say_the_same(telling: str) -> None:
    def samples(families: Iterable[Any]) -> set:
        found = (sample for family in families for sample in family.samples)
        return {(sample.name, *sorted(sample.labels.items())) for sample in found}

    text, openmetrics = fetch(telling, Accept=TEXT), fetch(telling, Accept=OPENMETRICS)
    assert samples(text_string_to_metric_families(text)) == samples(openmetrics_families(openmetrics))


def test_a_bucket_names_the_last_step_in_it(telling: str) -> None:
    buckets = {
        sample.labels["le"]: (sample.exemplar.labels, sample.exemplar.value)
        for family in openmetrics_families(fetch(telling, Accept=OPENMETRICS))
        for sample in family.samples
        if sample.exemplar
    }
    expected = {"30.0": (141, 30.0), "2.0": (142, 2.0), "1.0": (143, 1.0), "0.5": (144, 0.5)}
    assert buckets == {bound: ({"step": str(step)}, seconds) for bound, (step, seconds) in expected.items()}


def test_the_document_lists_every_metric() -> None:
    named = {value for name, value in vars(contract).items() if name.startswith("METRIC_")}
    assert named == {family.name for family in metrics_table.telling().registry.collect()}
    assert metrics_table.DOCUMENT.read_text() == metrics_table.document(), "python tests/lab/trainer/metrics_table.py"


def test_before_the_first_step(address: str) -> None:
    samples = scrape(address)
    phases = {name: samples.pop(name) for name in list(samples) if name.startswith(contract.METRIC_PHASE_SECONDS)}
    assert list(phases) == [contract.METRIC_PHASE_SECONDS + phase for phase in PHASES]
    assert phases.pop(contract.METRIC_PHASE_SECONDS + "import") == pytest.approx(5.0, abs=1.0)
    assert set(phases.values()) == {0.0}
    assert samples == {
        contract.METRIC_INFO: 1.0,
        contract.METRIC_STEP_DURATION + "_count": 0.0,
        contract.METRIC_STEP_DURATION + "_sum": 0.0,
    }
    progress = json.loads(fetch(address + contract.PROGRESS_PATH))
    assert tuple(progress) == contract.PROGRESS_KEYS
    assert progress == {
        "phase": "Preparing",
        "step": 0,
        "totalSteps": 0,
        "percent": 0,
        "etaSeconds": None,
        "loss": None,
        "msPerStep": None,
        "epoch": 0.0,
        "collapsed": None,
        "evalBatches": 0,
        "peakMemoryBytes": PEAK,
    }


def test_a_run(run: Telemetry, address: str) -> None:
    run.start(140, 343, epochs=3.0)
    for step, seconds in ((141, 30.0), (142, 2.0), (143, 1.0), (144, 0.5)):
        run.step(step, 0.43219, seconds, 32, learning_rate=1.5e-5)
    assert json.loads(fetch(address + contract.PROGRESS_PATH)) == {
        "phase": "Training",
        "step": 144,
        "totalSteps": 343,
        "percent": 41,
        "etaSeconds": round(199 * 0.75),
        "loss": 0.4322,
        "msPerStep": 750.0,
        "epoch": 1.26,
        "collapsed": None,
        "evalBatches": 0,
        "peakMemoryBytes": PEAK,
    }
    samples = scrape(address)
    assert samples[contract.METRIC_GLOBAL_STEP] == 144
    assert samples[contract.METRIC_STEPS] == 343
    assert samples[contract.METRIC_STEP_DURATION + "_count"] == 4
    assert samples[contract.METRIC_STEP_DURATION + "_sum"] == 33.5
    assert samples[contract.METRIC_LOSS] == pytest.approx(0.43219)
    assert samples[contract.METRIC_EXAMPLES_PER_SECOND] == pytest.approx(64 / 1.5, abs=0.01)
    assert samples[contract.METRIC_LEARNING_RATE] == pytest.approx(1.5e-5)
    assert samples[contract.METRIC_EPOCH] == 1.26
    assert not set(EVALUATION_GAUGES) & set(samples)


def test_each_evaluation_batch_shows(run: Telemetry, address: str) -> None:
    """So that a long evaluation is not taken for a standstill; the next evaluation counts on."""
    run.start(0, 343, epochs=3.0)
    seen = [
        (batch, json.loads(fetch(address + contract.PROGRESS_PATH))["evalBatches"])
        for _ in range(2)
        for batch in run.evaluation_batches(iter("abc"))
    ]
    assert seen == [("a", 1), ("b", 2), ("c", 3), ("a", 4), ("b", 5), ("c", 6)]


EVALUATION_GAUGES = (
    contract.METRIC_EVAL_ACCURACY,
    contract.METRIC_EVAL_F1,
    contract.METRIC_EVAL_MATTHEWS,
    contract.METRIC_COLLAPSED,
)


@pytest.mark.parametrize(
    ("evaluation", "shown"),
    [
        ({"accuracy": 0.81, "f1": 0.87, "loss": 0.4, "collapsed": False}, [0.81, 0.87, None, 0.0]),
        ({"matthews": -0.02, "collapsed": True}, [None, None, -0.02, 1.0]),
        ({"pearson": None, "accuracy": None, "collapsed": True}, [None, None, None, 1.0]),
    ],
)
def test_evaluations(run: Telemetry, address: str, evaluation: Dict[str, Any], shown: List[Optional[float]]) -> None:
    run.start(0, 343, epochs=3.0)
    with run.evaluating():
        assert json.loads(fetch(address + contract.PROGRESS_PATH))["phase"] == "Evaluating"
        time.sleep(0.05)
    run.evaluated(evaluation)
    samples, progress = scrape(address), json.loads(fetch(address + contract.PROGRESS_PATH))
    assert [samples.get(gauge) for gauge in EVALUATION_GAUGES] == shown
    assert (progress["phase"], progress["collapsed"]) == ("Training", evaluation["collapsed"])
    assert samples[contract.METRIC_PHASE_SECONDS + "evaluation"] >= 0.05


def test_what_an_earlier_process_spent_is_part_of_the_run(run: Telemetry) -> None:
    run.start(0, 10, epochs=1.0)
    for step in range(1, 5):
        run.step(step, 0.5, 1.0, 8, learning_rate=1e-5)
    run.clock.enter("steps")
    later = Telemetry("npu-simulated", "MRPC", started=time.monotonic())
    later.resume(json.loads(json.dumps(run.spent())))
    later.start(4, 10, epochs=1.0)
    for step in range(5, 9):
        later.step(step, 0.5, 3.0, 8, learning_rate=1e-5)
    assert later.progress["msPerStep"] == 2000.0  # two counted steps of one second, two of three
    assert later.times.examples_per_second == 4.0
    assert later.clock.seconds()["import"] == pytest.approx(5.0, abs=1.0)
    later.resume({})  # the file was lost
    assert later.progress["msPerStep"] == 2000.0


@pytest.mark.parametrize("path", ["/metrics", "/progress"])
def test_a_query_is_no_part_of_the_path(address: str, path: str) -> None:
    with urllib.request.urlopen(address + path + "?timeout=5s", timeout=5) as answer:
        assert answer.status == 200


def test_other_paths_are_not_found(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as answer:
        fetch(address + "/")
    assert answer.value.code == 404


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_both_families_are_served(address: str, host: str) -> None:
    port = address.rsplit(":", 1)[1]
    for path in (contract.METRICS_PATH, contract.PROGRESS_PATH):
        assert fetch(f"http://{host}:{port}{path}")


def test_a_machine_without_ipv6_serves_ipv4(run: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    family = 9999  # one that this kernel lacks, as another may lack IPv6
    with pytest.raises(OSError, match="Address family not supported"):
        socket.socket(family)
    monkeypatch.setattr(telemetry.DualStackServer, "address_family", family)
    with serving(run) as address:
        assert json.loads(fetch(address + contract.PROGRESS_PATH))["phase"] == "Preparing"


def test_a_machine_with_ipv6_turned_off_serves_ipv4(run: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    def bind(_server: Any) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr(telemetry.DualStackServer, "server_bind", bind)
    with serving(run) as address:
        assert json.loads(fetch(address + contract.PROGRESS_PATH))["phase"] == "Preparing"


def test_a_taken_port_is_a_wrong_flag(run: Telemetry) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadConfigError, match=f"--metrics_port={port}: Address already in use"):
            serve(run, port)


def test_step_times_leave_the_first_steps_out() -> None:
    times = StepTimes()
    for _ in range(telemetry.UNTIMED_STEPS):
        times.add(100.0, 32)
        assert (times.ms_per_step, times.examples_per_second) == (None, None)
    times.add(0.1, 32)
    times.add(0.3, 30)
    assert (times.ms_per_step, times.examples_per_second) == (200.0, 155.0)
