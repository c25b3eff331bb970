"""Runs one contender in a control plane of its own and measures it. All objects are verified before anything counts."""

import asyncio
import time
from collections.abc import Callable

from lab.bench.operator import audit, controllers, load, objects, plane, scraping
from lab.bench.operator.api import Api
from lab.bench.operator.audit import Entry
from lab.bench.operator.objects import BERTFINETUNES, JOBS, PODS, TFJOBS, Kind, Raw
from lab.bench.operator.results import ControlledRun, OurRun, Process, Restart, Run
from lab.bench.operator.usage import cpu_seconds, peak_resident_mb, resident_mb
from lab.cluster import processes
from lab.cluster.errors import ClusterError
from lab.cluster.layout import AUDIT_LOG
from lab.cluster.processes import Component

QUIET_SECONDS = 4.0
"""A controller that neither asked nor worked for this long is done with what was before it."""
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
        run = _controlled(BERTFINETUNES, count, "ours", operator)
        finetunes, jobs = _done(BERTFINETUNES, count), _done(JOBS, count)
        objects.check_children(finetunes, jobs, "Job")
        objects.check_children(jobs, _items(PODS), "pod")
        names = {finetune["metadata"]["uid"]: finetune["metadata"]["name"] for finetune in finetunes}
        owners = {job["metadata"]["name"]: names[str(objects.controller_of(job))] for job in jobs}
        latencies = audit.latencies_ms(audit.read(AUDIT_LOG), "bertfinetunes", "jobs", owners)
        return OurRun(
            **vars(run), latencies_ms=latencies, scrape=scraping.measure(operator), restart=_restart(operator)
        )


def peer(count: int) -> ControlledRun:
    """TFJobs and Kubeflow's training-operator."""
    with plane.running(count):
        operator = controllers.start_peer()
        try:
            run = _controlled(TFJOBS, count, "training-operator", operator)
        finally:
            controllers.stop_peer(operator)
        objects.check_children(_done(TFJOBS, count), _items(PODS), "pod")
        return run


def _load(kind: Kind, count: int, label: str, check: Callable[[], object]) -> Run:
    """Let the objects run, and read the programs' counters before and after."""
    before = plane.cpu_by_program()
    tally = asyncio.run(load.run(kind, count, label, check))
    after = plane.cpu_by_program()
    programs = {name: after[name] - before[name] for name in after}
    return Run(count, tally.created_seconds, tally.seconds, programs)


def _controlled(kind: Kind, count: int, label: str, controller: Component) -> ControlledRun:
    """The same with a controller, whose own counters are read again when it is quiet: late work counts too."""
    _until_quiet(controller)
    pid = _pid(controller)
    cpu, first, known = cpu_seconds(pid), resident_mb(pid), len(_requests())
    run = _load(kind, count, label, check=lambda: _pid(controller))
    _until_quiet(controller)
    requests = audit.count(_requests()[known:])
    process = Process(cpu_seconds(pid) - cpu, first, peak_resident_mb(pid), requests)
    return ControlledRun(**vars(run), process=process)


def _restart(operator: Component) -> Restart:
    known, start = len(_requests()), time.monotonic()
    controllers.restart(operator)
    seconds = time.monotonic() - start
    _until_quiet(operator)
    pid = _pid(operator)
    return Restart(seconds, cpu_seconds(pid), resident_mb(pid), audit.count(_requests()[known:]))


def _requests() -> list[Entry]:
    return [entry for entry in audit.read(AUDIT_LOG) if entry.user == plane.CONTROLLER]


def _until_quiet(component: Component) -> None:
    """Wait until the process has asked nothing and hardly worked for QUIET_SECONDS."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        pid = _pid(component)
        size, cpu = _log_size(), cpu_seconds(pid)
        time.sleep(QUIET_SECONDS)
        if _log_size() == size and cpu_seconds(pid) - cpu <= QUIET_CPU * QUIET_SECONDS:
            return
    raise ClusterError(f"{component.name} is still busy after {LONGEST_SECONDS:.0f} s: see {component.log}")


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
