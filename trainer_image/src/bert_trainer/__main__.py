"""`python -m bert_trainer`: flags in, exit code out (contract.EXIT_CLASSES), the outcome where the contract says."""

import time

STARTED = time.monotonic()  # before TensorFlow's imports, which are part of the run's duration

import logging  # noqa: E402
import sys  # noqa: E402
from typing import List  # noqa: E402

from bert_trainer import config  # noqa: E402
from bert_trainer.devices import ranks  # noqa: E402
from bert_trainer.output.outcome import Outcome, final_block, write_termination_log  # noqa: E402
from bert_trainer.processes import child, parent  # noqa: E402
from bert_trainer.program import attempt, quiet_tensorflow, termination_log  # noqa: E402
from bert_trainer.reporting.stop import StopRequest  # noqa: E402


def main(arguments: List[str]) -> int:
    """Runs the trainer and returns its exit code; the outcome is reported whatever happens."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    stop = StopRequest()
    follows = child.follow_starter() and ranks.my_rank() > 0
    if follows:
        ranks.ignore_signals()
    else:
        stop.listen()

    def command() -> Outcome:
        settings = config.parse(arguments)
        if parent.is_needed(settings):
            return parent.run(settings, stop)
        quiet_tensorflow()
        from bert_trainer.training import run  # noqa: PLC0415 - a wrong flag is refused without waiting for TensorFlow

        return run.follow(settings) if follows else run.run(settings, stop, STARTED)

    outcome, exit_code = attempt(command)
    if outcome:  # else another process reports it
        write_termination_log(outcome, termination_log(arguments))
        if not exit_code:
            print(final_block(outcome), flush=True)
    return exit_code


if __name__ == "__main__":
    ranks.leave(main(sys.argv[1:]))
