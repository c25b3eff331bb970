"""`python -m bert_trainer.predict`: a finished run's predictions for the test set, as a submission to GLUE."""

import logging
import signal
import sys
from pathlib import Path
from typing import List

from bert_trainer.config import FlagParser
from bert_trainer.errors import ReportedError, TrainerError
from bert_trainer.output.finished_run import read_run
from bert_trainer.processes import child, parent
from bert_trainer.program import quiet_tensorflow
from bert_trainer.reporting.stop import StopRequest

log = logging.getLogger("bert_trainer")


def main(arguments: List[str]) -> int:
    """Writes the submission and returns 0, or the exit code of the failure (contract.EXIT_CLASSES)."""
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s")
    if child.follow_starter():
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the starter says how it ended
    try:
        parser = FlagParser(prog="python -m bert_trainer.predict", description=__doc__, allow_abbrev=False)
        parser.add_argument("--run", type=Path, required=True, help="--output_dir of a finished run")
        parser.add_argument("--data_path", type=Path, required=True, help="folder with the task's test files")
        parser.add_argument("--output", type=Path, required=True, help="folder for the submission's files")
        flags = parser.parse_args(arguments)
        if parent.is_needed(read_run(flags.run).config):
            paths = ["--{}={}".format(name, path.absolute()) for name, path in vars(flags).items()]
            end = parent.follow(["bert_trainer.predict", *paths], StopRequest())
            if end.death:
                raise end.death
            return 0
        quiet_tensorflow()
        from bert_trainer.predict import submission  # noqa: PLC0415 - a wrong flag is refused without waiting for TensorFlow

        for path in submission.write(flags.run, flags.data_path, flags.output):
            log.info("%s is written", path)
    except ReportedError as error:
        return error.exit_code
    except TrainerError as error:
        log.error("%s", error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
