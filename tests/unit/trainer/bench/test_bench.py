"""The benchmark's and the accuracy run's own code: what they read, count and print."""

import json
import sys
from pathlib import Path

import pytest

from lab.bench.trainer import accuracy, programs, report
from lab.bench.trainer.child import BenchError, Line, Run
from lab.bench.trainer.programs import Measured
from lab.bench.trainer.report import Duel, Duels, Limit


def measured(ms: float, seconds: float = 100.0, peak: float = 1000.0) -> Measured:
    return Measured(ms, seconds, 5.0, peak, 0.8, {"steps": 60.0, "evaluation": 10.0})


DUELS = Duels(
    small=Duel([measured(2600), measured(2800), measured(9000)], [measured(700), measured(800), measured(600)]),
    base=Duel([measured(18000, peak=9900)], [measured(4500, peak=3000)]),
    whole=Duel([measured(2600, 360, 4300)], [measured(700, 100, 1500)]),
    small_pytorch=Duel([measured(770)], [measured(700)]),
    base_pytorch=Duel([measured(6750, peak=6000)], [measured(4500, peak=3000)]),
)


def test_the_last_line() -> None:
    assert json.loads(report.last_line(DUELS)) == {
        "bench": "trainer",
        "step_ratio": 4.0,  # medians: an outlier of one turn does not count
        "step_ratio_base": 4.0,
        "end_to_end_ratio": 3.6,
        "start_seconds": 5.0,
        "peak_rss_mb": 1500,  # the largest with the small model
        "pytorch_ratio": 1.1,
        "pytorch_ratio_base": 1.5,
    }


def test_the_table_of_both() -> None:
    lines = report.comparison(DUELS).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "| ms/step, 6x384" in lines[2]
    assert [cell.strip() for cell in lines[2].split("|")[2:5]] == ["2800", "700", "4.00"]
    assert [cell.strip() for cell in lines[-1].split("|")[2:5]] == ["9900", "3000", "3.30"]


def test_the_table_beside_pytorch() -> None:
    lines = report.beside_pytorch(DUELS).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[2:4]] == ["PyTorch", "ours"]
    assert [[cell.strip() for cell in line.split("|")[2:5]] for line in lines[2:]] == [
        ["770", "700", "1.10"],
        ["6750", "4500", "1.50"],
        ["1000", "1000", "1.00"],
        ["6000", "3000", "2.00"],
    ]


def test_the_limit() -> None:
    text = report.limits(DUELS, Limit(0.35, 60.0, 180.0, 1700.0), Limit(4.5, 800.0, 180.0, 1700.0))
    small, base = ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[2:])
    assert small == ["6x384", "60.0", "180", "350", "700", "50%", "8.00"]
    assert base[-2:] == ["100%", "4.00"]


def test_operations_beyond_those_shown_are_summed() -> None:
    types = [(f"Op{number}", 10.0) for number in range(report.SHOWN_OPERATIONS + 5)]
    *_, others, total = report.operations(123.4, types).splitlines()
    assert [cell.strip() for cell in others.split("|")[1:4]] == ["all others", "50.0", "25.0%"]
    assert [cell.strip() for cell in total.split("|")[1:4]] == ["sum, in a step of 123 ms", "200.0", "100.0%"]


def test_phases_and_what_lies_outside_of_them() -> None:
    *_, last = report.phases(measured(700)).splitlines()
    assert [cell.strip() for cell in last.split("|")[1:4]] == ["outside of them", "30.0", "30.0%"]


def run_of(*texts: str) -> Run:
    return Run(60.0, 4000.0, [Line(10.0 + number, text) for number, text in enumerate(texts)])


def test_the_reference_s_log() -> None:
    rates = ["0.1", "0.5", "0.25", "0.4", "noise"]
    lines = [prefix + "global_step/sec: " + rate for rate in rates[:4] for prefix in ("INFO:tensorflow:", "I1122 x] ")]
    found = programs.read_reference(run_of(*lines, "INFO:tensorflow:  eval_accuracy = 0.75"))
    assert found == Measured(2500.0, 60.0, 0.0, 4000.0, 0.75, {})  # the first rate is step 2's, which is not timed


def test_too_few_steps_of_the_reference() -> None:
    with pytest.raises(BenchError, match="2 steps are too few"):
        programs.read_reference(run_of("INFO:tensorflow:global_step/sec: 0.5"))


def test_our_result() -> None:
    outcome = {"msPerStep": 700.0, "accuracy": 0.8, "phases": {"steps": 50.0}}
    lines = ("2026-01-01 00:00:00,000 720 pairs", "2026-01-01 00:00:02,000 step 1/14 (7%) loss 0.7")
    found = programs.read_ours(run_of(*lines), json.dumps(outcome))
    assert found == Measured(700.0, 60.0, 11.0, 4000.0, 0.8, {"steps": 50.0})
    with pytest.raises(BenchError, match="timed no step"):
        programs.read_ours(run_of(*lines), json.dumps(dict(outcome, msPerStep=None)))


def test_pytorch_s_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "lab/bench/pytorch/fine_tuning.py"
    program.parent.mkdir(parents=True)
    program.write_text("print('step 1/2 loss 0.7, 0.30 s')\nprint('{\"msPerStep\": 710.5}')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    job = programs.Job(tmp_path, tmp_path, 0.5, False, 32, 128)
    found = programs.pytorch(sys.executable, job, tmp_path / "work")
    assert (found.ms_per_step, found.accuracy, found.phases) == (710.5, None, {})
    assert 0 < found.start_seconds <= found.seconds


@pytest.mark.parametrize(("steps", "examples", "batch"), [(14, 3668, 32), (6, 720, 32), (1, 40, 8)])
def test_epochs_become_the_wanted_steps(steps: int, examples: int, batch: int) -> None:
    assert int(examples / batch * programs.epochs_of(steps, examples, batch)) == steps


def test_accuracy_by_seed() -> None:
    outcomes = [
        {"seed": seed, "accuracy": score, "f1": 0.87, "matthews": 0.5, "msPerStep": 600.4, "durationSeconds": 250}
        for seed, score in ((1, 0.81), (2, 0.84), (3, 0.82))
    ]
    lines = accuracy.summary(outcomes).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["1", "0.8100", "0.8700", "0.5000", "600", "250"]
    assert [line.split("|")[2].strip() for line in lines[-3:]] == ["0.8200", "0.8100", "0.8400"]
    assert len(accuracy.summary(outcomes[:1]).splitlines()) == 3  # one seed has no spread
