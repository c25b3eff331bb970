"""What the trainer's programs share: how one ends, and TensorFlow without its notices."""

import importlib.util
import logging
import os
import warnings
from typing import Callable, List, Tuple

from bert_trainer import contract
from bert_trainer.errors import ReportedError, TrainerError
from bert_trainer.output.outcome import Outcome, failure

log = logging.getLogger("bert_trainer")


def attempt(command: Callable[[], Outcome]) -> Tuple[Outcome, int]:
    """Returns the outcome and the exit code of a command, whatever happens to it; a failure is logged.

    The outcome is {} where another process reports it.
    """
    try:
        return command(), contract.EXIT_OK
    except ReportedError as error:
        return {}, error.exit_code
    except TrainerError as error:
        log.error("%s", error)
        return failure(error), error.exit_code
    except Exception as error:
        log.exception("a bug in the trainer, or a failure it does not know; please report it with this traceback")
        return failure(error), TrainerError.exit_code


def termination_log(arguments: List[str]) -> str:
    """Returns the value of --termination_log=FILE even when other flags cannot be read."""
    flag = "--termination_log="
    return next((argument[len(flag) :] for argument in arguments if argument.startswith(flag)), "")


def quiet_tensorflow() -> None:
    """Keeps TensorFlow 1.15's notices about itself out of the log."""
    # Errors reach Python as exceptions; what is left is the CPU wheel's complaint that it finds no CUDA driver. The
    # adapter of an NPU, though, also writes errors that it does not raise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if importlib.util.find_spec("npu_bridge") else "3")
    # Some gradients are of few rows, as those of the word embeddings: dense is what they should become.
    warnings.filterwarnings("ignore", message="Converting sparse IndexedSlices")
    import tensorflow.compat.v1 as tf  # noqa: PLC0415

    tf.logging.set_verbosity(tf.logging.ERROR)
