"""Evaluates a run at the end of every epoch: the whole development set, inside the training session."""

import itertools
import logging
import math
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from bert_trainer.data.tasks import Task
from bert_trainer.evaluation import scores
from bert_trainer.evaluation.collapse import collapse
from bert_trainer.layouts.input_fn import Dataset
from bert_trainer.output.history import Evaluation, History
from bert_trainer.reporting.stop import StopRequest
from bert_trainer.reporting.telemetry import Telemetry
from bert_trainer.reporting.tensorboard import EventFile
from bert_trainer.training.inference import collect
from bert_trainer.training.model_fn import INFERENCE, OUTPUTS, STEP

log = logging.getLogger(__name__)


class DevSet(NamedTuple):
    """The examples of all development files, one file's after the other's, and how many each file has."""

    dataset: Dataset
    counts: List[int]


def epoch_ends(examples: int, batch_size: int, epochs: float, total_steps: int) -> Dict[int, float]:
    """Returns step -> epoch for the last step that lies wholly in each epoch; the last step of all ends the last."""
    ends = {epoch * examples // batch_size: float(epoch) for epoch in range(1, math.ceil(epochs))}
    ends[total_steps] = epochs
    ends.pop(0, None)  # of an epoch with less than one batch
    return ends


class Evaluator:
    """Scores and judges what the model answers for the development set."""

    def __init__(
        self,
        task: Task,
        train_labels: Sequence[float],
        dev: DevSet,
        ends: Dict[int, float],
        history: History,
        *,
        telemetry: Telemetry,
        events: EventFile,
        stop: StopRequest,
    ) -> None:
        """Takes epoch_ends and the run's history beside the data."""
        self.dataset = dev.dataset
        self.batches = list(self.dataset.layout.pack(range(len(self.dataset.pairs))))
        self.history = history
        self._task = task
        self._chance = task.chance_level(np.array(train_labels))
        self._labels = np.array([pair.label for pair in self.dataset.pairs])
        self._files = list(zip([0, *itertools.accumulate(dev.counts)], itertools.accumulate(dev.counts)))
        self._ends = ends
        self._telemetry = telemetry
        self._events = events
        self._stop = stop

    def is_due(self, step: int) -> bool:
        """Returns whether the step ends an epoch that has not been evaluated."""
        return step in self._ends and all(evaluation["step"] != step for evaluation in self.history.evaluations)

    def evaluate(self, step: int, outputs_of_batches: Iterable[np.ndarray]) -> None:
        """Collects the outputs for self.batches, each [slots, task.outputs], and keeps their evaluation.

        A request to stop leaves the step without evaluation, to be made up for when the run resumes.
        """
        with self._telemetry.evaluating():
            batches = self._telemetry.evaluation_batches(outputs_of_batches)
            outputs = collect(self.batches, itertools.takewhile(lambda _: not self._stop.signal, batches))
        if outputs is None:
            return
        evaluation = self.judge(step, outputs)
        self.history.add(evaluation)
        self._telemetry.evaluated(evaluation)
        defined = {"eval/" + name: value for name, value in numbers(evaluation).items() if value is not None}
        self._events.add(step, defined)
        log.info("%s", evaluation_line(evaluation))
        if evaluation["collapsed"]:
            outlook = "a later epoch may recover" if step < max(self._ends) else "this was the last epoch"
            log.warning("collapsed: %s; %s", evaluation["collapseReason"], outlook)

    def judge(self, step: int, outputs: np.ndarray) -> Evaluation:
        """Returns the evaluation of the [examples, task.outputs] outputs after a step.

        Keys:
            epoch, step: when.
            loss and the task's scores: of the first development file; None for a score that is undefined.
            accuracyMismatched: accuracy on the second file, where there is one.
            collapsed, collapseReason: the verdict, and a sentence or None.
        """
        first, *others = (
            scores.scores(self._task, self._labels[start:end], outputs[start:end]) for start, end in self._files
        )
        evaluation: Evaluation = {"epoch": self._ends[step], "step": step, **first}
        if others:
            evaluation["accuracyMismatched"] = others[0]["accuracy"]
        losses = self.history.losses(max((end for end in self._ends if end < step), default=0), step)
        predictions = self._task.predictions(outputs)
        reason = collapse(self._task, self._labels, predictions, losses, self._chance)
        return dict(evaluation, collapsed=reason is not None, collapseReason=reason)


class EvaluationHook(tf.train.SessionRunHook):
    """Evaluates in the training session after the last step of an epoch."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def after_create_session(self, session: tf.Session, coord: Any) -> None:
        """Makes up for the evaluation of the step that the run resumes from, which the process before did not reach."""
        step = int(session.run(tf.train.get_global_step(session.graph)))
        self._evaluate(step, session)
        if self._evaluator.is_due(step):  # told to stop meanwhile: with another step it would be too late for it
            coord.request_stop()

    def before_run(self, run_context: Any) -> tf.train.SessionRunArgs:
        return tf.train.SessionRunArgs(run_context.session.graph.get_tensor_by_name(STEP))

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self._evaluate(int(run_values.results), run_context.session)

    def _evaluate(self, step: int, session: tf.Session) -> None:
        evaluator = self._evaluator
        if evaluator.is_due(step):
            pairs, layout = evaluator.dataset
            batches = (layout.assemble(placements, pairs) for placements in evaluator.batches)
            evaluator.evaluate(step, (infer(session, features) for features in batches))


def infer(session: tf.Session, features: Dict[str, np.ndarray]) -> np.ndarray:
    """Returns the training graph's [slots, task.outputs] outputs for a batch, without dropout."""
    return session.run(OUTPUTS, {"{}{}:0".format(INFERENCE, name): array for name, array in features.items()})


def numbers(evaluation: Evaluation) -> Dict[str, Optional[float]]:
    """Returns an evaluation's loss and scores."""
    others = ("epoch", "step", "collapsed", "collapseReason")
    return {name: value for name, value in evaluation.items() if name not in others}


def evaluation_line(evaluation: Evaluation) -> str:
    """Returns an evaluation as a line for a person."""
    values = ("{} {}".format(name, value) for name, value in numbers(evaluation).items())
    return "epoch {:g}, step {}: {}".format(evaluation["epoch"], evaluation["step"], ", ".join(values))
