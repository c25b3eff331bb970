"""``python -m lab.bench.operator``: what ``make bench-operator`` runs. The last line of the output is JSON."""

import argparse
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lab.bench.operator import goals, measure, plane, record, report
from lab.bench.operator.peers import PEERS
from lab.bench.operator.results import Results
from lab.cluster.errors import ClusterError, exit_code
from lab.cluster.local import KUBECTL

CHOICES: Mapping[str, tuple[str, ...]] = {name: (name,) for name in PEERS} | {"both": tuple(PEERS), "no": ()}
"""The peers that take part, by the word for them."""


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    n: int
    peer: str
    check: bool
    record: bool

    @property
    def peers(self) -> tuple[str, ...]:
        return CHOICES[self.peer]


def machine() -> str:
    """Where it is measured: processor, kernel, versions, and how busy the machine was before."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in facts if line.startswith("model name")), platform.machine())
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    versions = f"Python {platform.python_version()}, kopf {version('kopf')}, Kubernetes {KUBECTL.client_version()}"
    return f"{cores} cores of {model}, Linux {platform.release()}, {versions}, load {load:.1f} before the start"


def run_all(plan: Plan) -> Results:
    """Let every contender run, each on a fresh control plane."""
    total = 2 + len(plan.peers)

    def announce(number: int, what: str) -> None:
        print(f"[{number}/{total}] {plan.n} {what}", flush=True)

    announce(1, "bare Jobs")
    floor = measure.floor(plan.n)
    announce(2, "BertFinetunes, our operator")
    ours = measure.ours(plan.n)
    peers = {}
    for number, name in enumerate(plan.peers, start=3):
        announce(number, PEERS[name].objects)
        peers[name] = measure.peer(name, plan.n)
    return Results(floor, ours, peers)


def bench(plan: Plan) -> None:
    """Measure, print and record; ClusterError when a contender fails or, if that is asked for, a goal is missed."""
    plane.check_machine(*(program for name in plan.peers for program in PEERS[name].programs))
    where = machine()
    print(f"machine: {where}", flush=True)
    results = run_all(plan)
    for tell in (report.comparison, report.requests, report.programs):
        print(f"\n{tell(results)}")
    print(f"\n{report.further(results.ours)}\n")
    result = report.result(results)
    if plan.record:
        record.keep(where, plan.peer, result, results)
    print(report.last_line(result), flush=True)
    if plan.check:
        check(result, where)


def check(result: Mapping[str, Any], where: str) -> None:
    """Raise ClusterError with the goals that are missed."""
    base = goals.base_of(where, result["n"], record.read(record.FILE.read_text()))
    if base is None:
        print(f"not compared with {goals.BASE}, which was not measured with {result['n']} objects on such a machine")
    if missed := goals.missed(result, base):
        raise ClusterError("\n".join(("goals missed:", *missed)))


def parse(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m lab.bench.operator", description=__doc__)
    parser.add_argument("--n", type=int, default=500, metavar="N", help="objects of each contender (default: 500)")
    parser.add_argument("--peer", choices=CHOICES, default="training-operator", help="who takes part beside ours")
    parser.add_argument("--check", action="store_true", help="exit 1 and name the goals that are missed")
    parser.add_argument("--record", action="store_true", help="keep the figures, which `make generate` shows")
    options = parser.parse_args(arguments)
    if options.n < 1:
        parser.error("argument --n: at least one object")
    return Plan(**vars(options))


def main(arguments: list[str]) -> int:
    plan = parse(arguments)
    return exit_code(lambda: bench(plan), interrupted="what it had started is stopped")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
