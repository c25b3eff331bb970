"""The Estimator's model function: the classifier, its loss, its training operation and its scores."""

from typing import Any, Callable, Dict, Tuple

import tensorflow.compat.v1 as tf

from bert_trainer.checkpoint import PretrainedModel
from bert_trainer.config import Config
from bert_trainer.device import Device
from bert_trainer.modeling import Bert
from bert_trainer.optimization import AdamWeightDecayOptimizer, learning_rate_at, minimize
from bert_trainer.tasks import Task

LOSS = "training_loss:0"  # the names under which the hooks fetch these tensors
PAIRS = "training_pairs:0"


def build(config: Config, task: Task, model: PretrainedModel, device: Device, total_steps: int) -> Callable[..., Any]:
    """Returns model_fn(features, labels, mode) for packed features (see packing.assemble) and [slots] labels."""

    def model_fn(features: Dict[str, tf.Tensor], labels: tf.Tensor, mode: str) -> Any:
        step = tf.train.get_or_create_global_step()
        training = mode == tf.estimator.ModeKeys.TRAIN
        bert = Bert(model.config, device.operations(step, config.seed, training))
        logits = bert.logits(features, len(task.labels))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        weights = features["weights"]
        pairs = tf.reduce_sum(weights, name=PAIRS[:-2])
        loss = tf.math.divide(tf.reduce_sum(losses * weights), pairs, name=LOSS[:-2])
        if not training:
            return device.spec(mode=mode, loss=loss, eval_metric_ops=_scores(task, labels, logits, losses, weights))
        tf.train.init_from_checkpoint(model.checkpoint, {name: name for name in model.variables})
        rate = learning_rate_at(step, config.learning_rate, total_steps, int(total_steps * config.warmup_proportion))
        tf.summary.scalar("learning_rate", rate)
        optimizer = AdamWeightDecayOptimizer(rate, step, bias_correction=config.optimizer == "AdamW")
        return device.spec(mode=mode, loss=loss, train_op=minimize(device.distribute(optimizer), loss, step))

    return model_fn


def _scores(
    task: Task, labels: tf.Tensor, logits: tf.Tensor, losses: tf.Tensor, weights: tf.Tensor
) -> Dict[str, Tuple[tf.Tensor, tf.Operation]]:
    """Returns the task's scores over all batches, from one confusion matrix that the batches add to."""
    classes = len(task.labels)
    confusion = tf.get_variable(
        "confusion",
        [classes, classes],
        initializer=tf.zeros_initializer(),
        trainable=False,
        collections=[tf.GraphKeys.LOCAL_VARIABLES, tf.GraphKeys.METRIC_VARIABLES],
    )
    predictions = tf.argmax(logits, axis=-1, output_type=tf.int32)
    counted = tf.assign_add(
        confusion, tf.math.confusion_matrix(labels, predictions, classes, tf.float32, weights=weights)
    )
    metrics = {name: (score, counted) for name, score in task.score(confusion).items()}
    return dict(metrics, mean_loss=tf.metrics.mean(losses, weights))
