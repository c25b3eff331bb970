"""Gradient accumulation: a step goes through its batch lot by lot and holds the activations of one lot at a time.

A tf.while_loop does so, inside of the step: hooks and checkpoints know nothing of lots, and the graph has the model
once, whatever the number of lots. CANN's adapter makes the same loop around whole steps (iterations_per_loop, in
npu_estimator.py of branch r1.2.0), and its graph compiler knows the shapes: every lot has the same. The loop's
variables hold the sums of the gradients, as large as the weights; the cards exchange them once a step.
"""

from typing import Callable, List, Tuple

import tensorflow.compat.v1 as tf

from bert_trainer.model.bert import WORD_TABLE
from bert_trainer.model.operations import Features
from bert_trainer.model.optimization import Gradient, minimize

LossOfLot = Callable[[tf.Tensor], tf.Tensor]


def lot(batch: Features, index: tf.Tensor, lots: int) -> Features:
    """Returns one of the equal lots of which the arrays of a batch consist, its "labels" among them.

    Packed rows stand lot after lot, as PackedLayout assembles them. Of flat tokens, every lot has equally many pairs.
    """
    if "offsets" not in batch:
        shapes = {name: array.shape.as_list() for name, array in batch.items()}
        return {
            name: tf.gather(tf.reshape(array, [lots, shapes[name][0] // lots, *shapes[name][1:]]), index)
            for name, array in batch.items()
        }
    slots = tf.size(batch["labels"]) // lots
    first, end = index * slots, (index + 1) * slots
    offsets = batch["offsets"][first : end + 1]
    tokens = slice(offsets[0], offsets[-1])
    return {
        **{name: batch[name][tokens] for name in ("input_ids", "token_types", "positions")},
        **{name: batch[name][first:end] for name in ("labels", "weights")},
        "offsets": offsets - offsets[0],
        "cls_index": offsets[:-1] - offsets[0],
    }


def minimize_in_lots(
    optimizer: tf.train.Optimizer, loss_of: LossOfLot, lots: int, input_ids: tf.Tensor, step: tf.Variable
) -> Tuple[tf.Operation, tf.Tensor]:
    """Returns what `minimize` does for the sum of the lots' losses, and that sum.

    Args:
        optimizer: the device's; it may scale the loss, and average the gradients over the cards.
        loss_of: builds the loss of the lot with a given index, from the variables that are there already.
        lots: how many.
        input_ids: the tokens of all lots, one lot's after the other's.
        step: the global step.
    """
    variables = tf.trainable_variables()
    losses: List[tf.Tensor] = []

    # The loop runs where the optimizer asks for gradients, and takes the loss scale from it, if there is one: half
    # precision needs gradients that are scaled from the beginning. It yields the loss as well; the value here is not
    # used.
    @tf.custom_gradient
    def loss(*_variables: tf.Tensor) -> Tuple[tf.Tensor, Callable[[tf.Tensor], List[Gradient]]]:
        def gradients(scale: tf.Tensor) -> List[Gradient]:
            total, sums = _sums(loss_of, lots, variables, scale, tf.reshape(input_ids, [-1]))
            losses.append(total)
            return sums

        return tf.constant(0.0), gradients

    train_op = minimize(optimizer, loss(*variables), step)
    return train_op, losses[0]


def _sums(
    loss_of: LossOfLot, lots: int, variables: List[tf.Variable], scale: tf.Tensor, ids: tf.Tensor
) -> Tuple[tf.Tensor, List[Gradient]]:
    """Returns the sum of the losses, and that of the gradients of each variable, times the scale.

    The gradient of the word embeddings keeps its form of one row a token, and so the norm that it has without lots.
    """
    names = [variable.op.name for variable in variables]
    table = variables[names.index(WORD_TABLE)]
    rows = tf.zeros([ids.shape[0].value or tf.size(ids), table.shape[1].value])
    dense = [tf.zeros(variable.shape) for variable in variables if variable is not table]

    def go_on(
        index: tf.Tensor, token: tf.Tensor, total: tf.Tensor, rows: tf.Tensor, *sums: tf.Tensor
    ) -> List[tf.Tensor]:
        loss = loss_of(index)
        gradients = dict(zip(names, tf.gradients(loss * scale, variables)))
        values = gradients.pop(WORD_TABLE).values
        places = token + tf.range(values.shape[0].value or tf.shape(values)[0])
        rows += tf.scatter_nd(places[:, None], values, tf.shape(rows))
        added = [sum_ + gradient for sum_, gradient in zip(sums, gradients.values())]
        return [index + 1, token + tf.size(places), total + loss, rows, *added]

    _, _, total, rows, *sums = tf.while_loop(
        lambda index, *_: index < lots,
        go_on,
        [tf.constant(0), tf.constant(0), tf.constant(0.0), rows, *dense],
        parallel_iterations=1,
        back_prop=False,
    )
    of_words = tf.IndexedSlices(rows, ids, tf.constant(table.shape.as_list()))
    rest = iter(sums)
    return total, [of_words if variable is table else next(rest) for variable in variables]
