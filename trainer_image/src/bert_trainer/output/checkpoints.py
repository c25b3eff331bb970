"""Checkpoints: written without what nobody reads, timed, and found again when the newest one is damaged."""

import contextlib
import logging
import re
import shutil
from pathlib import Path
from typing import Any, Callable, List, Optional

import tensorflow.compat.v1 as tf

from bert_trainer.config import Config
from bert_trainer.reporting.clock import PhaseClock

log = logging.getLogger(__name__)
BASENAME = "model.ckpt"


class WeightsSaver(tf.train.Saver):
    """A Saver that leaves the graph out: who loads the weights builds a graph of his own."""

    def save(self, *args: Any, **options: Any) -> Optional[str]:
        return super().save(*args, **dict(options, write_meta_graph=False))


def use_weights_saver(config: Config) -> None:
    """Makes the current graph's Estimator save through a WeightsSaver of all variables."""
    tf.add_to_collection(
        tf.GraphKeys.SAVERS,
        WeightsSaver(max_to_keep=config.keep_checkpoint_max, save_relative_paths=True, defer_build=True),
    )


class NoEvents:
    """Takes the place of the saver's own event file, which would begin with the whole graph."""

    def add_session_log(self, session_log: Any, global_step: int) -> None:
        """Writes nothing."""


class CheckpointHook(tf.train.CheckpointSaverHook):
    """Saves after every so many steps and at the end, but neither the untrained state nor the graph."""

    def begin(self) -> None:
        self._summary_writer = NoEvents()
        self._global_step_tensor = tf.train.get_global_step()

    def after_create_session(self, session: tf.Session, coord: Any) -> None:  # noqa: ARG002
        self._timer.update_last_triggered_step(session.run(self._global_step_tensor))


class SavingListener(tf.train.CheckpointSaverListener):
    """Times the saving of checkpoints, and calls `may_save`, which may raise, before and `saved` after each."""

    def __init__(self, clock: PhaseClock, may_save: Callable[[], None], saved: Callable[[], None]) -> None:
        self._clock = clock
        self._may_save = may_save
        self._saved = saved
        self._phase = contextlib.ExitStack()

    def before_save(self, session: tf.Session, global_step_value: int) -> None:  # noqa: ARG002
        self._may_save()
        self._phase.enter_context(self._clock.during("checkpoint"))

    def after_save(self, session: tf.Session, global_step_value: int) -> None:  # noqa: ARG002
        self._phase.close()
        self._saved()


def recover(folder: Path) -> Optional[str]:
    """Returns the folder's newest undamaged checkpoint, which TensorFlow will then take for the latest; None for none.

    Removes what an interrupted saving left behind, which would fill the disk in the end.
    """
    for leftover in folder.glob(BASENAME + "-*_temp_*"):
        shutil.rmtree(str(leftover), ignore_errors=True)
    names = _sound(folder)
    if names:
        tf.train.update_checkpoint_state(str(folder), names[-1], all_model_checkpoint_paths=names)
        return str(folder / names[-1])
    with contextlib.suppress(FileNotFoundError):
        (folder / "checkpoint").unlink()  # it names a damaged one
    return None


def adopt(source: Path, target: Path, give: Callable[[Path, Path], None]) -> Optional[str]:
    """Gives the newest undamaged checkpoint of one folder to another; returns its name, None for none.

    Args:
        source: it may be another process's, which removes old checkpoints.
        target: a checkpoint that is there half is none for `recover`, since the index comes last.
        give: links or copies a file; raises FileNotFoundError when it is no longer there.
    """
    while True:
        names = _sound(source)
        if not names:
            return None
        files = sorted(source.glob(names[-1] + ".*"), key=lambda path: path.suffix == ".index")
        try:
            for path in files:
                give(path, target / path.name)
        except FileNotFoundError:
            continue
        return names[-1]


def _sound(folder: Path) -> List[str]:
    """Returns the names of the checkpoints in a folder, oldest first, up to the newest undamaged one."""
    names = ["{}-{}".format(BASENAME, step) for step in _steps(folder)]
    while names:
        damage = _damage(str(folder / names[-1]))
        if damage is None:
            break
        log.warning("%s: damaged (%s); going back to the checkpoint before it", folder / names[-1], damage)
        names.pop()
    return names


def _steps(folder: Path) -> List[int]:
    names = (re.match(BASENAME + r"-(\d+)\.index$", path.name) for path in folder.glob(BASENAME + "-*.index"))
    return sorted(int(name.group(1)) for name in names if name)


def _damage(checkpoint: str) -> Optional[str]:
    """Reads every tensor, which verifies its checksum; returns what is wrong, if anything."""
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError) as reason:
        return str(reason).splitlines()[0]
    return None
