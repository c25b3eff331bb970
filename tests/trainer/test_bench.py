"""The benchmark's and the accuracy run's own code: what they read, count and print, on a tiny model."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
import small_bert

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests/, where the package bench lies

from bench import accuracy, child, floor, programs, report, trainer
from bench.child import BenchError, Line, Run
from bench.programs import Measured
from bench.recipes import Recipe
from bench.report import Duel, Duels, Limit


@pytest.fixture(autouse=True)
def _bench_in_child_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))


def measured(ms: float, seconds: float = 100.0, peak: float = 1000.0) -> Measured:
    return Measured(ms, seconds, 5.0, peak, 0.8, {"steps": 60.0, "evaluation": 10.0})


DUELS = Duels(
    small=Duel([measured(2600), measured(2800), measured(9000)], [measured(700), measured(800), measured(600)]),
    base=Duel([measured(18000, peak=9900)], [measured(4500, peak=3000)]),
    whole=Duel([measured(2600, 360, 4300)], [measured(700, 100, 1500)]),
    small_pytorch=Duel([measured(770)], [measured(700)]),
    base_pytorch=Duel([measured(6750, peak=6000)], [measured(4500, peak=3000)]),
)


def test_the_whole_benchmark(
    model_folder: Path,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    for name in ("reference", "ours"):  # once each: a process takes as long to start as the rest of this test
        program = getattr(programs, name)
        monkeypatch.setattr(programs, name, functools.partial(once, program, {}))
    monkeypatch.setattr(programs, "pytorch", lambda *_: measured(900))
    monkeypatch.setattr(trainer.shutil, "rmtree", lambda _path, **_options: None)
    sizes = {"small_steps": 6, "base_steps": 6, "batch_size": 4, "max_seq_length": small_bert.WIDTH}
    trainer.measure(
        trainer.Plan(data_folder, model_folder, model_folder, sys.executable, tmp_path / "work", turns=1, **sizes)
    )
    output = capsys.readouterr().out
    *_, line = output.splitlines()
    result = json.loads(line)
    ratios = ["step_ratio", "step_ratio_base", "end_to_end_ratio"]
    beside_pytorch = ["pytorch_ratio", "pytorch_ratio_base"]
    assert list(result) == ["bench", *ratios, "start_seconds", "peak_rss_mb", *beside_pytorch]
    assert result["bench"] == "trainer"
    assert all(result[name] > 0 for name in (*ratios, *beside_pytorch, "start_seconds"))
    assert result["peak_rss_mb"] > 100  # TensorFlow alone
    assert "[11/11] one step of ours by operation" in output
    assert "MatMul" in output


def once(program: Any, known: Dict[str, Measured], job: programs.Job, folder: Path) -> Measured:
    if not known:
        known["result"] = program(job, folder)
        assert known["result"].seconds > known["result"].start_seconds > 0
    return known["result"]


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


def test_floating_point_operations_of_a_pair() -> None:
    hidden, wide, length = 64, 128, 10
    per_token = 2 * (4 * hidden**2 + 2 * hidden * wide)  # the first layer's weights, for every token
    attention = 2 * 2 * length * hidden  # scores and their sum, a query
    last = length * 2 * 2 * hidden**2 + 2 * (2 * hidden**2 + 2 * hidden * wide) + attention  # [CLS] alone asks
    expected = length * (per_token + attention) + last + 2 * hidden**2
    assert floor.forward_flops(length, small_bert.CONFIG) == expected


def test_products_are_timed() -> None:
    assert 1e8 < floor.products_per_second([(64, 64, 64)]) < 1e14


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
    program = tmp_path / "bench_pytorch/fine_tuning.py"
    program.parent.mkdir()
    program.write_text("print('step 1/2 loss 0.7, 0.30 s')\nprint('{\"msPerStep\": 710.5}')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    job = programs.Job(tmp_path, tmp_path, 0.5, False, 32, 128)
    found = programs.pytorch(sys.executable, job, tmp_path / "work")
    assert (found.ms_per_step, found.accuracy, found.phases) == (710.5, None, {})
    assert 0 < found.start_seconds <= found.seconds


@pytest.mark.parametrize(("steps", "examples", "batch"), [(14, 3668, 32), (6, 720, 32), (1, 40, 8)])
def test_epochs_become_the_wanted_steps(steps: int, examples: int, batch: int) -> None:
    assert int(examples / batch * programs.epochs_of(steps, examples, batch)) == steps


def test_a_child_s_time_memory_and_output(tmp_path: Path) -> None:
    program = "import time; print('one'); time.sleep(0.2); x = b'1' * 200_000_000; print('two')"
    run = child.run(["-c", program], tmp_path / "log")
    assert [line.text for line in run.lines] == ["one", "two"]
    assert 0.2 <= run.lines[1].seconds - run.lines[0].seconds <= run.seconds
    assert run.peak_rss_mb > 200
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_child_s_memory_is_its_own(tmp_path: Path) -> None:
    """Asked of a small process, as the bench is one: to Linux a child's peak begins with what its parent held."""
    measure = "import pathlib, sys; from bench import child; print(child.run(['-c', ''], pathlib.Path(sys.argv[1]))[1])"
    printed = subprocess.check_output([sys.executable, "-c", measure, str(tmp_path / "log")])
    assert 5 < float(printed) < 50


@pytest.mark.parametrize(("pattern", "shown"), [("at (\\d+)/", "step 50"), ("at ", "step 2")])
def test_a_child_s_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, pattern: str, shown: str
) -> None:
    monkeypatch.setattr(child, "SECONDS_BETWEEN_LINES", 0.0)
    child.run(["-c", "print('at 49/99'); print('so'); print('at 50/99')"], tmp_path / "log", pattern)
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()][1:] == [shown]


def test_a_child_that_fails(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"(?s)ended with 3; all of it is in .*log:.*\nbad luck"):
        child.run(["-c", "print('bad luck'); raise SystemExit(3)"], tmp_path / "log")


def test_a_child_dies_with_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt) as caught:
        child.run(["-c", "import time; time.sleep(600)"], tmp_path / "log")
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(caught.value)), 0)


def interrupted(process: Any, *_others: Any) -> None:
    raise KeyboardInterrupt(process.pid)


def test_accuracy_by_seed() -> None:
    outcomes = [
        {"seed": seed, "accuracy": score, "f1": 0.87, "matthews": 0.5, "msPerStep": 600.4, "durationSeconds": 250}
        for seed, score in ((1, 0.81), (2, 0.84), (3, 0.82))
    ]
    lines = accuracy.summary(outcomes).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["1", "0.8100", "0.8700", "0.5000", "600", "250"]
    assert [line.split("|")[2].strip() for line in lines[-3:]] == ["0.8200", "0.8100", "0.8400"]
    assert len(accuracy.summary(outcomes[:1]).splitlines()) == 3  # one seed has no spread


def test_fine_tuning_with_a_recipe(
    model_folder: Path,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    flags = {"train_batch_size": 8, "num_train_epochs": 1.0, "max_seq_length": small_bert.WIDTH}
    monkeypatch.setitem(accuracy.RECIPES, model_folder.name, Recipe("tiny", flags, seeds=(1,), floor=1.01))
    places = [f"--data={data_folder}", f"--weights={model_folder}", f"--work={tmp_path}"]
    assert accuracy.main(places) == 1  # no accuracy is that high
    output, errors = capfd.readouterr()
    assert "step 5/5" in output
    assert "tiny: --train_batch_size=8 --num_train_epochs=1.0" in output
    assert output.splitlines()[-1].startswith("| 1 ")
    assert "accuracy: below 1.01 with seed 1" in errors


def test_a_failed_run_ends_the_series(model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places: List[str] = ["--data=/nowhere", f"--weights={model_folder}", f"--work={tmp_path}"]
    monkeypatch.setitem(accuracy.RECIPES, model_folder.name, Recipe("tiny", {}, seeds=(1, 2), floor=0.0))
    with pytest.raises(SystemExit) as caught:
        accuracy.main(places)
    assert caught.value.code == 65
