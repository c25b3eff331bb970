"""The status of a BertFinetune: its record, which survives pods, Jobs and restarts of the operator."""

import unicodedata
from datetime import datetime
from math import isfinite
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from bertfinetune_operator import contract
from bertfinetune_operator.api.base import Model

Phase = Literal["Pending", "Queued", "Preparing", "Running", "Suspended", "Retrying", "Succeeded", "Failed"]
PHASES: tuple[Phase, ...] = get_args(Phase)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite)]
"""A measured number; a NaN loss is no number, and the API server takes none."""


def int64(value: int) -> int:
    """The value, if the API server takes it; else ValueError."""
    if not -(2**63) <= value < 2**63:
        raise ValueError("more than 64 bits: the API server takes no such integer")
    return value


Integer = Annotated[int, AfterValidator(int64)]
"""A count that a trainer reports."""


def printable(text: str) -> str:
    """The text with a replacement character for what could steer the reader's terminal: escapes, bells, bidi marks.

    Line breaks, tabs and every script's spaces stay; a carriage return, which progress bars use, becomes a line break.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join("\N{REPLACEMENT CHARACTER}" if _steers(c) else c for c in lines)


def _steers(character: str) -> bool:
    """Whether it is a control, format or unassigned character, or a separator of lines, and no line break or tab."""
    return not (character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs")


Text = Annotated[str, AfterValidator(printable)]
"""What a trainer says: its image may be anybody's."""

FINISHED: frozenset[str] = frozenset({"Succeeded", "Failed"})


def progress_summary(step: int, total: int, percent: int) -> str:
    """The column PROGRESS, for instance "143/343 (41%)"."""
    return f"{step}/{total} ({percent}%)"


class Progress(Model):
    """How far the running attempt has come."""

    step: Integer
    """Training steps done."""
    total_steps: Integer
    """Training steps planned."""
    percent: Integer
    """Share of the steps done, 0 to 100."""
    summary: str
    """Steps done, planned and their share, for instance "143/343 (41%)"."""
    eta_seconds: Integer | None = None
    """Seconds until training ends at the present speed."""
    loss: Number = None
    """Training loss of the newest step reported."""
    ms_per_step: Number = None
    """Mean duration of a training step, in milliseconds; after success the final value."""


class Result(Model):
    """What a successful run reported."""

    collapsed: bool
    """Whether the run learned nothing, although it ended without an error."""
    collapse_reason: Text | None = None
    """What shows that it collapsed."""
    accuracy: Number = None
    """Share of the evaluation examples classified correctly, 0 to 1; none for STS-B. MNLI: of the matched ones."""
    accuracy_mismatched: Number = None
    """MNLI: accuracy on the mismatched evaluation examples, 0 to 1."""
    f1: Number = None
    """MRPC, QQP: F1 score of the positive class on the evaluation examples, 0 to 1."""
    matthews: Number = None
    """Matthews correlation on the evaluation examples, -1 to 1; none for STS-B."""
    pearson: Number = None
    """STS-B: Pearson correlation on the evaluation examples, -1 to 1."""
    spearman: Number = None
    """STS-B: Spearman correlation on the evaluation examples, -1 to 1."""
    eval_loss: Number = None
    """Mean loss over the evaluation examples."""
    ms_per_step: Number = None
    """Mean duration of a training step, in milliseconds."""
    examples_per_second: Number = None
    """Training throughput, in sentence pairs per second."""
    duration_seconds: Number = None
    """Duration of the training, in seconds."""
    steps: Integer | None = None
    """Training steps done."""
    seed: Integer | None = None
    """Seed the run used."""
    backend: Text | None = None
    """What computed it: npu, npu-simulated or cpu."""
    checkpoint: Text | None = None
    """Final checkpoint in the output volume, relative to its root."""


class Failure(Model):
    """The newest failed attempt, kept here because its pod may vanish."""

    pod: str
    """Name of the pod."""
    node: str | None = None
    """Node it ran on."""
    exit_code: int | None = None
    """Exit code of the trainer; none if its container never ended."""
    class_: Annotated[str, Field(alias="class")]
    """BadConfig, BadData, BadModel, Storage, DeviceFault, DeviceNotAllotted, OOMKilled, Evicted, ImagePull,
    Interrupted, NodeLost, Stalled, Deadline or Unknown."""
    message: str
    """The trainer's own sentence, or Kubernetes', at most 2048 characters."""
    log_tail: str | None = None
    """The end of the pod's log, at most 2 KiB, read before the pod could vanish."""


class Movement(Model):
    """The newest sign that a trainer has worked."""

    pod: str
    """Name of its pod."""
    phase: Literal[contract.PROGRESS_PHASES]  # type: ignore[valid-type]  # a tuple of literals, known at run time
    """What it reported to be at."""
    step: Integer
    """Training steps done."""
    evaluation_batches: Integer | None = None
    """Evaluation batches of this pod."""
    time: datetime
    """When this was seen first."""


class Condition(Model):
    """A condition after the Kubernetes API conventions."""

    type: str
    """Reconciling, Stalled, Queued, Running, Suspended, Succeeded, Failed, Collapsed or AccuracyReached."""
    status: Literal["True", "False"]
    """Whether the condition holds."""
    reason: str
    """One word for the newest transition."""
    message: str = ""
    """A sentence for people."""
    last_transition_time: datetime
    """When the status changed last."""
    observed_generation: int
    """Generation of the spec it speaks of."""


class BertFinetuneStatus(Model):
    """What the operator has seen of the run."""

    observed_generation: int | None = None
    """Generation of the spec this status speaks of."""
    phase: Phase | None = None
    """Where the run is: Pending, Queued, Preparing, Running, Suspended, Retrying, Succeeded or Failed."""
    reason: str | None = None
    """One word why."""
    message: str | None = None
    """One line why, for people."""
    conditions: Annotated[
        list[Condition] | None,
        Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
    ] = None
    """Reconciling until the run has ended or is suspended, Stalled when it has failed, as kstatus reads them; Queued,
    Running, Suspended, Succeeded, Failed; each from the first time it holds. Collapsed and, with a minAccuracy,
    AccuracyReached, once there is a result."""
    attempt: int = 0
    """Number of the present attempt, from 0; each has a Job of its own."""
    job_name: str | None = None
    """Name of the present attempt's Job."""
    pod_name: str | None = None
    """Name of the present attempt's newest pod."""
    node_name: str | None = None
    """Node of that pod."""
    output_folder: str | None = None
    """Folder of the present trial in the output volume, relative to its root; output.resumeFrom takes it."""
    start_time: datetime | None = None
    """When the first container started; waiting for a card does not count."""
    completion_time: datetime | None = None
    """When the run succeeded or failed for good."""
    duration: str | None = None
    """Time from startTime to completionTime, or to the newest report, for instance "6m12s"."""
    progress: Progress | None = None
    """How far the running attempt has come."""
    result: Result | None = None
    """What a successful run reported."""
    last_failure: Failure | None = None
    """The newest failed attempt."""
    retries: int = 0
    """Failures that were tried again; backoffLimit is their limit. A disruption is none."""
    interruptions: Annotated[int | None, Field(ge=1)] = None
    """Attempts whose pod was deleted by force; the first three are not among the retries."""
    stalls: Annotated[int | None, Field(ge=1)] = None
    """Attempts that stalled; the first three are not among the retries."""
    last_movement: Movement | None = None
    """What the trainer was last seen to do; only with stalledDeadlineSeconds, while it runs."""
    gradient_accumulation_steps: Annotated[int | None, Field(ge=2)] = None
    """Lots of a training step from the next attempt on, where onOOM: Accumulate has raised them."""
    next_attempt_time: datetime | None = None
    """When the next attempt starts; none while one is under way."""
    avoided_nodes: list[str] | None = None
    """Nodes where a device failed, the newest last; further attempts stay away from them."""
    trials: list[Result] | None = None
    """Results of the trials that collapsed and were tried again, the oldest first."""
    active_seconds: int = 0
    """Seconds of training in the pods that have ended; activeDeadlineSeconds is the limit of the sum."""
    active_since: datetime | None = None
    """Since when the present pod trains."""


UNSEEN = {
    "conditions": [
        {
            "type": "Reconciling",
            "status": "True",
            "reason": "Pending",
            "message": "no operator has seen the object yet",
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "observedGeneration": 0,
        }
    ]
}
"""The status of an object that has none: a default in the schema, so that it costs no write. The Gateway API does the
same; without it kstatus, and so Flux, would take a new run for done."""


def was_seen(condition: Condition) -> bool:
    """Whether an operator has written it: generations begin at 1, and only the schema's default has none."""
    return condition.observed_generation > 0
