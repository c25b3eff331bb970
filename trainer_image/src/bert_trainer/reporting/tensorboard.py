"""TensorBoard's event file: scalars of every step and every evaluation, beside the checkpoints."""

import logging
import socket
import time
from pathlib import Path
from typing import Any, Mapping, Optional

import tensorflow.compat.v1 as tf

log = logging.getLogger(__name__)
FILE_VERSION = "brain.Event:2"  # what TensorBoard expects in a file's first event


class EventFile:
    """What this process adds to the run's curves; each process of a run writes a file of its own.

    Nothing depends on the file: where it cannot be written, the log says so once and the run goes on.
    """

    def __init__(self, folder: Path, first: int) -> None:
        """Makes no file yet. `first` is the number of steps that the run took before this process."""
        self._folder = folder
        self._first = first
        self._writer: Optional[tf.io.TFRecordWriter] = None
        self._failed = False

    def add(self, step: int, scalars: Mapping[str, float]) -> None:
        """Shows the values, by tag, at the step; they are in the file when this returns."""
        if self._failed:
            return
        values = [tf.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        try:
            writer = self._writer = self._writer or self._open()
            _write(writer, step=step, summary=tf.Summary(value=values))
            writer.flush()
        except tf.errors.OpError as reason:
            self._failed = True
            log.warning("%s: %s; TensorBoard shows nothing more of this process", self._folder, reason.message)

    def _open(self) -> tf.io.TFRecordWriter:
        # Not before the first step: TensorBoard follows the file of the latest name, and NPUEstimator begins one, too.
        name = "events.out.tfevents.{:.6f}.{}".format(time.time(), socket.gethostname())
        writer = tf.io.TFRecordWriter(str(self._folder / name))
        _write(writer, file_version=FILE_VERSION)
        # TensorBoard now forgets what a lost process showed of later steps: they are taken again.
        _write(writer, step=self._first + 1, session_log=tf.SessionLog(status=tf.SessionLog.START))
        return writer


def _write(writer: tf.io.TFRecordWriter, **event: Any) -> None:
    writer.write(tf.Event(wall_time=time.time(), **event).SerializeToString())
