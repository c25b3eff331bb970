"""Where a measurement was made."""

import os
import platform
from pathlib import Path

import importlib_metadata


def machine() -> str:
    """Returns a line about the processor, the versions, and how busy the machine was before."""
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in facts if line.startswith("model name")), platform.machine())
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    versions = f"Python {platform.python_version()}, TensorFlow {importlib_metadata.version('tensorflow')}"
    return f"machine: {cores} cores of {model}, {versions}, load {load:.1f} before the start"
