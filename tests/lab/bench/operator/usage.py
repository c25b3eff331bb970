"""What a process has used so far, as Linux counts it (proc(5))."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of the process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mb(pid: int) -> float:
    """Memory that it holds, in 10**6 bytes."""
    return _kib(pid, "VmRSS") * 1024 / 1e6


def peak_resident_mb(pid: int) -> float:
    """The most that it has held."""
    return _kib(pid, "VmHWM") * 1024 / 1e6


def _kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
