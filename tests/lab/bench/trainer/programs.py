"""The programs that are compared: their command lines, and what their own output says of their speed."""

import json
import re
import shutil
import statistics
import sys
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from lab.bench.trainer import child
from lab.bench.trainer.child import BenchError, Line, Run

LEARNING_RATE = 2e-5  # of the published script; it changes no duration
REFERENCE_STEP, OUR_STEP, PYTORCH_STEP = "INFO:tensorflow:global_step/sec:", r".* step (\d+)/\d+ ", r"step (\d+)/\d+ "
UNTIMED_STEPS = 2  # of all: they compile, allocate and warm caches


class Job(NamedTuple):
    """What the programs are asked to do."""

    data: Path
    weights: Path
    epochs: float
    evaluate: bool
    batch_size: int
    max_seq_length: int


class Measured(NamedTuple):
    """What one process took.

    Attributes:
        ms_per_step: of the steps after UNTIMED_STEPS, the median of the reference's, the mean that the others print.
        seconds: from its start to its end.
        start_seconds: from its start to the end of its first step.
        peak_rss_mb: most resident memory, in 10**6 bytes.
        accuracy: on the development set, if it was evaluated.
        phases: name -> seconds, of ours.
    """

    ms_per_step: float
    seconds: float
    start_seconds: float
    peak_rss_mb: float
    accuracy: Optional[float]
    phases: Dict[str, float]


def epochs_of(steps: int, examples: int, batch_size: int) -> float:
    """Returns the number of epochs which both programs turn into that many steps (they round down)."""
    return (steps + 0.5) * batch_size / examples


def reference(job: Job, folder: Path) -> Measured:
    """Runs the published run_classifier, unmodified, on the CPU; everything it does not need told is its default."""
    model = job.weights
    arguments = flags(
        task_name="MRPC",
        do_train="true",
        do_eval=str(job.evaluate).lower(),
        data_dir=job.data,
        vocab_file=model / "vocab.txt",
        bert_config_file=model / "bert_config.json",
        init_checkpoint=model / "bert_model.ckpt",
        max_seq_length=job.max_seq_length,
        train_batch_size=job.batch_size,
        learning_rate=LEARNING_RATE,
        num_train_epochs=job.epochs,
        output_dir=folder / "output",
    )
    run = _run("bert.run_classifier", arguments, folder, REFERENCE_STEP)
    return read_reference(run)


def ours(job: Job, folder: Path) -> Measured:
    """Runs `python -m bert_trainer`; it always evaluates."""
    output = folder / "output"
    run = _run("bert_trainer", our_flags(job, output), folder, OUR_STEP)
    return read_ours(run, (output / "result.json").read_text())


def pytorch(python: str, job: Job, folder: Path) -> Measured:
    """Runs transformers' BERT in PyTorch by an interpreter that has both; it never evaluates."""
    arguments = flags(
        data=job.data,
        weights=job.weights,
        epochs=job.epochs,
        batch_size=job.batch_size,
        max_seq_length=job.max_seq_length,
    )
    return read_pytorch(_run("lab.bench.pytorch.fine_tuning", arguments, folder, PYTORCH_STEP, python))


def our_flags(job: Job, output: Path) -> List[str]:
    """Returns the trainer's command line for the job."""
    return flags(
        task_name="MRPC",
        data_path=job.data,
        model_path=job.weights,
        max_seq_length=job.max_seq_length,
        train_batch_size=job.batch_size,
        learning_rate=LEARNING_RATE,
        num_train_epochs=job.epochs,
        output_dir=output,
    )


def flags(**values: object) -> List[str]:
    return [f"--{name}={value}" for name, value in values.items()]


def _run(module: str, arguments: Sequence[str], folder: Path, step: str, python: str = sys.executable) -> Run:
    shutil.rmtree(str(folder), ignore_errors=True)  # who saves continues from a checkpoint that it finds
    return child.run(["-m", module, *arguments], folder / "log", step, python)


def read_reference(run: Run) -> Measured:
    """Reads the reference's log: a rate after every step but the first, and the accuracy if it evaluated."""
    logged = _matches(run, REFERENCE_STEP + r" (\S+)")
    rates = [(line.seconds, float(match.group(1))) for line, match in logged]
    if len(rates) < UNTIMED_STEPS:
        raise BenchError(f"{len(rates) + 1} steps are too few: the first {UNTIMED_STEPS} are not timed")
    found = [float(match.group(1)) for _, match in _matches(run, r"INFO:tensorflow:  eval_accuracy = (\S+)")]
    arrival, rate = rates[0]
    return Measured(
        ms_per_step=1000 * statistics.median(1 / rate for _, rate in rates[UNTIMED_STEPS - 1 :]),
        seconds=run.seconds,
        start_seconds=arrival - 1 / rate,
        peak_rss_mb=run.peak_rss_mb,
        accuracy=found[-1] if found else None,
        phases={},
    )


def read_ours(run: Run, result: str) -> Measured:
    """Reads result.json, and from the log when the first step was done."""
    outcome = json.loads(result)
    first = next((line.seconds for line, match in _matches(run, OUR_STEP) if match.group(1) == "1"), None)
    if first is None or outcome["msPerStep"] is None:
        raise BenchError(f"the run timed no step: {outcome}")
    return Measured(
        ms_per_step=outcome["msPerStep"],
        seconds=run.seconds,
        start_seconds=first,
        peak_rss_mb=run.peak_rss_mb,
        accuracy=outcome["accuracy"],
        phases=outcome["phases"],
    )


def read_pytorch(run: Run) -> Measured:
    """Reads the JSON in the last line, and from the lines before when the first step was done."""
    first, *_ = (line.seconds for line, _ in _matches(run, PYTORCH_STEP))
    return Measured(
        ms_per_step=json.loads(run.lines[-1].text)["msPerStep"],
        seconds=run.seconds,
        start_seconds=first,
        peak_rss_mb=run.peak_rss_mb,
        accuracy=None,
        phases={},
    )


def _matches(run: Run, pattern: str) -> "List[tuple[Line, re.Match]]":
    found = ((line, re.match(pattern, line.text)) for line in run.lines)
    return [(line, match) for line, match in found if match]
