"""Session hooks of the adapter."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


class NPUCheckpointSaverHook(tf.estimator.CheckpointSaverHook):
    """The saver that NPUEstimator puts before the user's training hooks."""

    def __init__(  # noqa: PLR0917 published order
        self,
        checkpoint_dir: str,
        save_secs: int | None = None,
        save_steps: int | None = None,
        saver: Any = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: Any = None,
        listeners: Any = None,
    ) -> None:
        super().__init__(checkpoint_dir, save_secs, save_steps, saver, checkpoint_basename, scaffold, listeners)
