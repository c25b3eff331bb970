"""`python -m lab.bench.trainer.trainer`: the published run_classifier, ours and PyTorch in turn, then JSON."""

import argparse
import functools
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple

from lab.bench.trainer import child, programs, report
from lab.bench.trainer.child import BenchError
from lab.bench.trainer.machine import machine
from lab.bench.trainer.programs import Job, Measured
from lab.bench.trainer.report import Duel, Duels, Limit

TRACED_STEPS = 6
Program = Callable[[Job, Path], Measured]


class Plan(NamedTuple):
    """What is compared on which task; a number of steps is that of one turn, the untimed ones included."""

    data: Path
    small: Path
    base: Path
    pytorch: str
    work: Path
    epochs: float = 1.0
    turns: int = 2
    small_steps: int = 14
    base_steps: int = 6
    batch_size: int = 32
    max_seq_length: int = 128


class Bench:
    """Runs the parts one after the other, in fresh processes, and says which."""

    def __init__(self, work: Path, parts: int) -> None:
        self._work = work
        self._parts = parts
        self._part = 0

    def turns(self, title: str, job: Job, turns: int, contenders: Mapping[str, Program]) -> Dict[str, List[Measured]]:
        """Lets the programs do the job, in turns; by name what each took."""
        measured: Dict[str, List[Measured]] = {name: [] for name in contenders}
        for _ in range(turns):
            for name, program in contenders.items():
                self._announce(f"{name}, {title}")
                measured[name].append(program(job, self._work / name))
                self._show(measured[name][-1])
                shutil.rmtree(str(self._work / name / "output"), ignore_errors=True)  # gigabytes, of those that save
        return measured

    def limit(self, model: str, job: Job) -> Limit:
        """Measures how long the matrix products of a step take here."""
        sizes = (str(job.batch_size), str(job.max_seq_length))
        return Limit(**self._ask(f"rate of matrix products, {model}", "floor", str(job.data), str(job.weights), *sizes))

    def trace(self, model: str, job: Job) -> Tuple[float, List[Tuple[str, float]]]:
        """Returns the milliseconds of one step of ours, and those of each type of operation in it."""
        output = self._work / "trace"
        shutil.rmtree(str(output), ignore_errors=True)
        step = self._ask(f"one step of ours by operation, {model}", "trace", *programs.our_flags(job, output))
        shutil.rmtree(str(output))
        return step

    def _ask(self, title: str, program: str, *arguments: str) -> Any:
        """Runs one of this package's programs and returns the JSON in its last line."""
        self._announce(title)
        return json.loads(
            child.run(["-m", f"lab.bench.trainer.{program}", *arguments], self._work / "log").lines[-1].text
        )

    def _announce(self, title: str) -> None:
        self._part += 1
        print(f"[{self._part}/{self._parts}] {title}", flush=True)

    @staticmethod
    def _show(measured: Measured) -> None:
        score = "" if measured.accuracy is None else f", accuracy {measured.accuracy:.4f}"
        line = "    {0.ms_per_step:.0f} ms/step, first step after {0.start_seconds:.1f} s, {0.seconds:.1f} s in all"
        print(line.format(measured) + f", {measured.peak_rss_mb:.0f} MB{score}", flush=True)


def measure(plan: Plan) -> None:
    """Measures and prints, which takes half an hour; raises BenchError when a part fails."""
    with (plan.data / "train.tsv").open("rb") as file:
        examples = sum(1 for _ in file) - 1
    print(f"corpus: {plan.data} ({examples} training pairs)\n{machine()}", flush=True)
    whole = Job(plan.data, plan.small, plan.epochs, True, plan.batch_size, plan.max_seq_length)
    small = whole._replace(evaluate=False, epochs=programs.epochs_of(plan.small_steps, examples, plan.batch_size))
    base = small._replace(weights=plan.base, epochs=programs.epochs_of(plan.base_steps, examples, plan.batch_size))
    traced = small._replace(epochs=programs.epochs_of(TRACED_STEPS, examples, plan.batch_size))

    contenders = {"reference": programs.reference, "ours": programs.ours}
    all_three = {**contenders, "PyTorch": functools.partial(programs.pytorch, plan.pytorch)}
    bench = Bench(plan.work, parts=6 * plan.turns + 2 + 3)
    in_small = bench.turns(f"6x384, {plan.small_steps} steps", small, plan.turns, all_three)
    in_base = bench.turns(f"BERT-Base, {plan.base_steps} steps", base, plan.turns, all_three)
    in_whole = bench.turns(f"6x384, from the start to the final metric, {plan.epochs:g} epochs", whole, 1, contenders)
    duels = Duels(
        small=Duel(in_small["reference"], in_small["ours"]),
        base=Duel(in_base["reference"], in_base["ours"]),
        whole=Duel(in_whole["reference"], in_whole["ours"]),
        small_pytorch=Duel(in_small["PyTorch"], in_small["ours"]),
        base_pytorch=Duel(in_base["PyTorch"], in_base["ours"]),
    )
    limits = [bench.limit(name, job) for name, job in (("6x384", small), ("BERT-Base", base))]
    step = bench.trace("6x384", traced)
    for title, text in (
        ("Reference and ours, medians of the turns", report.comparison(duels)),
        ("PyTorch with transformers and ours, medians of the turns", report.beside_pytorch(duels)),
        ("The limit on this machine: a step of matrix products alone", report.limits(duels, *limits)),
        ("Where a step of ours goes, 6x384", report.operations(*step)),
        ("Where a whole run of ours goes, 6x384", report.phases(duels.whole.ours[0])),
    ):
        print(f"\n{title}\n\n{text}")
    print("\n" + report.last_line(duels))


def parse(arguments: List[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m lab.bench.trainer.trainer", description=__doc__)
    for name, meaning in (
        ("data", "folder with train.tsv and dev.tsv in MRPC's format"),
        ("small", "weights of the 6x384 model"),
        ("base", "weights of BERT-Base"),
        ("work", "folder for logs and checkpoints"),
    ):
        parser.add_argument("--" + name, type=Path, required=True, metavar="DIR", help=meaning)
    parser.add_argument("--pytorch", required=True, metavar="PYTHON", help="an interpreter with torch and transformers")
    parser.add_argument("--epochs", type=float, default=1.0, metavar="N", help="of the whole run (default: 1)")
    return Plan(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    try:
        measure(parse(sys.argv[1:]))
    except BenchError as error:
        raise SystemExit(f"bench-trainer: {error}") from error
