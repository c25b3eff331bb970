"""Where one training step of ours goes: runs the trainer with a hook that traces a step, by type of operation.

Prints one line of JSON: the traced step's milliseconds on the clock, and [type, milliseconds] of its operations.
"""

import collections
import functools
import json
import re
import sys
import time
from typing import Any, Dict, List, Optional, Tuple
from unittest import mock

from bert_trainer import __main__ as entry
from bert_trainer.program import quiet_tensorflow

quiet_tensorflow()

import tensorflow.compat.v1 as tf  # noqa: E402

TRACED_STEP = 4  # after the steps that warm up


class TraceHook(tf.train.SessionRunHook):
    """Traces one step of a session."""

    def __init__(self) -> None:
        self.milliseconds = 0.0
        self.operations: Dict[str, float] = {}
        self._left, self._started = TRACED_STEP, 0.0

    def before_run(self, run_context: Any) -> Optional[tf.train.SessionRunArgs]:  # noqa: ARG002 - the interface's
        self._left -= 1
        self._started = time.perf_counter()
        return None if self._left else tf.train.SessionRunArgs(None, options=tf.RunOptions(trace_level=3))

    def after_run(self, run_context: Any, run_values: Any) -> None:  # noqa: ARG002
        if not self._left:
            self.milliseconds = 1000 * (time.perf_counter() - self._started)
            self.operations = by_type(run_values.run_metadata.step_stats)


def by_type(stats: Any) -> Dict[str, float]:
    """Returns operation type -> milliseconds of a tf.RunMetadata's step_stats; operations may overlap."""
    found: Dict[str, float] = collections.defaultdict(float)
    for node in (node for device in stats.dev_stats for node in device.node_stats):
        label = re.search(r" = (\w+)\(", node.timeline_label)
        spent = node.op_end_rel_micros - node.op_start_rel_micros
        found[label.group(1) if label else node.node_name] += spent / 1000
    return dict(found)


def trace(arguments: List[str]) -> Tuple[float, List[Tuple[str, float]]]:
    """Runs the trainer; returns the traced step's milliseconds and those of its operations, the longest first."""
    hook, train = TraceHook(), tf.estimator.Estimator.train

    @functools.wraps(train)
    def traced(*positional: Any, hooks: Any = (), **named: Any) -> Any:
        return train(*positional, hooks=[*hooks, hook], **named)

    with mock.patch.object(tf.estimator.Estimator, "train", traced):
        exit_code = entry.main(arguments)
    if exit_code or not hook.operations:
        raise SystemExit(f"no step was traced: the trainer ended with {exit_code}")
    return hook.milliseconds, sorted(hook.operations.items(), key=lambda item: -item[1])


if __name__ == "__main__":
    print(json.dumps(trace(sys.argv[1:])))
