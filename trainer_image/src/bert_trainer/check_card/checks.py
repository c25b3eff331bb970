"""What one process tries on a card.

`python -m bert_trainer.check_card.checks NAME FILE` writes to the file what came of it.

Each name is a question that only a card answers; __main__.py has what is expected, and starts a process for each.
"""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import numpy as np

from bert_trainer.program import quiet_tensorflow

quiet_tensorflow()

import tensorflow.compat.v1 as tf  # noqa: E402

from bert_trainer.config import Config  # noqa: E402
from bert_trainer.devices.npu import NpuDevice  # noqa: E402
from bert_trainer.model import bert  # noqa: E402
from bert_trainer.model.bert import BertConfig  # noqa: E402
from bert_trainer.model.optimization import AdamWeightDecayOptimizer, minimize  # noqa: E402

WIDTH = 128  # tokens of a row, and what the position of a pair is divided by
LARGE = 3e38  # half of what single precision can hold; its square is more
SMALL = BertConfig(
    vocab_size=1000,
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=512,
    hidden_act="gelu",
    hidden_dropout_prob=0.1,
    attention_probs_dropout_prob=0.1,
    max_position_embeddings=WIDTH,
    type_vocab_size=2,
)
PAIRS = {"train.tsv": 64, "dev.tsv": 16}


class Seen(NamedTuple):
    """What came of a check: the answer, which is compared, and what else is worth sending back."""

    answer: str
    notes: str = ""


class Step(NamedTuple):
    """One step of a small graph: what it yields, and the operation that changes the variables."""

    yields: Dict[str, tf.Tensor]
    train_op: tf.Operation
    loss: tf.Tensor


BuildStep = Callable[[NpuDevice, tf.Tensor, tf.Variable], Step]
Results = List[Dict[str, np.ndarray]]


class Recorder(tf.train.SessionRunHook):
    """Keeps what each step yields, calls `between` after it, and stops after so many."""

    def __init__(self, count: int, between: Callable[[tf.Session, int], None]) -> None:
        self.results: Results = []
        self._count, self._between = count, between
        self.yields: Dict[str, tf.Tensor] = {}

    def before_run(self, run_context: Any) -> tf.train.SessionRunArgs:  # noqa: ARG002
        return tf.train.SessionRunArgs(self.yields)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.results.append(run_values.results)
        self._between(run_context.session, len(self.results))
        if len(self.results) == self._count:
            run_context.request_stop()


def take_steps(
    build: BuildStep, values: np.ndarray, between: Callable[[tf.Session, int], None] = lambda _session, _step: None
) -> Results:
    """Returns what the graph yields in each step, of which there is one for each of the values that are fed."""
    device, recorder = NpuDevice(), Recorder(len(values), between)

    def model_fn(features: tf.Tensor, mode: str) -> Any:
        step = build(device, features, tf.train.get_or_create_global_step())
        recorder.yields = step.yields
        return device.spec(mode=mode, loss=step.loss, train_op=step.train_op)

    config = Config(data_path="none", model_path="none", output_dir="steps", device="npu")
    data = lambda: tf.data.Dataset.from_tensor_slices(values).repeat()  # noqa: E731 - the end of data is another matter
    device.estimator(model_fn, config).train(data, hooks=[recorder])
    return recorder.results


def _learning_nothing(yields: Dict[str, tf.Tensor], step: tf.Variable) -> Step:
    loss = tf.add_n([tf.reduce_sum(tf.cast(each, tf.float32)) for each in yields.values()])
    return Step(yields, tf.assign_add(step, 1).op, loss)


def small_graph() -> Seen:
    """Opens the card and multiplies matrices of small whole numbers, which half precision holds."""

    def build(_device: NpuDevice, x: tf.Tensor, step: tf.Variable) -> Step:
        return _learning_nothing({"product": tf.matmul(x, [[1.0, 0.0], [2.0, 1.0]])}, step)

    values = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.float32)
    return Seen(_numbers(take_steps(build, values)[-1]["product"]))


def division() -> Seen:
    """Divides integers, which the trainer leaves to the host."""

    def build(_device: NpuDevice, x: tf.Tensor, step: tf.Variable) -> Step:
        return _learning_nothing({"quotients": x // WIDTH}, step)

    return Seen(_numbers(take_steps(build, np.array([[0, 127, 128, 4095]], np.int32))[0]["quotients"]))


def masks() -> Seen:
    """Drops units in two places of a graph, in four steps, of which the last is taken in another second."""
    places = ("first", "second")

    def build(device: NpuDevice, x: tf.Tensor, step: tf.Variable) -> Step:
        operations = device.operations(step, 1, training=True)
        return _learning_nothing({place: operations.dropout(x, 0.1) for place in places}, step)

    def between(_session: tf.Session, step: int) -> None:
        time.sleep(1.5 if step == 3 else 0)

    results = take_steps(build, np.ones([4, 64, 1024], np.float32), between)
    steps = {result["first"].tobytes() for result in results}
    here = {results[0][place].tobytes() for place in places}
    dropped = 100 * np.mean([result[place] == 0 for result in results for place in places])
    return Seen("{} masks in 4 steps, {} in 2 places, {:.0f} % dropped".format(len(steps), len(here), dropped))


def updates() -> Seen:
    """Decays a variable and moves it against a gradient that stays the same, as the trainer's optimizer does."""

    def build(device: NpuDevice, x: tf.Tensor, step: tf.Variable) -> Step:
        weight = tf.get_variable("weight", initializer=tf.constant([100.0, 200.0]))
        adam = AdamWeightDecayOptimizer(tf.constant(1.0), step, True, device.apply_update)
        loss = tf.reduce_sum(weight * x)
        train_op = minimize(device.distribute(adam, -1), loss, step)
        with tf.control_dependencies([train_op]):
            return Step({"weight": weight.read_value()}, train_op, loss)

    return Seen(_numbers(take_steps(build, np.ones([3, 2], np.float32))[-1]["weight"]))


def overflows() -> Seen:
    """Counts the steps that are taken where the second overflows, and an evaluation before the fifth."""
    fed: List[tf.Tensor] = []

    def build(device: NpuDevice, x: tf.Tensor, step: tf.Variable) -> Step:
        weight = tf.get_variable("weight", initializer=tf.constant([1.0]))
        loss = tf.reduce_sum(weight * x)
        train_op = minimize(device.distribute(tf.train.GradientDescentOptimizer(0.1), 1024), loss, step)
        fed[:] = [tf.placeholder(tf.float32, [1], "fed")]
        fed.append(tf.multiply(fed[0], fed[0], "square"))
        with tf.control_dependencies([train_op]):
            return Step({"taken": step.read_value()}, train_op, loss)

    def between(session: tf.Session, step: int) -> None:
        if step == 4:
            session.run(fed[1], {fed[0]: [LARGE]})

    results = take_steps(build, np.array([[1], [LARGE], [1], [1], [1]], np.float32), between)
    return Seen(" ".join(str(result["taken"]) for result in results))


def training(devices: int) -> Seen:
    """Trains a small model that begins from random weights, and evaluates it in the same process."""
    write_model(Path("model"))
    write_pairs(Path("data"))
    flags = {
        "data_path": Path("data"),
        "model_path": Path("model"),
        "output_dir": Path("output"),
        "termination_log": Path("outcome.json"),
        "device": "npu",
        "devices": devices,
        "train_batch_size": 8,
        "num_train_epochs": devices,
    }
    with HbmWatch() as memory:
        command = [sys.executable, "-m", "bert_trainer", *("--{}={}".format(*each) for each in flags.items())]
        code = subprocess.run(command, check=False).returncode
    outcome = json.loads(Path("outcome.json").read_text())
    if code:
        return Seen("exit code {}: {}".format(code, outcome["message"]))
    answer = "{} steps, {} evaluation(s)".format(outcome["steps"], len(outcome["evaluations"]))
    times = "first step {first_step} s, evaluation {evaluation} s".format(**outcome["phases"])
    return Seen(answer, ", ".join([times, memory.words(), outcome["backend"]]))


def write_model(folder: Path) -> None:
    """Writes vocabulary, configuration and random weights."""
    folder.mkdir()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = ["w{}".format(number) for number in range(SMALL.vocab_size - len(special))]
    (folder / "vocab.txt").write_text("\n".join([*special, *words]) + "\n")
    (folder / "bert_config.json").write_text(json.dumps(vars(SMALL)))
    with tf.Graph().as_default(), tf.Session() as session:
        for name, shape in bert.variable_shapes(SMALL).items():
            tf.get_variable(name, initializer=bert.drawn(name, shape, seed=1))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(folder / "bert_model.ckpt"), write_meta_graph=False)


def write_pairs(folder: Path) -> None:
    """Writes pairs of sentences, of which the second's last word tells the label."""
    folder.mkdir()
    for name, count in PAIRS.items():
        rows = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        for number in range(count):
            sentence = " ".join("w{}".format((number + 7 * place) % 900) for place in range(12))
            rows.append("{0}\t1\t2\t{1}\t{1} w{2}".format(number % 2, sentence, 900 + number % 2))
        (folder / name).write_text("\n".join(rows) + "\n")


class HbmWatch:
    """Asks npu-smi once a second for the memory of the cards, while the block runs."""

    def __enter__(self) -> "HbmWatch":
        self._before = self._most = hbm()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while self._before and not self._done.wait(1):
            self._most = {card: max(used, self._most.get(card, used)) for card, used in hbm().items()}

    def words(self) -> str:
        """Returns how the memory of the card grew whose memory grew most."""
        growth = [(most.used - self._before[card].used, card) for card, most in self._most.items()]
        if not growth:
            return "npu-smi shows no memory"
        _, card = max(growth)
        return "HBM {} to {} of {} MB".format(self._before[card].used, *self._most[card])


class Memory(NamedTuple):
    """The memory of a card, in MB."""

    used: int
    total: int


def hbm() -> Dict[str, Memory]:
    """Returns the memory of each card, by the card's address on the bus, as `npu-smi info` shows it."""
    if not shutil.which("npu-smi"):
        return {}
    text = subprocess.run(["npu-smi", "info"], stdout=subprocess.PIPE, universal_newlines=True, check=False).stdout
    found = re.findall(r"([0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:\S+).* (\d+) */ *(\d+)", text)  # of several pairs the last
    return {card: Memory(int(used), int(total)) for card, used, total in found}


def _numbers(values: np.ndarray) -> str:
    return " ".join("{:g}".format(round(float(value), 1)) for value in values.ravel())


CHECKS: Dict[str, Callable[[], Seen]] = {
    "small-graph": small_graph,
    "division": division,
    "masks": masks,
    "updates": updates,
    "overflows": overflows,
    "training": lambda: training(1),
    "two-cards": lambda: training(2),
}

if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(CHECKS[sys.argv[1]]()._asdict()))
