"""Adam with decoupled weight decay, with or without bias correction, and the learning rate's rise and fall."""

import re
from typing import Callable, List, NamedTuple, Union

import tensorflow.compat.v1 as tf

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-6
WEIGHT_DECAY = 0.01
CLIP_NORM = 1.0
NOT_DECAYED = re.compile("LayerNorm|bias")


def learning_rate_at(step: tf.Tensor, peak: float, total_steps: int, warmup_steps: int) -> tf.Tensor:
    """Returns the rate of a step: it rises linearly to `peak * step / warmup_steps`, then falls to 0 at total_steps.

    As published with BERT, the fall is the line from `peak` at step 0, so the rate jumps down a little after the rise.
    """
    falling = tf.train.polynomial_decay(peak, step, total_steps, end_learning_rate=0.0)
    if not warmup_steps:
        return falling
    rising = peak * (tf.cast(step, tf.float32) / float(warmup_steps))
    return tf.where(tf.cast(step, tf.int32) < warmup_steps, rising, falling)  # the NPU compares no int64


class Update(NamedTuple):
    """What one step does to one variable; all but `decay` are tensors."""

    variable: tf.Variable
    m: tf.Variable
    v: tf.Variable
    rate: tf.Tensor
    power1: tf.Tensor  # BETA_1 ** steps taken; 0 leaves the moments uncorrected
    power2: tf.Tensor
    decay: float


Gradient = Union[tf.Tensor, tf.IndexedSlices]


class AdamWeightDecayOptimizer(tf.train.Optimizer):
    """Adam whose weight decay acts on the weights and not through the moments (Loshchilov and Hutter 2019).

    Without bias correction it is the optimizer published with BERT, slot names included; with it, Adam as in Kingma and
    Ba 2015 (section 2, the efficient order of computation), which fine-tunes more stably (Mosbach et al. 2020).
    """

    def __init__(
        self,
        learning_rate: tf.Tensor,
        step: tf.Tensor,
        bias_correction: bool,
        apply: Callable[[Update, Gradient], tf.Operation],
    ) -> None:
        """`apply` is the device's way to carry out an update: see apply_update."""
        super().__init__(use_locking=False, name="AdamWeightDecayOptimizer")
        self._learning_rate = learning_rate
        self._step = step
        self._bias_correction = bias_correction
        self._apply = apply

    def _create_slots(self, var_list: List[tf.Variable]) -> None:
        for variable in var_list:
            self._zeros_slot(variable, "m", "adam_m")
            self._zeros_slot(variable, "v", "adam_v")

    def _prepare(self) -> None:
        taken = tf.cast(self._step, tf.float32) + 1.0
        self._powers = [tf.pow(beta, taken) if self._bias_correction else tf.constant(0.0) for beta in (BETA_1, BETA_2)]

    def _apply_dense(self, grad: Gradient, var: tf.Variable) -> tf.Operation:
        decay = WEIGHT_DECAY if NOT_DECAYED.search(var.op.name) is None else 0.0
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        return self._apply(Update(var, m, v, self._learning_rate, *self._powers, decay), grad)

    def _apply_sparse_duplicate_indices(self, grad: tf.IndexedSlices, var: tf.Variable) -> tf.Operation:
        return self._apply_dense(grad, var)  # every row's moments and decay move in every step


def apply_update(update: Update, gradient: Gradient) -> tf.Operation:
    """Returns an operation of TensorFlow's own that carries out the update."""
    gradient = tf.convert_to_tensor(gradient)
    alpha, settings = update.rate * update.decay, {"beta1": BETA_1, "beta2": BETA_2, "epsilon": EPSILON}
    # Made out here, so that the edges below lead to the updates and not to these.
    constants = {name: tf.constant(value) for name, value in settings.items()}
    before = [gradient]  # the clipped gradient: from here on nothing reads the old weights
    if update.decay:
        with tf.control_dependencies(before):
            before = [tf.raw_ops.ApplyGradientDescent(var=update.variable, alpha=alpha, delta=update.variable)]
    # Both take the variable itself: whether the NPU's compiler follows a variable through an operation is not known.
    with tf.control_dependencies(before):
        return tf.raw_ops.ApplyAdam(
            var=update.variable,
            m=update.m,
            v=update.v,
            beta1_power=update.power1,
            beta2_power=update.power2,
            lr=update.rate,
            grad=gradient,
            **constants,
        )


def minimize(optimizer: tf.train.Optimizer, loss: tf.Tensor, step: tf.Variable) -> tf.Operation:
    """Returns the operation that clips the gradients to a global norm of 1, applies them and increments the step."""
    gradients, variables = zip(*optimizer.compute_gradients(loss))
    clipped, _ = tf.clip_by_global_norm(gradients, CLIP_NORM)
    return optimizer.apply_gradients(list(zip(clipped, variables)), global_step=step)
