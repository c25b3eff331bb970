"""A finished run's predictions for its task's test files, in the files that GLUE takes."""

import dataclasses
import logging
from pathlib import Path
from typing import List, NamedTuple

import numpy as np

from bert_trainer import checkpoint, contract, inference, lease
from bert_trainer.config import Config
from bert_trainer.data import read_unlabelled
from bert_trainer.device import open_device
from bert_trainer.errors import BadConfigError
from bert_trainer.model_fn import Recipe
from bert_trainer.run_folder import RUN_FILE, RunFolder
from bert_trainer.scores import predictions_of
from bert_trainer.tasks import DIAGNOSTIC_FILE, SCORE_RANGE, TASKS, Task

log = logging.getLogger(__name__)


class FinishedRun(NamedTuple):
    """How a run was configured, and the name of its last checkpoint."""

    config: Config
    checkpoint: str


def write(run: Path, data: Path, output: Path) -> List[Path]:
    """Writes the submission of every test file in `data` to `output`; returns their paths.

    Raises:
        TrainerError: every anticipated failure, as its subclass.
    """
    finished = read_run(run)
    config, task = finished.config, TASKS[finished.config.task_name]
    folder = Path(config.output_dir)
    model = checkpoint.load(folder, config.model_name, config.max_seq_length, config.do_lower_case, finished.checkpoint)
    recipe = Recipe(config, task, model, open_device(config.device))
    written = []
    for test_file, submission in task.test_files:
        if test_file == DIAGNOSTIC_FILE and not (data / test_file).exists():
            log.info("%s: there is none, so there will be no %s", data / test_file, submission)
            continue
        indices, pairs = read_unlabelled(data / test_file, task)
        dataset = inference.lay_out(recipe, pairs, config.eval_batch_size)
        batches = list(dataset.layout.pack(range(len(pairs))))
        outputs = inference.collect(batches, inference.outputs(recipe, model.checkpoint, dataset, batches))
        rows = zip(indices, answers(task, outputs))
        text = "index\tprediction\n" + "".join("{}\t{}\n".format(*row) for row in rows)
        RunFolder(output).write(submission, text)
        written.append(output / submission)
    return written


def read_run(folder: Path) -> FinishedRun:
    """Reads a run's folder, wherever it stands now; raises BadConfigError when the run has not finished there."""
    place = lease.folder_of(folder, lease.generation_of(folder))
    records = RunFolder(place)
    run, result = records.read_json(RUN_FILE), records.read_json(contract.RESULT_FILE)
    if run is None or result is None or result["outcome"] != contract.OUTCOME_SUCCEEDED:
        message = "--run={}: no finished run; pass the --output_dir of a run whose {} says {}"
        raise BadConfigError(message.format(folder, contract.RESULT_FILE, contract.OUTCOME_SUCCEEDED))
    if result["collapsed"]:
        log.warning("this run has collapsed: %s", result["collapseReason"])
    try:
        config = Config(**run["config"])
    except TypeError as reason:
        message = "{}: {}; predict with the version of the trainer that it names"
        raise BadConfigError(message.format(place / RUN_FILE, reason)) from reason
    return FinishedRun(dataclasses.replace(config, output_dir=str(place)), Path(result["checkpoint"]).name)


def answers(task: Task, outputs: np.ndarray) -> List[str]:
    """Returns the [examples, task.outputs] outputs as GLUE wants them: labels by name, scores within their range."""
    predictions = predictions_of(task, outputs)
    if task.labels:
        return [task.labels[label] for label in predictions]
    return ["{:.3f}".format(score) for score in np.clip(predictions, *SCORE_RANGE)]
