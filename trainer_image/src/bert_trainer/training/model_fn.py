"""The Estimator's model functions: training, which holds inference on the same variables, and inference alone."""

from typing import Any, Callable, ContextManager, Dict, NamedTuple

import tensorflow.compat.v1 as tf

from bert_trainer.config import Config
from bert_trainer.data.tasks import Task
from bert_trainer.devices.device import Device
from bert_trainer.model.bert import Bert, initializer
from bert_trainer.model.optimization import AdamWeightDecayOptimizer, learning_rate_at, minimize
from bert_trainer.model.pretrained import PretrainedModel
from bert_trainer.output.checkpoints import use_weights_saver
from bert_trainer.training import accumulation
from bert_trainer.training.accumulation import minimize_in_lots

STEP = "training_step:0"  # the names under which the hooks fetch these tensors; the step is that after the update
LOSS = "training_loss:0"
PAIRS = "training_pairs:0"
RATE = "training_rate:0"
STEP_TENSORS = (STEP, LOSS, PAIRS, RATE)
INFERENCE = "inference/"  # in front of the names of the placeholders, one for each feature, that feed inference
OUTPUTS = INFERENCE + "outputs:0"  # [slots, task.outputs]

Features = Dict[str, tf.Tensor]
ModelFn = Callable[..., Any]


class Recipe(NamedTuple):
    """What a graph is built from."""

    config: Config
    task: Task
    model: PretrainedModel
    device: Device


def for_training(recipe: Recipe, total_steps: int, lots: int, inference: Dict[str, tf.TensorSpec]) -> ModelFn:
    """Returns model_fn(features, labels, mode), which trains on batches as a layout assembles them, in so many lots.

    Its graph holds inference, too, fed by placeholders of the shapes that `inference` says: an evaluation between two
    steps is one more fetch of the training session.
    """
    config, task, model, device = recipe

    def model_fn(features: Features, labels: tf.Tensor, mode: str) -> Any:
        step = tf.train.get_or_create_global_step()
        # With several lots this is not run, but makes the variables.
        outputs = _outputs(recipe, features, step, training=True)
        weights = features["weights"]
        pairs = device.mean(tf.reduce_sum(weights))
        tf.multiply(pairs, float(config.devices), PAIRS[:-2])
        # The mean of this over the cards, as of its gradients, is the mean over all pairs of the step.
        loss = tf.reduce_sum(task.losses(labels, outputs) * weights) / pairs
        tf.train.init_from_checkpoint(model.checkpoint, {name: name for name in model.variables})
        rate = learning_rate_at(step, config.learning_rate, total_steps, int(total_steps * config.warmup_proportion))
        rate = tf.identity(rate, RATE[:-2])
        optimizer = AdamWeightDecayOptimizer(rate, step, config.optimizer == "AdamW", device.apply_update)
        use_weights_saver(config)
        distributed = device.distribute(optimizer, config.loss_scale)

        def loss_of_lot(index: tf.Tensor) -> tf.Tensor:
            part = accumulation.lot({**features, "labels": labels}, index, lots)
            with _existing_variables():
                # A number of its own for each lot of each step, of which dropout is a function.
                drawn = _outputs(recipe, part, step * lots + tf.cast(index, step.dtype), training=True)
            return tf.reduce_sum(task.losses(part["labels"], drawn) * part["weights"]) / pairs

        if lots == 1:
            train_op = minimize(distributed, loss, step)
        else:
            train_op, loss = minimize_in_lots(distributed, loss_of_lot, lots, features["input_ids"], step)
        step_loss = tf.identity(device.mean(loss), LOSS[:-2])
        with tf.control_dependencies([train_op]):  # an optimizer that scales the loss skips a step that overflows
            tf.identity(step.read_value(), STEP[:-2])
        with tf.name_scope(INFERENCE), _existing_variables():
            fed = {name: tf.placeholder(spec.dtype, spec.shape, name) for name, spec in inference.items()}
            tf.identity(_outputs(recipe, fed, step, training=False), "outputs")
        # Initializers or a checkpoint set every variable: TensorFlow need not look twice for one without a value.
        ready = tf.constant([], tf.string)
        fresh = [variable for variable in tf.trainable_variables() if variable.op.name not in model.variables]
        scaffold = tf.train.Scaffold(
            ready_op=ready, ready_for_local_init_op=ready, init_fn=initializer(fresh, config.seed)
        )
        return device.spec(mode=mode, loss=step_loss, train_op=train_op, scaffold=scaffold)

    return model_fn


def for_inference(recipe: Recipe) -> ModelFn:
    """Returns model_fn(features, mode), which predicts {"outputs": [slots, task.outputs]}."""

    def model_fn(features: Features, mode: str) -> Any:
        step = tf.train.get_or_create_global_step()
        outputs = _outputs(recipe, features, step, training=False)
        return recipe.device.spec(mode=mode, predictions={"outputs": outputs})

    return model_fn


def _outputs(recipe: Recipe, features: Features, step: tf.Tensor, training: bool) -> tf.Tensor:
    operations = recipe.device.operations(step, recipe.config.seed, training)
    bert = Bert(recipe.model.config, operations, recipe.config.max_seq_length)
    return bert.logits(features, recipe.task.outputs)


def _existing_variables() -> ContextManager[Any]:
    return tf.variable_scope(tf.get_variable_scope(), reuse=True, auxiliary_name_scope=False)
