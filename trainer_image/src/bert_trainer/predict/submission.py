"""A finished run's predictions for its task's test files, in the files that GLUE takes."""

import logging
from pathlib import Path
from typing import List

from bert_trainer.data.glue import read_unlabelled
from bert_trainer.data.tasks import DIAGNOSTIC_FILE, TASKS
from bert_trainer.devices.by_name import open_device
from bert_trainer.model import pretrained
from bert_trainer.output.finished_run import read_run
from bert_trainer.output.folder import RunFolder
from bert_trainer.training import inference
from bert_trainer.training.model_fn import Recipe

log = logging.getLogger(__name__)


def write(run: Path, data: Path, output: Path) -> List[Path]:
    """Writes the submission of every test file in `data` to `output`; returns their paths.

    Raises:
        TrainerError: every anticipated failure, as its subclass.
    """
    finished = read_run(run)
    if finished.collapse_reason:
        log.warning("this run has collapsed: %s", finished.collapse_reason)
    config, task = finished.config, TASKS[finished.config.task_name]
    folder = Path(config.output_dir)
    model = pretrained.load(folder, config.model_name, config.max_seq_length, config.do_lower_case, finished.checkpoint)
    recipe = Recipe(config, task, model, open_device(config.device))
    written = []
    for test_file, submission in task.test_files:
        if test_file == DIAGNOSTIC_FILE and not (data / test_file).exists():
            log.info("%s: there is none, so there will be no %s", data / test_file, submission)
            continue
        indices, pairs = read_unlabelled(data / test_file, task)
        dataset = inference.lay_out(recipe, pairs, config.eval_batch_size)
        batches = list(dataset.layout.pack(range(len(pairs))))
        with recipe.device.faults():
            outputs = inference.collect(batches, inference.outputs(recipe, model.checkpoint, dataset, batches))
        rows = zip(indices, task.answers(outputs))
        text = "index\tprediction\n" + "".join("{}\t{}\n".format(*row) for row in rows)
        RunFolder(output).write(submission, text)
        written.append(output / submission)
    return written
