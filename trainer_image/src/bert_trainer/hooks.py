"""Session hooks: time every step, report progress, and stop the session when the process is told to stop."""

import logging
import time
from typing import Any, Dict

import tensorflow.compat.v1 as tf

from bert_trainer.model_fn import LOSS, PAIRS
from bert_trainer.stop import StopRequest
from bert_trainer.telemetry import Telemetry

log = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 10.0


class StopHook(tf.train.SessionRunHook):
    """Ends a session after the step in which the stop was requested; a training session then saves its checkpoint."""

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop

    def after_run(self, run_context: Any, run_values: Any) -> None:  # noqa: ARG002
        if self._stop.signal:
            run_context.request_stop()


class ProgressHook(tf.train.SessionRunHook):
    """Feeds each training step into the telemetry, and a line into the log every few seconds."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._started = 0.0
        self._last_line = 0.0

    def before_run(self, run_context: Any) -> tf.train.SessionRunArgs:
        graph = run_context.session.graph
        self._started = time.monotonic()
        tensors = (tf.train.get_global_step(graph), graph.get_tensor_by_name(LOSS), graph.get_tensor_by_name(PAIRS))
        return tf.train.SessionRunArgs(tensors)

    def after_run(self, run_context: Any, run_values: Any) -> None:  # noqa: ARG002
        now = time.monotonic()
        _, loss, pairs = run_values.results
        step = self._telemetry.progress["step"] + 1
        self._telemetry.step(step, float(loss), now - self._started, int(pairs))
        if now - self._last_line >= SECONDS_BETWEEN_LINES or step == self._telemetry.progress["totalSteps"]:
            self._last_line = now
            log.info("%s", progress_line(self._telemetry.progress))


def progress_line(progress: Dict[str, Any]) -> str:
    """Returns the progress document as a line for a person."""
    line = "step {step}/{totalSteps} ({percent}%) loss {loss:.4f}".format(**progress)
    return (
        line
        if progress["msPerStep"] is None
        else line + ", {msPerStep:.0f} ms/step, {etaSeconds} s left".format(**progress)
    )
