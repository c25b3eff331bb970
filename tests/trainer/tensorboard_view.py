"""A run's folder as TensorBoard reads it."""

from pathlib import Path
from typing import Dict, List, Tuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def curves(folder: Path) -> Dict[str, List[Tuple[int, float]]]:
    """Returns tag -> (step, value) of every point, in the order in which TensorBoard draws them."""
    accumulator = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(point.step, point.value) for point in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }
