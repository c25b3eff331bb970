"""One run from its configuration to its outcome."""

import contextlib
import dataclasses
import errno
import json
import logging
import os
import platform
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from bert_trainer import __version__, contract
from bert_trainer.config import Config
from bert_trainer.data.glue import read_pairs, sha256
from bert_trainer.data.tasks import TASKS, TRAIN_FILE
from bert_trainer.devices.by_name import open_device
from bert_trainer.devices.device import Device
from bert_trainer.errors import BadConfigError, BadDataError, InterruptedRunError, StorageError
from bert_trainer.layouts.input_fn import Dataset, input_fn, specs
from bert_trainer.layouts.packed import part_of_rank, shuffled
from bert_trainer.model import pretrained
from bert_trainer.output import lease, takeover
from bert_trainer.output.checkpoints import BASENAME, SavingListener, recover
from bert_trainer.output.folder import TIMES_FILE, Description, RunFolder
from bert_trainer.output.history import History
from bert_trainer.output.lease import Lease
from bert_trainer.output.outcome import Outcome
from bert_trainer.reporting.clock import table
from bert_trainer.reporting.stop import StopRequest
from bert_trainer.reporting.telemetry import Telemetry, serve
from bert_trainer.reporting.tensorboard import EventFile
from bert_trainer.training import inference, model_fn, saved_model
from bert_trainer.training.evaluator import DevSet, EvaluationHook, Evaluator, epoch_ends
from bert_trainer.training.hooks import ProgressHook, StopHook
from bert_trainer.training.model_fn import Recipe

log = logging.getLogger(__name__)
FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
HALF_PRECISION_MODES = ("allow_mix_precision", "allow_fp32_to_fp16", "force_fp16")  # in which a loss may overflow
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
    device = open_device(config.device, config.devices)
    telemetry = Telemetry(device.backend, config.task_name, started)
    telemetry.clock.enter("data")
    if config.metrics_port:
        serve(telemetry, config.metrics_port)
    output, description = Path(config.output_dir), _describe(config)
    finished = _result_of(output, description)
    if finished is None:
        with _storage_errors(config.output_dir), lease.held(output, stop) as held:
            finished = _result_of(output, description)  # a process that held the folder may have finished the run
            if finished is None:
                return _train(config, device, held, description, telemetry=telemetry, stop=stop)
    log.info("%s had finished before: reporting its result again", output)
    return finished


def _result_of(output: Path, description: Description) -> Optional[Outcome]:
    return RunFolder(lease.folder_of(output, lease.generation_of(output))).result_of(description)


def _train(
    config: Config, device: Device, held: Lease, description: Description, *, telemetry: Telemetry, stop: StopRequest
) -> Outcome:
    if held.is_shared_with_a_vanished_one:
        takeover.begin_generation(held)
    takeover.remove_earlier_generations(held)
    folder = RunFolder(held.folder, held.check)
    folder.claim(description)
    with folder.recorded_failure(), device.faults(), _storage_errors(config.output_dir):
        outcome = Run(config, device, held, description, telemetry=telemetry, stop=stop).finish()
        for name in (pretrained.VOCAB_FILE, pretrained.CONFIG_FILE):
            folder.copy(Path(config.model_path) / name)
        spent = telemetry.clock.seconds()
        outcome["durationSeconds"] = round(sum(spent.values()))
        outcome["phases"] = {phase: round(seconds, 1) for phase, seconds in spent.items()}
        folder.record({**outcome, **description})
        held.check()  # of two processes that have come so far one reports
    log.info("where the time went, all processes of this run together:\n%s", table(spent))
    telemetry.enter("Finished")
    return outcome


def follow(config: Config) -> Outcome:
    """Takes the steps of a run on another card than rank 0's, which keeps what comes out; returns an empty outcome.

    Raises:
        TrainerError: every anticipated failure, as its subclass.
    """
    device = open_device(config.device, config.devices)
    with device.faults(), _storage_errors(config.output_dir):
        recipe = _recipe(config, device)
        train_set, dev = _datasets(recipe)
        steps = range(_steps_taken(tf.train.latest_checkpoint(config.output_dir)), _total_steps(config, train_set))
        with _loss_errors(config, lambda: "on all cards"):
            _take_steps(recipe, train_set, dev.dataset, steps)
    return {}


class Run:
    """A run whose data are read and whose model is checked."""

    def __init__(
        self,
        config: Config,
        device: Device,
        held: Lease,
        description: Description,
        *,
        telemetry: Telemetry,
        stop: StopRequest,
    ) -> None:
        """Finds out what there is to do, and what an earlier process of this run has done of it."""
        self._recipe = _recipe(dataclasses.replace(config, output_dir=str(held.folder)), device)
        self._held, self._telemetry, self._stop = held, telemetry, stop
        self._folder = RunFolder(held.folder, held.check)
        self._train_set, dev = _datasets(self._recipe)
        examples = len(self._train_set.pairs)
        self._steps = _total_steps(config, self._train_set)
        self._latest = recover(held.folder)
        if self._latest is None and config.resume_from:
            takeover.resume_from(Path(config.resume_from), description, self._folder)
            self._latest = recover(held.folder)
        self._first = _steps_taken(self._latest)
        if self._first > self._steps:
            message = "--resume_from={}: has taken {} steps, this run takes {} in all; pass a larger --num_train_epochs"
            raise BadConfigError(message.format(config.resume_from, self._first, self._steps))
        self._history = History(self._folder, self._first)
        ends = epoch_ends(examples, config.step_examples, config.num_train_epochs, self._steps)
        labels = [pair.label for pair in self._train_set.pairs]
        self._events = EventFile(held.output, self._first)
        self._evaluator = Evaluator(
            self._recipe.task, labels, dev, ends, self._history, telemetry=telemetry, events=self._events, stop=stop
        )
        log.info("%d training and %d dev examples, %d steps", examples, len(dev.dataset.pairs), self._steps)

    @property
    def _checkpoint(self) -> Path:
        """The run's last checkpoint."""
        return self._held.folder / "{}-{}".format(BASENAME, self._steps)

    def finish(self) -> Outcome:
        """Does what is left to do and returns the outcome; raises InterruptedRunError when told to stop."""
        config = self._recipe.config
        self._telemetry.start(self._first, self._steps, config.num_train_epochs)
        if self._latest:
            self._resume(self._latest)
        _raise_if_stopped(self._stop, config)
        if self._first < self._steps:
            self._train()
            _raise_if_stopped(self._stop, config)
        if config.export_saved_model:
            self._held.check()
            with self._telemetry.clock.during("export"):
                saved_model.write(self._recipe, str(self._checkpoint), self._held.output, self._held.generation)
        return self._outcome()

    def _resume(self, latest: str) -> None:
        log.info("resuming from %s", latest)
        self._telemetry.resume(self._folder.read_json(TIMES_FILE) or {})
        if self._history.evaluations:
            self._telemetry.evaluated(self._history.evaluations[-1])
        evaluator = self._evaluator
        # The process before ended between the last checkpoint and its evaluation. For an earlier one, EvaluationHook
        # makes up in the training session.
        if self._first == self._steps and evaluator.is_due(self._first):
            outputs = inference.outputs(self._recipe, latest, evaluator.dataset, evaluator.batches)
            evaluator.evaluate(self._first, outputs)

    def _train(self) -> None:
        """Takes the steps that are left, in batches that depend on the seed alone; ends with a checkpoint saved."""
        config, telemetry = self._recipe.config, self._telemetry
        telemetry.clock.enter("graph")
        hooks = [
            ProgressHook(telemetry, self._history, self._events),
            *self._recipe.device.hooks(config),
            EvaluationHook(self._evaluator),
            StopHook(self._stop),
        ]
        listener = SavingListener(
            telemetry.clock,
            self._held.check,
            lambda: self._folder.write(TIMES_FILE, json.dumps(telemetry.spent()) + "\n"),
        )

        def train() -> None:
            steps = range(self._first, self._steps)
            with _loss_errors(config, lambda: "at step {}".format(telemetry.progress["step"])):
                _take_steps(
                    self._recipe, self._train_set, self._evaluator.dataset, steps, hooks=hooks, listeners=[listener]
                )

        self._recipe.device.together(config, self._latest, train)
        telemetry.clock.enter("checkpoint")

    def _outcome(self) -> Outcome:
        """Returns the outcome, all but what it took."""
        config, last = self._recipe.config, self._history.evaluations[-1]
        return {
            "outcome": contract.OUTCOME_SUCCEEDED,
            "task": config.task_name,
            **{name: last.get(name) for name in contract.SCORE_KEYS},
            "evalLoss": last["loss"],
            "evalExamples": len(self._evaluator.dataset.pairs),
            "trainExamples": len(self._train_set.pairs),
            "steps": self._steps,
            "msPerStep": self._telemetry.times.ms_per_step,
            "examplesPerSecond": self._telemetry.times.examples_per_second,
            "seed": config.seed,
            "backend": self._recipe.device.backend,
            "checkpoint": str(self._checkpoint.relative_to(self._held.output)),
            "collapsed": last["collapsed"],
            "collapseReason": last["collapseReason"],
            "evaluations": self._history.evaluations,
        }


def _describe(config: Config) -> Description:
    files = (TRAIN_FILE, *TASKS[config.task_name].dev_files)
    return {
        "config": dataclasses.asdict(config),
        "data": {name: sha256(Path(config.data_path) / name, BadDataError) for name in files},
        "model": pretrained.fingerprint(Path(config.model_path)),
        "versions": {"bert_trainer": __version__, "tensorflow": tf.__version__, "python": platform.python_version()},
    }


def _datasets(recipe: Recipe) -> Tuple[Dataset, DevSet]:
    config, task = recipe.config, recipe.task
    train, *dev = (read_pairs(Path(config.data_path) / name, task) for name in (TRAIN_FILE, *task.dev_files))
    whole_dev = inference.lay_out(recipe, [pair for pairs in dev for pair in pairs], config.eval_batch_size)
    return (
        inference.lay_out(recipe, train, config.train_batch_size, config.gradient_accumulation_steps),
        DevSet(whole_dev, [len(pairs) for pairs in dev]),
    )


def _recipe(config: Config, device: Device) -> Recipe:
    model = pretrained.load(Path(config.model_path), config.model_name, config.max_seq_length, config.do_lower_case)
    model = pretrained.without_top_layers(model, config.reinit_layers)
    return Recipe(config, TASKS[config.task_name], model, device)


def _total_steps(config: Config, train_set: Dataset) -> int:
    examples = len(train_set.pairs)
    steps = int(examples / config.step_examples * config.num_train_epochs)
    if not steps:
        cards = " on each of {} cards".format(config.devices) if config.devices > 1 else ""
        message = "--train_batch_size={}: {} examples in {} epochs are less than one batch{}; pass a smaller one"
        raise BadConfigError(message.format(config.train_batch_size, examples, config.num_train_epochs, cards))
    return steps


def _steps_taken(saved: Optional[str]) -> int:
    return int(tf.train.load_variable(saved, "global_step")) if saved else 0


def _take_steps(
    recipe: Recipe,
    train_set: Dataset,
    dev_set: Dataset,
    steps: range,
    *,
    hooks: Sequence[tf.train.SessionRunHook] = (),
    listeners: Sequence[tf.train.CheckpointSaverListener] = (),
) -> None:
    """Trains this process's share of these steps, from the checkpoint of the step before them in the output folder."""
    config, device = recipe.config, recipe.device
    batches = train_set.layout.pack(shuffled(len(train_set.pairs), config.seed))
    feed = input_fn(train_set, part_of_rank(batches, steps.start, device.rank, config.devices))
    training = model_fn.for_training(recipe, steps.stop, train_set.layout.lots, specs(dev_set.layout))
    estimator = device.estimator(training, config)
    estimator.train(feed, hooks=hooks, max_steps=steps.stop, saving_listeners=listeners)


@contextlib.contextmanager
def _loss_errors(config: Config, where: Callable[[], str]) -> Iterator[None]:
    """Turns a loss that is not a number into BadConfigError."""
    try:
        yield
    except tf.train.NanLossDuringTrainingError as reason:
        message, remedy = "--learning_rate={}: the loss is not a number {}".format(config.learning_rate, where()), ""
        if config.device == "npu" and config.precision_mode in HALF_PRECISION_MODES:
            message += " with --precision_mode={} and --loss_scale={}".format(config.precision_mode, config.loss_scale)
            remedy = ", --loss_scale=0, which finds the scale, or --precision_mode=must_keep_origin_dtype"
        raise BadConfigError("{}; pass a smaller rate{}".format(message, remedy)) from reason


def _raise_if_stopped(stop: StopRequest, config: Config) -> None:
    if stop.signal:
        message = "stopped by {} with {} saved; start again with the same flags to resume"
        saved = tf.train.latest_checkpoint(config.output_dir) or "nothing"
        raise InterruptedRunError(message.format(stop.signal, saved))


@contextlib.contextmanager
def _storage_errors(output_dir: str) -> Iterator[None]:
    """Turns failures to write or read files of the output folder, by TensorFlow or Python, into StorageError.

    A full disk is one wherever it is met: nobody else fills one.
    """
    message = "{}: {}; make the output folder writable and large enough for the checkpoints"
    try:
        yield
    except tf.errors.OpError as reason:
        in_checkpoint = reason.op is not None and reason.op.type in CHECKPOINT_OPERATIONS
        is_full = any(os.strerror(number) in reason.message for number in FULL_DISK)
        if not in_checkpoint and not is_full and output_dir not in reason.message:
            raise
        raise StorageError(message.format(output_dir, reason.message.splitlines()[0])) from reason
    except OSError as reason:
        if output_dir not in str(reason.filename) and reason.errno not in FULL_DISK:
            raise
        raise StorageError(message.format(reason.filename or output_dir, reason.strerror)) from reason
