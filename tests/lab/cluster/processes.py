"""Processes that outlive the command that started them, and are stopped by the id they were started with."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.cluster.errors import ClusterError
from lab.cluster.layout import LOGS, RUN


@dataclass(frozen=True)
class Component:
    """One long-running program: its command line, extra environment, and how long it may take to end, in seconds."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stop_seconds: float = 20.0

    @property
    def log(self) -> Path:
        return LOGS / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return RUN / f"{self.name}.pid"


def start(component: Component) -> None:
    """Start the program in a session of its own, with its output appended to its log."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(component.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # not subprocess.Popen, which complains of a child that outlives it, and these are meant to
    pid = os.posix_spawnp(
        component.argv[0], component.argv, {**os.environ, **component.env}, file_actions=actions, setsid=True
    )
    component.pid_file.write_text(f"{pid} {_start_time(pid)}\n")


def running_pid(component: Component) -> int | None:
    """The process id if the very process that we started still runs; a recycled id does not count."""
    try:
        pid, started = component.pid_file.read_text().split()
    except FileNotFoundError:
        return None
    return int(pid) if _start_time(int(pid)) == started else None


def stop(component: Component) -> None:
    """Ask the program to end, wait, and only then kill it. Nothing happens where it does not run."""
    pid = running_pid(component)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        if not wait_until(lambda: running_pid(component) is None, component.stop_seconds):
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: running_pid(component) is None, 5)
    component.pid_file.unlink(missing_ok=True)


def wait_ready(component: Component, ready: Callable[[], bool], seconds: float) -> None:
    """Wait until ``ready``; a program that dies or takes too long is reported with the end of its log."""
    if wait_until(lambda: ready() or running_pid(component) is None, seconds) and running_pid(component) is not None:
        return
    fate = "did not get ready" if running_pid(component) else "ended"
    tail = component.log.read_text(errors="replace").splitlines()[-12:]
    raise ClusterError(
        "\n".join([f"{component.name} {fate} within {seconds:.0f} s; its log {component.log} ends:", *tail])
    )


def wait_until(condition: Callable[[], bool], seconds: float, *, interval: float = 0.2) -> bool:
    """Poll ``condition`` until it holds (True) or the time is over (False)."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval)
    return True


def answers(url: str) -> bool:
    """Whether an HTTP server is there and says that all is well."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def _start_time(pid: int) -> str | None:
    """Field 22 of /proc/PID/stat, clock ticks since boot (proc(5)); None for no process and for a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None
    return None if fields[0] == "Z" else fields[19]
