"""What the benchmark tells: tables for people, one line of JSON for programs. Pure functions of the measurements."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from lab.bench.operator.results import ControlledRun, OurRun, Results, Run
from lab.bench.trainer.report import table

PEER_LIMIT = (
    "training-operator's client is limited to 20 requests/s, and no flag changes that: its time says mostly this."
)


def comparison(results: Results) -> str:
    """The table of all contenders."""
    runs = results.runs

    def row(title: str, tell: Callable[[Run], str]) -> tuple[str, ...]:
        return title, *map(tell, runs.values())

    def controller(title: str, tell: Callable[[ControlledRun], str]) -> tuple[str, ...]:
        return row(f"controller, {title}", lambda run: tell(run) if isinstance(run, ControlledRun) else "")

    rows = [
        row("first create to all done, s", lambda run: f"{run.seconds:.1f}"),
        row("first create to all created, s", lambda run: f"{run.created_seconds:.1f}"),
        controller("CPU ms an object", lambda run: f"{run.cpu_ms:.1f}"),
        controller("MB before the first object", lambda run: f"{run.process.first_mb:.0f}"),
        controller("peak MB", lambda run: f"{run.process.peak_mb:.0f}"),
        controller("growth, KB an object", lambda run: f"{run.growth_kb:.1f}"),
        controller("writes an object", lambda run: f"{run.process.writes / run.count:.2f}"),
        controller("all requests an object", lambda run: f"{run.process.requests.total() / run.count:.2f}"),
    ]
    text = table((f"{results.ours.count} objects, one pod each", *runs), rows)
    return f"{text}\n\n{PEER_LIMIT}" if "training-operator" in results.peers else text


def requests(results: Results) -> str:
    """Every call of the controllers, per object."""
    runs = results.controlled
    calls = sorted({call for run in runs.values() for call in run.process.requests})
    rows = [(call, *(f"{run.process.requests[call] / run.count:.3f}" for run in runs.values())) for call in calls]
    return table(("requests an object", *runs), rows)


def programs(results: Results) -> str:
    """Where the machine's CPU went: a controller that makes the control plane work costs more than its own CPU."""
    count = results.ours.count
    spent = [run.programs | {"controller": _controller_cpu(run)} for run in results.runs.values()]
    rows = [(name, *(f"{1000 * seconds[name] / count:.1f}" for seconds in spent)) for name in spent[0]]
    rows.append(("all of them", *(f"{1000 * sum(seconds.values()) / count:.1f}" for seconds in spent)))
    return table(("CPU ms an object", *results.runs), rows)


def further(ours: OurRun) -> str:
    """What only ours was measured on."""
    scrape, again = ours.scrape, ours.restart
    calls = ", ".join(f"{number} {call}" for call, number in sorted(again.requests.items()))
    return (
        f"ours, from apply to Job: median {ours.median_ms:.0f} ms, p99 {ours.p99_ms:.0f} ms, "
        f"all {ours.count} applied at once\n"
        f"ours, a scrape of /metrics: {1000 * scrape.seconds:.0f} ms, {scrape.megabytes:.1f} MB; "
        f"meanwhile /healthz answers within {1000 * scrape.longest_wait_seconds:.0f} ms\n"
        f"ours, restarted over the {ours.count} finished objects: ready after {again.ready_seconds:.1f} s, "
        f"{again.cpu_seconds:.1f} s of CPU, {again.resident_mb:.0f} MB; its requests: {calls}"
    )


def result(results: Results) -> dict[str, Any]:
    """The benchmark's result; ratios are the peer's by ours, and null where the peer took no part."""
    floor, ours = results.floor, results.ours
    operator, trainer = results.peers.get("training-operator"), results.peers.get("trainer")
    return {
        "bench": "operator",
        "n": ours.count,
        "floor_ratio": round(ours.seconds / floor.seconds, 3),
        "peer_time_ratio": round(operator.seconds / ours.seconds, 2) if operator else None,
        "cpu_ms_per_object": round(ours.cpu_ms, 2),
        "peer_cpu_ratio": round(operator.cpu_ms / ours.cpu_ms, 2) if operator else None,
        "trainer_time_ratio": round(trainer.seconds / ours.seconds, 2) if trainer else None,
        "trainer_cpu_ratio": round(trainer.cpu_ms / ours.cpu_ms, 2) if trainer else None,
        "trainer_writes_per_object": round(trainer.process.writes / trainer.count, 2) if trainer else None,
        "rss_mb": round(ours.process.peak_mb, 1),
        "growth_kb_per_object": round(ours.growth_kb, 1),
        "writes_per_object": round(ours.process.writes / ours.count, 2),
        "restart_writes": ours.restart.writes,
        "p99_apply_to_job_ms": round(ours.p99_ms),
        "scrape_seconds": round(ours.scrape.seconds, 3),
    }


def last_line(values: Mapping[str, Any]) -> str:
    return json.dumps(values)


def _controller_cpu(run: Run) -> float:
    return run.process.cpu_seconds if isinstance(run, ControlledRun) else 0.0
