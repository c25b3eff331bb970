"""What a finished run's folder says of it."""

import dataclasses
from pathlib import Path
from typing import NamedTuple, Optional

from bert_trainer import contract
from bert_trainer.config import Config
from bert_trainer.errors import BadConfigError
from bert_trainer.output import lease
from bert_trainer.output.folder import RUN_FILE, RunFolder


class FinishedRun(NamedTuple):
    """How a run was configured, the name of its last checkpoint, and why it has collapsed if it has."""

    config: Config
    checkpoint: str
    collapse_reason: Optional[str]


def read_run(folder: Path) -> FinishedRun:
    """Reads a run's folder, wherever it stands now; raises BadConfigError when the run has not finished there."""
    place = lease.folder_of(folder, lease.generation_of(folder))
    records = RunFolder(place)
    run, result = records.read_json(RUN_FILE), records.read_json(contract.RESULT_FILE)
    if run is None or result is None or result["outcome"] != contract.OUTCOME_SUCCEEDED:
        message = "--run={}: no finished run; pass the --output_dir of a run whose {} says {}"
        raise BadConfigError(message.format(folder, contract.RESULT_FILE, contract.OUTCOME_SUCCEEDED))
    try:
        config = Config(**run["config"])
    except TypeError as reason:
        message = "{}: {}; predict with the version of the trainer that it names"
        raise BadConfigError(message.format(place / RUN_FILE, reason)) from reason
    here = dataclasses.replace(config, output_dir=str(place))
    return FinishedRun(here, Path(result["checkpoint"]).name, result["collapseReason"])
