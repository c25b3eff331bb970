"""`python -m bert_trainer`: flags in, exit code out (contract.EXIT_CLASSES), the outcome where the contract says."""

import time

STARTED = time.monotonic()  # before TensorFlow's imports, which are part of the run's duration

import importlib.util  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import warnings  # noqa: E402
from typing import Callable, List, Tuple  # noqa: E402

from bert_trainer import child, config, contract, parent, ranks, result  # noqa: E402
from bert_trainer.errors import ReportedError, TrainerError  # noqa: E402
from bert_trainer.result import Outcome  # noqa: E402
from bert_trainer.stop import StopRequest  # noqa: E402

log = logging.getLogger("bert_trainer")


def main(arguments: List[str]) -> int:
    """Runs the trainer and returns its exit code; the outcome is reported whatever happens."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    stop = StopRequest()
    follows = child.follow_starter() and ranks.my_rank() > 0
    if follows:
        ranks.ignore_signals()
    else:
        stop.listen()

    def run() -> Outcome:
        settings = config.parse(arguments)
        if parent.is_needed(settings):
            return parent.run(settings, stop)
        quiet_tensorflow()
        from bert_trainer import train  # noqa: PLC0415 - a wrong flag is refused without waiting for TensorFlow

        return train.follow(settings) if follows else train.run(settings, stop, STARTED)

    outcome, exit_code = attempt(run)
    if outcome:  # else another process reports it
        result.write_termination_log(outcome, termination_log(arguments))
        if not exit_code:
            print(result.final_block(outcome), flush=True)
    return exit_code


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
        return result.failure(error), error.exit_code
    except Exception as error:
        log.exception("a bug in the trainer, or a failure it does not know; please report it with this traceback")
        return result.failure(error), TrainerError.exit_code


def termination_log(arguments: List[str]) -> str:
    """Returns the value of --termination_log=FILE even when other flags cannot be read."""
    flag = "--termination_log="
    return next((argument[len(flag) :] for argument in arguments if argument.startswith(flag)), "")


def quiet_tensorflow() -> None:
    """Keeps TensorFlow 1.15's notices about itself out of the log."""
    # Errors reach Python as exceptions; what is left is the CPU wheel's complaint that it finds no CUDA driver. The
    # adapter of an NPU, though, also writes errors that it does not raise.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if importlib.util.find_spec("npu_bridge") else "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module="tensor(flow|board)")
    # The gradient of the few rows that are classified joins that of all tokens: dense is what it should become.
    warnings.filterwarnings("ignore", message="Converting sparse IndexedSlices to a dense Tensor")
    warnings.filterwarnings("ignore", message="Converting sparse IndexedSlices")  # the gradient of the word embeddings
    import tensorflow.compat.v1 as tf  # noqa: PLC0415

    tf.logging.set_verbosity(tf.logging.ERROR)


if __name__ == "__main__":
    ranks.leave(main(sys.argv[1:]))
