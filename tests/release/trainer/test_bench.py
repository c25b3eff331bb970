"""The benchmark and the accuracy run as a whole, on a tiny model."""

import functools
import json
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from lab.bench.trainer import accuracy, floor, programs, trainer
from lab.bench.trainer.programs import Measured
from lab.bench.trainer.recipes import Recipe
from support.trainer import small_bert, small_task
from support.trainer.places import PROJECT


@pytest.fixture(autouse=True)
def _bench_in_child_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT / "tests"))


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
    monkeypatch.setattr(programs, "pytorch", lambda *_: Measured(900.0, 100.0, 5.0, 1000.0, None, {}))
    monkeypatch.setattr(trainer.shutil, "rmtree", lambda _path, **_options: None)
    sizes = {"small_steps": 6, "base_steps": 6, "batch_size": 4, "max_seq_length": small_task.WIDTH}
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


def test_floating_point_operations_of_a_pair() -> None:
    hidden, wide, length = 64, 128, 10
    per_token = 2 * (4 * hidden**2 + 2 * hidden * wide)  # the first layer's weights, for every token
    attention = 2 * 2 * length * hidden  # scores and their sum, a query
    last = length * 2 * 2 * hidden**2 + 2 * (2 * hidden**2 + 2 * hidden * wide) + attention  # [CLS] alone asks
    expected = length * (per_token + attention) + last + 2 * hidden**2
    assert floor.forward_flops(length, small_bert.CONFIG) == expected


def test_products_are_timed() -> None:
    assert 1e8 < floor.products_per_second([(64, 64, 64)]) < 1e14


def test_fine_tuning_with_a_recipe(
    model_folder: Path,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    flags = {"train_batch_size": 8, "num_train_epochs": 1.0, "max_seq_length": small_task.WIDTH}
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
