"""Runs one contender in a control plane of its own and measures it. All objects are verified before anything counts."""

import asyncio
import time
from collections.abc import Callable

from lab.bench.operator import audit, controllers, load, objects, plane, scraping
from lab.bench.operator.api import Api
from lab.bench.operator.controllers import Controller
from lab.bench.operator.objects import BERTFINETUNES, JOBS, PODS, Kind, Raw
from lab.bench.operator.peers import PEERS
from lab.bench.operator.results import ControlledRun, OurRun, Process, Requests, Restart, Run, percentile
from lab.bench.operator.usage import cpu_seconds, peak_resident_mb, resident_mb
from lab.cluster import processes
from lab.cluster.errors import ClusterError
from lab.cluster.layout import AUDIT_LOG
from lab.cluster.processes import Component

QUIET_SECONDS = 4.0
"""Controllers that neither asked nor worked for this long are done with what was before them."""
QUIET_CPU = 0.05  # of a core
LONGEST_SECONDS = 300.0


def floor(count: int) -> Run:
    """Bare Jobs: what the control plane needs by itself."""
    with plane.running(count):
        run = _load(JOBS, count, "bare Jobs", check=lambda: None)
        jobs = _done(JOBS, count)
        objects.check_children(jobs, _items(PODS), "pod")
        return run


def ours(count: int) -> OurRun:
    """BertFinetunes and our operator, and a second process of it over what the first one has finished."""
    with plane.running(count):
        operator = controllers.start_ours()
        run = _controlled(BERTFINETUNES, count, "ours", controllers.as_administrator(operator))
        finetunes, jobs = _done(BERTFINETUNES, count), _done(JOBS, count)
        objects.check_children(finetunes, jobs, "Job")
        objects.check_children(jobs, _items(PODS), "pod")
        names = {finetune["metadata"]["uid"]: finetune["metadata"]["name"] for finetune in finetunes}
        owners = {job["metadata"]["name"]: names[str(objects.controller_of(job))] for job in jobs}
        latencies = audit.latencies_ms(audit.read(AUDIT_LOG), "bertfinetunes", "jobs", owners)
        return OurRun(
            **vars(run),
            median_ms=percentile(latencies, 50),
            p99_ms=percentile(latencies, 99),
            scrape=scraping.measure(operator),
            restart=_restart(operator),
        )


def peer(name: str, count: int) -> ControlledRun:
    """The objects of a peer, and its controllers together."""
    chosen = PEERS[name]
    with plane.running(count), chosen.running() as controller:
        run = _controlled(chosen.kind, count, name, controller)
        owners = _done(chosen.kind, count)
        for path, what in chosen.descent:
            children = _items(path)
            objects.check_children(owners, children, what)
            owners = children
        return run


def _load(kind: Kind, count: int, label: str, check: Callable[[], object]) -> Run:
    """Let the objects run, and read the programs' counters before and after."""
    before = plane.cpu_by_program()
    tally = asyncio.run(load.run(kind, count, label, check))
    after = plane.cpu_by_program()
    programs = {name: after[name] - before[name] for name in after}
    return Run(count, tally.created_seconds, tally.seconds, programs)


def _controlled(kind: Kind, count: int, label: str, controller: Controller) -> ControlledRun:
    """The same with a controller, whose own counters are read again when it is quiet: late work counts too."""
    _until_quiet(controller)
    first, cpu, known = sum(map(resident_mb, _pids(controller))), _cpu_seconds(controller), _requests(controller)
    run = _load(kind, count, label, check=lambda: _pids(controller))
    _until_quiet(controller)
    spent, peak = _cpu_seconds(controller) - cpu, sum(map(peak_resident_mb, _pids(controller)))
    return ControlledRun(**vars(run), process=Process(spent, first, peak, _requests(controller) - known))


def _restart(operator: Component) -> Restart:
    controller = controllers.as_administrator(operator)
    known, start = _requests(controller), time.monotonic()
    controllers.restart(operator)
    seconds = time.monotonic() - start
    _until_quiet(controller)
    [pid] = _pids(controller)
    return Restart(seconds, cpu_seconds(pid), resident_mb(pid), _requests(controller) - known)


def _requests(controller: Controller) -> Requests:
    """All that it has asked so far."""
    calls = audit.count(entry for entry in audit.read(AUDIT_LOG) if entry.user in controller.users)
    return Requests({f"{call.verb} {call.resource}": number for call, number in calls.items()})


def _until_quiet(controller: Controller) -> None:
    """Wait until the processes have asked nothing and hardly worked for QUIET_SECONDS."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        size, cpu = _log_size(), _cpu_seconds(controller)
        time.sleep(QUIET_SECONDS)
        if _log_size() == size and _cpu_seconds(controller) - cpu <= QUIET_CPU * QUIET_SECONDS:
            return
    logs = ", ".join(str(process.log) for process in controller.processes)
    raise ClusterError(f"still busy after {LONGEST_SECONDS:.0f} s: see {logs}")


def _cpu_seconds(controller: Controller) -> float:
    return sum(map(cpu_seconds, _pids(controller)))


def _pids(controller: Controller) -> list[int]:
    return list(map(_pid, controller.processes))


def _log_size() -> int:
    return AUDIT_LOG.stat().st_size if AUDIT_LOG.exists() else 0


def _pid(component: Component) -> int:
    """The id of the process; ClusterError with its last words where it has ended."""
    pid = processes.running_pid(component)
    if pid is None:
        tail = component.log.read_text(errors="replace").splitlines()[-12:]
        raise ClusterError("\n".join((f"{component.name} ended; its log {component.log} ends:", *tail)))
    return pid


def _done(kind: Kind, count: int) -> list[Raw]:
    """All objects of a kind, every one done and as it should be."""
    found = _items(kind.path)
    objects.check_done(kind, count, found)
    return found


def _items(path: str) -> list[Raw]:
    async def ask() -> list[Raw]:
        async with Api() as api:
            return await api.items(path)

    return asyncio.run(ask())
