"""The run's configuration: one frozen dataclass, every flag with its default, its meaning and its range."""

import argparse
import dataclasses
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence

from bert_trainer import contract
from bert_trainer.errors import BadConfigError


@dataclasses.dataclass(frozen=True)
class Rule:
    """A flag's admissible values: a test and the words that describe it."""

    holds: Callable[[Any], bool]
    words: str


def between(low: int, high: int) -> Rule:
    return Rule(lambda value: low <= value <= high, "from {} to {}".format(low, high))


def one_of(choices: Sequence[Any]) -> Rule:
    return Rule(lambda value: value in choices, "one of " + ", ".join(map(str, choices)))


GIVEN = Rule(bool, "given: this flag has no default")
ANY = Rule(lambda _value: True, "anything")


def flag(default: Any, meaning: str, rule: Rule = ANY) -> Any:
    """Returns a dataclass field that is also a command line flag of the default's type."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, "rule": rule})


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything a run depends on; raises BadConfigError on a value out of range."""

    task_name: str = flag("MRPC", "task to fine-tune on", one_of(contract.TASKS))
    data_path: str = flag("", "folder with the task's train.tsv and dev.tsv", GIVEN)
    model_path: str = flag("", "folder with vocab.txt, bert_config.json and bert_model.ckpt.*", GIVEN)
    train_batch_size: int = flag(32, "sentence pairs per training step and card", between(1, 1024))
    learning_rate: float = flag(2e-5, "peak learning rate", Rule(lambda v: 0 < v <= 1, "above 0, at most 1"))
    num_train_epochs: float = flag(
        3.0, "passes over the training set", Rule(lambda v: 0 < v <= 100, "above 0, at most 100")
    )
    output_dir: str = flag("", "folder for checkpoints and the result, one per run", GIVEN)
    model_name: str = flag("custom", "size the weights must have", one_of(contract.MODEL_NAMES))
    do_lower_case: str = flag(
        "",
        "whether the text is lower-cased, as for uncased weights; empty for what their vocabulary tells",
        Rule(lambda value: value in ("", "true", "false"), "true or false, or empty"),
    )
    max_seq_length: int = flag(128, "tokens of the longest pair; longer pairs are truncated", between(8, 512))
    eval_batch_size: int = flag(32, "sentence pairs per evaluation step", between(1, 1024))
    gradient_accumulation_steps: int = flag(
        1, "equal lots into which a step divides its pairs: more lots take less memory", between(1, 1024)
    )
    warmup_proportion: float = flag(
        0.1, "share of the steps in which the learning rate rises", Rule(lambda v: 0 <= v < 1, "at least 0, below 1")
    )
    seed: int = flag(1, "seed of shuffling, initialization and dropout", between(0, 2**31 - 1))
    optimizer: str = flag(
        "AdamWeightDecay",
        "AdamWeightDecay (as published, without bias correction) or AdamW",
        one_of(contract.OPTIMIZERS),
    )
    reinit_layers: int = flag(
        0, "top layers that start from random weights, as does the pooler with them (Zhang et al. 2020)", between(0, 48)
    )
    precision_mode: str = flag("allow_mix_precision", "precision on the NPU", one_of(contract.PRECISION_MODES))
    loss_scale: int = flag(
        -1, "factor on the loss for half precision on the NPU, 0 to find it, -1 for none", between(-1, 2**24)
    )
    save_checkpoints_steps: int = flag(100, "steps between checkpoints", between(1, 10**9))
    keep_checkpoint_max: int = flag(5, "checkpoints kept", between(1, 1000))
    resume_from: str = flag("", "output folder of a run to go on from while this one has no checkpoint, empty for none")
    export_saved_model: bool = flag(False, "export the result for TensorFlow Serving to <output_dir>/saved_model")
    device: str = flag("cpu", "where to run", one_of(contract.DEVICES))
    devices: int = flag(
        1, "cards of this machine that train together, a process on each", one_of(contract.DEVICE_COUNTS)
    )
    run_id: str = flag("", "identity of the run; empty for a run by hand")
    metrics_port: int = flag(0, "TCP port of /metrics and /progress, 0 for none", between(0, 65535))
    termination_log: str = flag("", "file that receives the result for Kubernetes, empty for none")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, rule = getattr(self, field.name), field.metadata["rule"]
            if not rule.holds(value):
                raise BadConfigError("--{}={}: must be {}".format(field.name, value, rule.words))
        if self.devices > 1 and self.device != "npu":
            message = "--devices={}: there are several cards with --device=npu only; pass that or --devices=1"
            raise BadConfigError(message.format(self.devices))
        if self.train_batch_size % self.gradient_accumulation_steps:
            message = "--gradient_accumulation_steps={}: must divide --train_batch_size={}; pass one of its divisors"
            raise BadConfigError(message.format(self.gradient_accumulation_steps, self.train_batch_size))

    @property
    def step_examples(self) -> int:
        """Sentence pairs of one training step on all cards."""
        return self.train_batch_size * self.devices


def true_or_false(text: str) -> bool:
    """Reads a bool flag; raises ValueError on anything but true and false, which argparse reports."""
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


class FlagParser(argparse.ArgumentParser):
    """An argument parser that raises instead of leaving the process with a code of its own."""

    def error(self, message: str) -> NoReturn:
        raise BadConfigError("{}; run python -m bert_trainer --help for the flags".format(message))


def parse(arguments: Optional[List[str]] = None) -> Config:
    """Reads command line flags (of this process when None), as --flag=value or --flag value; raises BadConfigError."""
    parser = FlagParser(
        prog="python -m bert_trainer", description="Fine-tunes BERT on a sentence-pair task.", allow_abbrev=False
    )
    for field in dataclasses.fields(Config):
        kind = type(field.default)
        parser.add_argument(
            "--" + field.name,
            type=true_or_false if kind is bool else kind,
            default=field.default,
            metavar=kind.__name__.upper(),
            help="{meaning}; {rule.words}".format(**field.metadata) + " (default: {!r})".format(field.default),
        )
    return Config(**vars(parser.parse_args(arguments)))


def estimator_options(config: Config) -> Dict[str, Any]:
    """Returns the arguments that tf.estimator.RunConfig and NPURunConfig share."""
    return {
        "model_dir": config.output_dir,
        "tf_random_seed": config.seed,
        "save_checkpoints_steps": config.save_checkpoints_steps,
        "keep_checkpoint_max": config.keep_checkpoint_max,
        "save_summary_steps": 0,  # tensorboard.py writes what TensorBoard shows
        "log_step_count_steps": None,
    }
