"""The training of each trial: the first is what the user wrote, the others are steadier. Pure."""

from bertfinetune_operator.api.spec import Training

STEADY_WARMUP = 0.2
"""Least share of the steps in which the learning rate rises."""

SEEDS = 2**31
"""Number of seeds the API admits."""


def training_of(training: Training, trial: int) -> Training:
    """The hyper-parameters of trial `trial`, from 0.

    After a collapse: another seed, Adam with bias correction (Mosbach et al. 2020, arXiv 2006.04884; Zhang et al. 2020,
    arXiv 2006.05987) and a longer warm-up; the reasons are in the trainer's docs/stability.md.
    """
    if trial == 0:
        return training
    return training.model_copy(
        update={
            "seed": (training.seed + trial) % SEEDS,
            "optimizer": "AdamW",
            "warmup_proportion": max(training.warmup_proportion, STEADY_WARMUP),
        }
    )
