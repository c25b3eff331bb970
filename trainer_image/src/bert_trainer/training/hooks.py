"""Session hooks: time every step, report progress, and stop the session when the process is told to stop."""

import logging
import time
from typing import Any, Dict

import tensorflow.compat.v1 as tf

from bert_trainer.output.history import History
from bert_trainer.reporting.stop import StopRequest
from bert_trainer.reporting.telemetry import Telemetry
from bert_trainer.reporting.tensorboard import EventFile
from bert_trainer.training.model_fn import STEP_TENSORS

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
    """Feeds each step into telemetry, history and event file, and a line into the log every few seconds.

    It comes before the hook that saves checkpoints: the history of a checkpoint has its step.
    """

    def __init__(self, telemetry: Telemetry, history: History, events: EventFile) -> None:
        self._telemetry = telemetry
        self._history = history
        self._events = events
        self._before = 0.0  # what the clock said for the steps before this one
        self._last_line = 0.0

    def after_create_session(self, session: tf.Session, coord: Any) -> None:  # noqa: ARG002
        self._telemetry.clock.enter("first_step")
        self._before = self._stepping()

    def before_run(self, run_context: Any) -> tf.train.SessionRunArgs:
        return tf.train.SessionRunArgs([run_context.session.graph.get_tensor_by_name(name) for name in STEP_TENSORS])

    def after_run(self, run_context: Any, run_values: Any) -> None:  # noqa: ARG002
        # From the end of the last step to the end of this one: what happens between steps is part of their price,
        # but checkpoints and evaluations are not, which the clock counts elsewhere.
        now = self._stepping()
        self._telemetry.clock.enter("steps")
        step, loss, pairs, rate = run_values.results
        seconds, self._before = now - self._before, now
        self._telemetry.step(int(step), float(loss), seconds, int(pairs), float(rate))
        self._history.add_loss(int(step), float(loss))
        self._events.add(
            step, {"train/loss": loss, "train/learning_rate": rate, "train/examples_per_second": pairs / seconds}
        )
        progress = self._telemetry.progress
        if time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES or step == progress["totalSteps"]:
            self._last_line = time.monotonic()
            log.info("%s", progress_line(progress))

    def end(self, session: tf.Session) -> None:  # noqa: ARG002
        self._telemetry.clock.enter("shutdown")  # closing an NPU takes seconds, which are no part of the steps

    def _stepping(self) -> float:
        seconds = self._telemetry.clock.seconds()
        return seconds["first_step"] + seconds["steps"]


def progress_line(progress: Dict[str, Any]) -> str:
    """Returns the progress document as a line for a person."""
    line = "step {step}/{totalSteps} ({percent}%) loss {loss:.4f}".format(**progress)
    return (
        line
        if progress["msPerStep"] is None
        else line + ", {msPerStep:.0f} ms/step, {etaSeconds} s left".format(**progress)
    )
