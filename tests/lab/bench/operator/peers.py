"""The controllers that ours is compared with."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from lab.bench.operator import kubeflow_trainer, training_operator
from lab.bench.operator.controllers import Controller
from lab.bench.operator.objects import JOBS, JOBSETS, PODS, TFJOBS, TRAINJOBS, Kind


@dataclass(frozen=True)
class Peer:
    """One of them: what it is given, and how it is started."""

    objects: str
    """In words."""
    kind: Kind
    descent: tuple[tuple[str, str], ...]
    """What is made of an object: path and name of its child, of that one's, and so on to the pod."""
    programs: tuple[str, ...]
    running: Callable[[], AbstractContextManager[Controller]]


PEERS: Mapping[str, Peer] = {
    "training-operator": Peer(
        "TFJobs, Kubeflow's training-operator",
        TFJOBS,
        ((PODS, "pod"),),
        (training_operator.PROGRAM,),
        training_operator.running,
    ),
    "trainer": Peer(
        "TrainJobs, Kubeflow Trainer with JobSet",
        TRAINJOBS,
        ((JOBSETS, "JobSet"), (JOBS.path, "Job"), (PODS, "pod")),
        kubeflow_trainer.PROGRAMS,
        kubeflow_trainer.running,
    ),
}
"""By the word that chooses them."""
