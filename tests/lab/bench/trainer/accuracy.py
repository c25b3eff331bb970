"""`python -m lab.bench.trainer.accuracy`: fine-tunes with a recommended recipe, once a seed, and prints a table.

A run that was interrupted goes on from its checkpoint, one that has finished is not repeated.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

from lab.bench.trainer.machine import machine
from lab.bench.trainer.recipes import RECIPES, Recipe
from lab.bench.trainer.report import table

Outcome = Dict[str, Any]
COLUMNS: Sequence[Tuple[str, str, Callable[[float], str]]] = (
    ("accuracy", "accuracy", "{:.4f}".format),
    ("F1", "f1", "{:.4f}".format),
    ("Matthews", "matthews", "{:.4f}".format),
    ("ms/step", "msPerStep", "{:.0f}".format),
    ("duration, s", "durationSeconds", "{:.0f}".format),
)


def fine_tune(recipe: Recipe, seed: int, places: Dict[str, Path]) -> Outcome:
    """Runs the trainer, whose log stays visible, and returns its result; its exit code is ours when it fails."""
    # With an identity a finished run reports its result again instead of refusing its folder.
    flags = {**recipe.flags, **places, "seed": seed, "run_id": "accuracy"}
    command = [sys.executable, "-m", "bert_trainer", *(f"--{name}={value}" for name, value in flags.items())]
    exit_code = subprocess.run(command, check=False).returncode
    if exit_code:
        raise SystemExit(exit_code)
    return json.loads((places["output_dir"] / "result.json").read_text())


def summary(outcomes: Sequence[Outcome]) -> str:
    """Returns the results by seed as a Markdown table, with their median and spread where there are several."""
    rows = [(str(outcome["seed"]), *(shown(outcome[key]) for _, key, shown in COLUMNS)) for outcome in outcomes]
    if len(outcomes) > 1:
        columns = [([outcome[key] for outcome in outcomes], shown) for _, key, shown in COLUMNS]
        rows.append(("median", *(shown(statistics.median(values)) for values, shown in columns)))
        rows.append(("lowest", *(shown(min(values)) for values, shown in columns)))
        rows.append(("highest", *(shown(max(values)) for values, shown in columns)))
    return table(("seed", *(title for title, _, _ in COLUMNS)), rows)


def main(arguments: List[str]) -> int:
    """Fine-tunes with every seed of the recipe; 1 when a run stays below the recipe's floor."""
    parser = argparse.ArgumentParser(prog="python -m lab.bench.trainer.accuracy", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with train.tsv and dev.tsv")
    parser.add_argument("--weights", type=Path, required=True, metavar="DIR", help="one of " + ", ".join(RECIPES))
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="keeps each run's folder")
    options = parser.parse_args(arguments)
    recipe, outcomes = RECIPES[options.weights.name], []
    print(machine(), flush=True)
    for number, seed in enumerate(recipe.seeds, start=1):
        print(f"[{number}/{len(recipe.seeds)}] {recipe.title}, seed {seed}, {options.data}", flush=True)
        output = options.work / options.weights.name / f"seed-{seed}"
        places = {"data_path": options.data, "model_path": options.weights, "output_dir": output}
        outcomes.append(fine_tune(recipe, seed, places))
    print(f"\n{recipe.title}: " + " ".join(f"--{name}={value}" for name, value in recipe.flags.items()))
    print("\n" + summary(outcomes))
    below = [outcome["seed"] for outcome in outcomes if outcome["accuracy"] < recipe.floor]
    if below:
        print(f"accuracy: below {recipe.floor} with seed {', '.join(map(str, below))}", file=sys.stderr)
    return bool(below)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
