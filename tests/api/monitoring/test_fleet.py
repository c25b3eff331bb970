"""What Prometheus answers to the Fleet dashboard's numbers, as promtool has it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster.layout import PROJECT
from lab.monitoring import queries

FLEET = json.loads((PROJECT / "charts/bertfinetune-operator/files/dashboards/fleet.json").read_text())
ANY = {"cluster": ".*", "namespace": ".*"}


def series(metric: str, name: str, values: str, **labels: str) -> dict[str, str]:
    text = ",".join(f'{key}="{value}"' for key, value in {"namespace": "lab", "name": name, **labels}.items())
    return {"series": f"bertfinetune_{metric}{{{text}}}", "values": values}


def phase(name: str, values: str, phase: str, reason: str) -> dict[str, str]:
    return series("status_phase", name, values, phase=phase, reason=reason)


TRAINS = [phase("trains", "1x60", "Running", "Training"), series("progress_ratio", "trains", "0+0.01x60")]
HANGS = [phase("hangs", "1x60", "Running", "Training"), series("progress_ratio", "hangs", "0.5x60")]
EVALUATES = [phase("long", "1x60", "Running", "Evaluating"), series("progress_ratio", "long", "0.5x60")]
HAS_EVALUATED = [
    phase("back", "1x25 stale", "Running", "Evaluating"),
    phase("back", "_x26 1x30", "Running", "Training"),
    series("progress_ratio", "back", "0.5x60"),
]
WAITS = [
    phase("waits", "1x60", "Pending", "Unschedulable"),
    series("waiting_since_timestamp_seconds", "waits", "1200x60"),
]
RESUMED = [
    phase("resumed", "1x20 stale", "Suspended", "Suspended"),
    phase("resumed", "_x21 1x40", "Queued", "Queued"),
    series("waiting_since_timestamp_seconds", "resumed", "0x20 1500x40"),
    series("created_timestamp_seconds", "resumed", "0x60"),
]
RUNS = [phase("runs", "1x60", "Running", "Training"), series("waiting_since_timestamp_seconds", "runs", "0x60")]


@pytest.mark.parametrize(
    ("title", "told", "answer"),
    [
        ("Stuck", [*TRAINS, *HANGS, *EVALUATES, *HAS_EVALUATED], 1),
        ("Stuck", [*TRAINS, *EVALUATES, *HAS_EVALUATED], 0),
        ("Longest wait now", [*RESUMED, *RUNS], 300),
        ("Longest wait now", [*RESUMED, *RUNS, *WAITS], 600),
        ("Longest wait now", RUNS, 0),
    ],
)
def test_after_half_an_hour_it_says(title: str, told: list[dict[str, str]], answer: int, tmp_path: Path) -> None:
    """An evaluation is not stuck, however long it takes, and what was resumed waits since then only."""
    (target,) = (target for target in queries.targets(FLEET) if target.title == title)
    check = {
        "expr": queries.substitute(target.expr, ANY),
        "eval_time": "30m",
        "exp_samples": [{"labels": "{}", "value": answer}],
    }
    case: dict[str, Any] = {"interval": "1m", "input_series": told, "promql_expr_test": [check]}
    file = tmp_path / "fleet.test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [case]}))
    done = subprocess.run(["promtool", "test", "rules", file], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
