"""Where things lie in the project."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
NPU_SIMULATION = PROJECT / "tests" / "lab" / "ascend" / "npu_bridge_sim"
