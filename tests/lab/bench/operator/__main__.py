"""``python -m lab.bench.operator``: what ``make bench-operator`` runs. The last line of the output is JSON."""

import argparse
import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from lab.bench.operator import goals, measure, plane, report
from lab.bench.operator.results import Results
from lab.cluster.errors import ClusterError, exit_code
from lab.cluster.local import KUBECTL


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    n: int
    peer: bool
    check: bool


def machine() -> str:
    """Where it is measured: processor, kernel, versions, and how busy the machine was before."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in facts if line.startswith("model name")), platform.machine())
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    versions = f"Python {platform.python_version()}, kopf {version('kopf')}, Kubernetes {KUBECTL.client_version()}"
    return (
        f"machine: {cores} cores of {model}, Linux {platform.release()}, {versions}, load {load:.1f} before the start"
    )


def run_all(plan: Plan) -> Results:
    """Let every contender run, each on a fresh control plane."""
    total = 3 if plan.peer else 2

    def announce(number: int, what: str) -> None:
        print(f"[{number}/{total}] {plan.n} {what}", flush=True)

    announce(1, "bare Jobs")
    floor = measure.floor(plan.n)
    announce(2, "BertFinetunes, our operator")
    ours = measure.ours(plan.n)
    if not plan.peer:
        return Results(floor, ours, None)
    announce(3, "TFJobs, Kubeflow's training-operator")
    return Results(floor, ours, measure.peer(plan.n))


def bench(plan: Plan) -> None:
    """Measure and print; ClusterError when a contender fails or, if that is asked for, a goal is missed."""
    plane.check_machine(peer=plan.peer)
    print(machine(), flush=True)
    results = run_all(plan)
    for tell in (report.comparison, report.requests, report.programs):
        print(f"\n{tell(results)}")
    print(f"\n{report.further(results.ours)}\n")
    result = report.result(results)
    print(report.last_line(result), flush=True)
    if plan.check and (missed := goals.missed(result)):
        raise ClusterError("\n".join(("goals missed:", *missed)))


def parse(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m lab.bench.operator", description=__doc__)
    parser.add_argument("--n", type=int, default=500, metavar="N", help="objects of each contender (default: 500)")
    parser.add_argument("--peer", choices=("yes", "no"), default="yes", help="whether training-operator takes part")
    parser.add_argument("--check", action="store_true", help="exit 1 and name the goals that are missed")
    options = parser.parse_args(arguments)
    if options.n < 1:
        parser.error("argument --n: at least one object")
    return Plan(options.n, options.peer == "yes", options.check)


def main(arguments: list[str]) -> int:
    plan = parse(arguments)
    return exit_code(lambda: bench(plan), interrupted="what it had started is stopped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
