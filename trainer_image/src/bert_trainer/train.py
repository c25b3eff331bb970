"""One run from its configuration to its outcome."""

import contextlib
import dataclasses
import itertools
import logging
import platform
import time
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import tensorflow.compat.v1 as tf

from bert_trainer import __version__, checkpoint, contract, model_fn
from bert_trainer.checkpoint import PretrainedModel
from bert_trainer.config import Config
from bert_trainer.data import read_pairs, sha256
from bert_trainer.device import Device, open_device
from bert_trainer.errors import BadConfigError, BadDataError, InterruptedRunError, StorageError
from bert_trainer.feeding import Dataset, input_fn
from bert_trainer.hooks import ProgressHook, StopHook
from bert_trainer.packing import fit_shape, pack, shuffled
from bert_trainer.result import Outcome
from bert_trainer.run_folder import RunFolder
from bert_trainer.stop import StopRequest
from bert_trainer.tasks import TASKS
from bert_trainer.telemetry import Telemetry, serve
from bert_trainer.tokenization import encode_pairs

log = logging.getLogger(__name__)
TRAIN_FILE = "train.tsv"
DEV_FILE = "dev.tsv"
CHECKPOINT_OPERATIONS = ("SaveV2", "MergeV2Checkpoints", "RestoreV2")


def run(config: Config, stop: StopRequest, started: float) -> Outcome:
    """Trains, evaluates and returns the outcome, which also stands in the output folder.

    Args:
        config: the run's configuration.
        stop: asked between steps whether to stop.
        started: when the process began, by time.monotonic.

    Raises:
        TrainerError: every anticipated failure, as its subclass.
    """
    device = open_device(config.device)
    telemetry = Telemetry(device.backend, config.task_name)
    if config.metrics_port:
        serve(telemetry, config.metrics_port)
    folder = RunFolder(Path(config.output_dir))
    finished = folder.claim(_describe(config))
    if finished is not None:
        log.info("%s had finished before: reporting its result again", folder.path)
        return finished
    with folder.recorded_failure(), _storage_errors(config.output_dir):
        outcome = _train_and_evaluate(config, device, telemetry, stop)
        for name in (checkpoint.VOCAB_FILE, checkpoint.CONFIG_FILE):
            folder.copy(Path(config.model_path) / name)
        outcome["durationSeconds"] = round(time.monotonic() - started)
        folder.record(outcome)
    telemetry.enter("Finished")
    return outcome


def _train_and_evaluate(config: Config, device: Device, telemetry: Telemetry, stop: StopRequest) -> Outcome:
    model = checkpoint.load(Path(config.model_path), config.model_name, config.max_seq_length)
    train, dev = _datasets(config, model)
    total_steps = _total_steps(config, len(train.pairs))
    log.info("%d training and %d dev pairs, %d steps, %s", len(train.pairs), len(dev.pairs), total_steps, train.shape)
    function = model_fn.build(config, TASKS[config.task_name], model, device, total_steps)
    estimator = device.estimator(function, config)
    _train(estimator, train, config, total_steps, telemetry=telemetry, stop=stop)
    scores = _evaluate(estimator, dev, telemetry, stop)
    return {
        "outcome": contract.OUTCOME_SUCCEEDED,
        "task": config.task_name,
        "accuracy": scores["accuracy"],
        "f1": scores["f1"],
        "evalLoss": scores["mean_loss"],
        "evalExamples": len(dev.pairs),
        "trainExamples": len(train.pairs),
        "steps": total_steps,
        "msPerStep": telemetry.times.ms_per_step,
        "examplesPerSecond": telemetry.times.examples_per_second,
        "durationSeconds": None,
        "seed": config.seed,
        "backend": device.backend,
        "checkpoint": Path(estimator.latest_checkpoint()).name,
    }


def _describe(config: Config) -> Dict[str, Dict[str, Any]]:
    """Returns what run.json holds: what the run depends on, and the versions it was started with."""
    return {
        "config": dataclasses.asdict(config),
        "data": {name: sha256(Path(config.data_path) / name, BadDataError) for name in (TRAIN_FILE, DEV_FILE)},
        "model": checkpoint.fingerprint(Path(config.model_path)),
        "versions": {"bert_trainer": __version__, "tensorflow": tf.__version__, "python": platform.python_version()},
    }


def _datasets(config: Config, model: PretrainedModel) -> Tuple[Dataset, Dataset]:
    """Returns the training and the development set; both take their shape from the training set's lengths."""
    task, folder = TASKS[config.task_name], Path(config.data_path)
    train, dev = (
        encode_pairs(read_pairs(folder / name, task), model.vocabulary, config.max_seq_length)
        for name in (TRAIN_FILE, DEV_FILE)
    )
    lengths = [len(pair.ids) for pair in train]
    return (
        Dataset(train, lengths, fit_shape(lengths, config.train_batch_size, config.max_seq_length)),
        Dataset(
            dev, [len(pair.ids) for pair in dev], fit_shape(lengths, config.eval_batch_size, config.max_seq_length)
        ),
    )


def _total_steps(config: Config, examples: int) -> int:
    steps = int(examples / config.train_batch_size * config.num_train_epochs)
    if not steps:
        message = "--train_batch_size={}: {} examples in {} epochs are less than one batch; pass a smaller one"
        raise BadConfigError(message.format(config.train_batch_size, examples, config.num_train_epochs))
    return steps


def _train(
    estimator: tf.estimator.Estimator,
    dataset: Dataset,
    config: Config,
    total_steps: int,
    *,
    telemetry: Telemetry,
    stop: StopRequest,
) -> None:
    """Trains up to total_steps, from the folder's latest checkpoint if it holds one; ends with a checkpoint saved."""
    latest = estimator.latest_checkpoint()
    first = int(tf.train.load_variable(latest, "global_step")) if latest else 0
    telemetry.start(first, total_steps)
    if first:
        log.info("resuming from %s", latest)
    if first < total_steps:
        batches = pack(shuffled(len(dataset.pairs), config.seed), dataset.lengths, dataset.shape)
        hooks = [ProgressHook(telemetry), StopHook(stop)]
        try:
            estimator.train(
                input_fn(dataset, itertools.islice(batches, first, None)), hooks=hooks, max_steps=total_steps
            )
        except tf.train.NanLossDuringTrainingError as reason:
            message = "--learning_rate={}: the loss is not a number at step {}; pass a smaller rate"
            raise BadConfigError(message.format(config.learning_rate, telemetry.progress["step"])) from reason
    _raise_if_stopped(stop, estimator)


def _evaluate(
    estimator: tf.estimator.Estimator, dataset: Dataset, telemetry: Telemetry, stop: StopRequest
) -> Dict[str, float]:
    """Returns the scores of the latest checkpoint on the whole data set."""
    telemetry.enter("Evaluating")
    batches = list(pack(range(len(dataset.pairs)), dataset.lengths, dataset.shape))
    metrics = estimator.evaluate(input_fn(dataset, batches), steps=len(batches), hooks=[StopHook(stop)])
    _raise_if_stopped(stop, estimator)
    scores = {name: round(float(metrics[name]), 7) for name in ("accuracy", "f1", "mean_loss")}
    telemetry.evaluated(scores["accuracy"], scores["f1"])
    return scores


def _raise_if_stopped(stop: StopRequest, estimator: tf.estimator.Estimator) -> None:
    if stop.signal:
        message = "stopped by {} with {} saved; start again with the same flags to resume"
        raise InterruptedRunError(message.format(stop.signal, estimator.latest_checkpoint()))


@contextlib.contextmanager
def _storage_errors(output_dir: str) -> Iterator[None]:
    """Turns TensorFlow's failures to write or read files of the output folder into StorageError."""
    try:
        yield
    except tf.errors.OpError as reason:
        in_checkpoint = reason.op is not None and reason.op.type in CHECKPOINT_OPERATIONS
        if not in_checkpoint and output_dir not in reason.message:
            raise
        message = "{}: {}; make the output folder writable and large enough for the checkpoints"
        raise StorageError(message.format(output_dir, reason.message.splitlines()[0])) from reason
