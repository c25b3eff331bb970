"""A run on several simulated cards: one process each, the numbers of one card, and an end of all with any of them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator
from unittest import mock

import numpy as np
import pytest
import small_bert
import tensorflow.compat.v1 as tf

from bert_trainer import __main__ as entry
from bert_trainer import checkpoint, contract, data, packing, ranks, tasks, tokenization, train
from bert_trainer.config import Config, parse
from bert_trainer.device import open_device
from bert_trainer.errors import BadConfigError
from bert_trainer.npu import NpuDevice
from bert_trainer.packing import PackedLayout, Placement, Shape
from bert_trainer.rank_table import rank_table
from bert_trainer.stop import StopRequest
from npu_bridge.estimator import npu_ops
from npu_bridge.estimator.npu import npu_config, npu_loss_scale_optimizer

SIMULATION = Path(__file__).parents[1] / "npu_bridge_sim"
PROMPTLY = 30.0  # seconds, of a machine that is busy; HCCL would wait for half an hour


Flags = Callable[..., "dict[str, Any]"]


@pytest.fixture(scope="session")
def flags(model_folder: Path, data_folder: Path) -> Flags:
    """Returns the flags of a run of two cards with eight pairs each: five steps."""

    def make(output: Path, **changes: Any) -> dict[str, Any]:
        common = {"device": "npu", "devices": 2, "run_id": "uid", "termination_log": output.with_suffix(".log")}
        return small_bert.flags(model_folder, data_folder, output, **{**common, **changes})

    return make


def arguments(flags: dict[str, Any]) -> list[str]:
    return [f"--{name}={value}" for name, value in flags.items()]


@contextlib.contextmanager
def started(flags: dict[str, Any], **environment: str) -> Iterator[subprocess.Popen]:
    """Runs rank 0 on the cards 4 and 5 in a process of its own, without dropout; nothing of it is left afterwards."""
    two_cards = {"ASCEND_VISIBLE_DEVICES": "4,5", "ASCEND_SIM_DROPOUT": "off", "PYTHONPATH": str(SIMULATION)}
    process = subprocess.Popen(
        [sys.executable, "-m", "bert_trainer", *arguments(flags)],
        env={**os.environ, **two_cards, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen, exit_code: int) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == exit_code, output
    return output


def others(process: subprocess.Popen) -> list[int]:
    """Returns the process ids of the ranks that rank 0 has started."""
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def wait_for_step(process: subprocess.Popen, output: Path, step: int) -> None:
    while not (output / "history.jsonl").exists() or last_step(output) < step:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def last_step(output: Path) -> int:
    """Returns the last step whose line is whole."""
    *lines, _ = (output / "history.jsonl").read_text().split("\n")
    return max((json.loads(line)["step"] for line in lines), default=0)


def weights(output: Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(output))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def outcome_of(output: Path) -> dict[str, Any]:
    return json.loads(output.with_suffix(".log").read_text())


def assert_same_run(output: Path, expected: Path, rtol: float = 0.0) -> None:
    """The losses of all steps, the evaluations and the weights are the same; with a tolerance Adam's moments need not.

    (They may be as small as what rounding leaves of a gradient of 0.)
    """
    mine, theirs = ((folder / "history.jsonl").read_text().splitlines() for folder in (output, expected))
    assert len(mine) == len(theirs)
    for line, other in zip(map(json.loads, mine), map(json.loads, theirs)):
        assert line == pytest.approx(other, rel=rtol, abs=0)
    ours, reference = weights(output), weights(expected)
    assert set(ours) == set(reference)
    for name, value in reference.items():
        if not rtol or "adam_" not in name:
            tolerance = rtol * np.abs(value).max()
            np.testing.assert_allclose(ours[name], value, rtol=0, atol=tolerance, err_msg=name)


class BothBatches(PackedLayout):
    """Batches of one card that hold what two cards have in a step: their two batches, one below the other."""

    def __init__(self, lengths: Any, slots: int, width: int) -> None:
        super().__init__(lengths, slots // 2, width)
        self._one = self.shape
        self.shape = Shape(slots, 2 * self._one.rows, width)

    def pack(self, order: Any) -> Any:
        one = PackedLayout.__new__(PackedLayout)
        one.shape, one._lengths = self._one, self._lengths
        batches = one.pack(order)
        for first, second in zip(batches, batches):
            below = [Placement(pair, row + self._one.rows, offset) for pair, row, offset in second]
            yield [*first, *below]


def counts(seed: int, flags: dict[str, Any]) -> list[int]:
    """Returns how many pairs each card has in each step."""
    model = checkpoint.load(Path(flags["model_path"]), "custom", small_bert.WIDTH)
    pairs = data.read_pairs(Path(flags["data_path"]) / "train.tsv", tasks.TASKS["MRPC"])
    lengths = [len(pair.ids) for pair in tokenization.encode_pairs(pairs, model.vocabulary, small_bert.WIDTH)]
    batches = PackedLayout(lengths, 8, small_bert.WIDTH).pack(packing.shuffled(len(lengths), seed))
    return [len(batch) for _, batch in zip(range(10), batches)]


# With seed 4 every batch is full; with seed 23 some pairs wait for the next one, so the cards have not equally many.
@pytest.mark.parametrize(("seed", "full"), [(4, True), (23, False)])
def test_two_cards_are_one_card_with_the_batch_of_both(
    flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, full: bool
) -> None:
    output, reference = tmp_path / "two", tmp_path / "one"
    one_card = flags(reference, train_batch_size=16, devices=1, seed=seed)
    assert (set(counts(seed, one_card)) == {8}) == full
    monkeypatch.setenv("ASCEND_SIM_DROPOUT", "off")
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)
    layout = lambda _self, lengths, slots, width: (BothBatches if slots == 16 else PackedLayout)(lengths, slots, width)  # noqa: E731
    with contextlib.nullcontext() if full else mock.patch.object(NpuDevice, "layout", layout):
        assert entry.main(arguments(one_card)) == 0
    with started(flags(output, seed=seed)) as process:
        log = finish(process, 0)
    assert_same_run(output, reference, rtol=1e-5)
    outcome = outcome_of(output)
    assert [outcome[key] for key in ("steps", "trainExamples", "backend")] == [5, 40, "npu-simulated"]
    pairs = 16.0 if full else sum(counts(seed, one_card)[4:]) / 3  # in the steps that are timed
    assert outcome["examplesPerSecond"] == pytest.approx(1000 * pairs / outcome["msPerStep"], rel=0.01)
    assert [line for line in log.splitlines() if line.startswith("rank 1: ") and "device 1 of" in line]
    assert files(output) == files(reference)


def files(output: Path) -> list[str]:
    """Returns what a folder holds; an event file's name says only that it is one."""
    return sorted(path.name.split(".")[0] if path.name.startswith("events") else path.name for path in output.iterdir())


LONG = {"num_train_epochs": 40.0, "save_checkpoints_steps": 10}  # a hundred steps


@pytest.fixture(scope="session")
def whole(flags: Flags, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run of two cards that nothing happened to."""
    output = tmp_path_factory.mktemp("ranks") / "whole"
    one_card = {"JOB_ID": "whole", "DEVICE_ID": "0", "RANK_ID": "0", "RANK_SIZE": "1"}
    with started(flags(output, **LONG), **one_card) as process:
        finish(process, 0)
    return output


def assert_resumes(flags: dict[str, Any], output: Path, whole: Path) -> None:
    with started(flags) as process:
        finish(process, 0)
    assert_same_run(output, whole)


def test_sigterm_saves_a_checkpoint_ends_all_ranks_and_the_next_start_resumes(
    flags: Flags, tmp_path: Path, whole: Path
) -> None:
    output = tmp_path / "output"
    table = tmp_path / "given.json"
    table.write_text(json.dumps(rank_table([4, 5], {})))
    with started(flags(output, **LONG), RANK_TABLE_FILE=str(table)) as process:
        wait_for_step(process, output, 15)
        followers = others(process)
        for pid in [*followers, process.pid]:  # to all of them, as a terminal does
            os.kill(pid, signal.SIGTERM)
        finish(process, contract.EXIT_INTERRUPTED)
    assert len(followers) == 1
    assert not any(map(is_running, followers))
    saved = weights(output)["global_step"]
    assert 15 <= saved < 100
    assert f"model.ckpt-{saved} saved" in outcome_of(output)["message"]
    assert_resumes(flags(output, **LONG), output, whole)


def test_a_fault_of_another_card_ends_the_run_with_its_class(flags: Flags, tmp_path: Path, whole: Path) -> None:
    output = tmp_path / "output"
    with started(flags(output, **LONG), ASCEND_SIM_FAULT="UnavailableError:26:1") as process:
        wait_for_step(process, output, 25)
        before = time.monotonic()
        log = finish(process, contract.EXIT_DEVICE_FAULT)
    assert time.monotonic() - before < PROMPTLY
    assert outcome_of(output)["class"] == "DeviceFault"
    assert outcome_of(output)["message"] == json.loads((output / "result.json").read_text())["message"]
    message = "rank 1 on card 5: --device=npu: [GEOP] simulated device fault in step 26; start again, best on another"
    assert outcome_of(output)["message"].startswith(message)
    assert message in log
    assert weights(output)["global_step"] == 20
    assert_resumes(flags(output, **LONG), output, whole)


def test_a_killed_rank_ends_the_run(flags: Flags, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with started(flags(output, **LONG)) as process:
        wait_for_step(process, output, 15)
        (follower,) = others(process)
        os.kill(follower, signal.SIGKILL)
        before = time.monotonic()
        finish(process, 128 + signal.SIGKILL)
    assert time.monotonic() - before < PROMPTLY
    assert outcome_of(output) == {
        "outcome": "Failed",
        "class": "Unknown",  # what killed it, only Kubernetes knows: OOMKilled where it was that
        "message": "rank 1 on card 5: ended by SIGKILL, as when memory runs out; give it more, or pass a smaller "
        "--train_batch_size",
    }
    assert weights(output)["global_step"] >= 10


def test_nothing_outlives_rank_0(flags: Flags, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with started(flags(output, **LONG)) as process:
        wait_for_step(process, output, 1)
        (follower,) = others(process)
        process.kill()
        process.wait()
        deadline = time.monotonic() + PROMPTLY
        while is_running(follower):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_rank_without_rank_0_ends_at_once() -> None:
    environment = {**os.environ, ranks.LEADER: "1" if os.getpid() != 1 else "2"}
    code = "from bert_trainer import ranks; ranks.follow_leader(); print('goes on')"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, check=False, env=environment, stdout=subprocess.PIPE, timeout=60)
    assert (ended.returncode, ended.stdout) == (contract.EXIT_UNKNOWN, b"")


def test_a_process_whose_training_waits_for_ever_leaves_without_its_last_rites() -> None:
    """What runs at the end of a process may wait for the card, which waits for the rank that is gone."""
    code = (
        "import atexit, threading, time; from bert_trainer import ranks; atexit.register(time.sleep, 600);"
        "threading.Thread(target=time.sleep, args=[600], name=ranks.TRAINING, daemon=True).start();"
        "print('last words'); ranks.leave(69)"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.PIPE, timeout=60)
    assert (ended.returncode, ended.stdout) == (69, b"last words\n")


def test_a_loss_that_is_no_number_is_a_wrong_flag(flags: Flags, tmp_path: Path) -> None:
    output, weights = tmp_path / "output", small_bert.random_weights()
    weights["bert/pooler/dense/bias"][0] = np.nan
    with mock.patch.object(small_bert, "random_weights", return_value=weights):
        model = small_bert.write_model(tmp_path)
    with started(flags(output, model_path=model)) as process:
        finish(process, contract.EXIT_BAD_CONFIG)
    assert "--learning_rate=0.001: the loss is not a number" in outcome_of(output)["message"]


def test_the_other_number_of_cards_is_a_wrong_flag(
    flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StopRequest, "listen", lambda _self: None)
    assert entry.main(arguments(flags(tmp_path / "output"))) == contract.EXIT_BAD_CONFIG
    assert outcome_of(tmp_path / "output")["message"] == (
        "--devices=2: ASCEND_VISIBLE_DEVICES='4' names 1 card(s); give the process as many cards, or pass --devices=1"
    )
    assert not (tmp_path / "output").exists()


@pytest.mark.parametrize(
    ("devices", "visible", "message"),
    [
        (2, "", "--devices=2: ASCEND_VISIBLE_DEVICES='' names 0 card(s); give the process as many cards, or pass --d"),
        (2, "0,1,2,3", "names 4 card(s); give the process as many cards, or pass --devices=4"),
        (4, "4,4,5,6", "--devices=4: ASCEND_VISIBLE_DEVICES='4,4,5,6': a card is named twice; correct it"),
        (2, "all", "--devices=2: ASCEND_VISIBLE_DEVICES='all': 'all' is not a card's number"),
    ],
)
def test_cards_that_do_not_fit(monkeypatch: pytest.MonkeyPatch, devices: int, visible: str, message: str) -> None:
    monkeypatch.setenv("ASCEND_VISIBLE_DEVICES", visible)
    with pytest.raises(BadConfigError) as refused:
        open_device("npu", devices)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("{", "Expecting property name"),
        (json.dumps(dict(rank_table([4, 5], {}), status="initializing")), "not a completed rank table"),
        (json.dumps(rank_table([4, 5, 6, 7], {})), "names 4 card(s)"),
    ],
)
def test_a_rank_table_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, message: str
) -> None:
    table = tmp_path / "hccl.json"
    if text is not None:
        table.write_text(text)
    monkeypatch.setenv("RANK_TABLE_FILE", str(table))
    with pytest.raises(BadConfigError) as refused:
        open_device("npu", 2)
    assert str(refused.value).startswith(f"--devices=2: RANK_TABLE_FILE={str(table)!r}")
    assert message in str(refused.value)


def test_the_rank_table_has_the_cards_and_their_addresses_and_is_nobody_else_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    conf = tmp_path / "hccn.conf"  # a simulation of /etc/hccn.conf, which an Ascend host has
    conf.write_text("address_4=192.168.100.104\nnetmask_4=255.255.255.0\naddress_5=192.168.101.105\n")
    monkeypatch.setattr(ranks, "HCCN_CONF", conf)
    with ranks.ranks_on([4, 5]) as both:
        environment = both._environment(1)
        table = Path(environment.pop("RANK_TABLE_FILE"))
        assert json.loads(table.read_text()) == rank_table([4, 5], {4: "192.168.100.104", 5: "192.168.101.105"})
        assert table.parent.stat().st_mode & 0o077 == 0
    assert not table.parent.exists()
    assert environment == {
        "RANK_SIZE": "2",
        "DEVICE_NUM": "2",
        "RANK_ID": "1",
        "DEVICE_ID": "1",
        "ASCEND_DEVICE_ID": "1",
        "DEVICE_INDEX": "1",
    }


@pytest.fixture
def rank_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> NpuDevice:
    """The device of the second of two ranks."""
    table = tmp_path / "rank_table.json"
    table.write_text(json.dumps(rank_table([4, 5], {})))
    two = {"ASCEND_VISIBLE_DEVICES": "4,5", "RANK_TABLE_FILE": str(table), "RANK_SIZE": "2", "RANK_ID": "1"}
    for name, value in {**two, "DEVICE_ID": "1", ranks.LEADER: str(os.getppid())}.items():
        monkeypatch.setenv(name, value)
    return NpuDevice(2)


def model_fn(features: Any, labels: Any, mode: str) -> Any:
    raise NotImplementedError


def test_another_rank_keeps_no_checkpoints(rank_1: NpuDevice, flags: Flags, tmp_path: Path) -> None:
    given: dict[str, Any] = {}
    real = npu_config.NPURunConfig
    with mock.patch.object(npu_config, "NPURunConfig", side_effect=lambda **kw: given.update(kw) or real(**kw)):
        rank_1.estimator(model_fn, Config(**flags(tmp_path / "output")))
    assert given["save_checkpoints_steps"] == 0


def test_a_loss_that_is_no_number_is_a_wrong_flag_on_another_rank_too(
    rank_1: NpuDevice,  # noqa: ARG001
    flags: Flags,
    tmp_path: Path,
) -> None:
    """It may end before rank 0, which perhaps evaluates first."""
    no_number = tf.train.NanLossDuringTrainingError
    with mock.patch.object(train, "_take_steps", side_effect=no_number), pytest.raises(BadConfigError, match="smaller"):
        train.follow(Config(**flags(tmp_path / "output")))


def test_the_others_end_with_the_training() -> None:
    with ranks.ranks_on([4, 5]) as both:
        other = subprocess.Popen(["sleep", "600"])
        both._processes.append(other)
    assert other.returncode == -signal.SIGKILL


def test_each_rank_drops_other_units(rank_1: NpuDevice) -> None:
    with tf.Graph().as_default(), mock.patch.object(npu_ops, "dropout", wraps=npu_ops.dropout) as dropout:
        rank_1.operations(tf.constant(0), 5, training=True).dropout(tf.ones([8]), 0.1)
    assert dropout.call_args[1] == {"seed": 1005}


def test_the_loss_scale_is_that_of_all_ranks(rank_1: NpuDevice) -> None:
    with mock.patch.object(npu_loss_scale_optimizer, "NPULossScaleOptimizer") as scaling:
        rank_1.distribute(tf.train.GradientDescentOptimizer(0.1), 1024)
    assert scaling.call_args[1] == {"is_distributed": True}


class TestWatch:
    """What ranks.watch makes of the ends of ranks, in the order in which it hears of them."""

    @pytest.fixture
    def both(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[ranks.Ranks]:
        monkeypatch.setattr(ranks, "SECONDS_FOR_A_CAUSE", 0.2)
        with ranks.ranks_on([4, 5]) as both:
            yield both

    def test_a_rank_that_has_taken_its_last_step_is_no_news(self, both: ranks.Ranks) -> None:
        both._ends.put(ranks.End(1, 0))
        both.watch(lambda: None)

    def test_rank_0_s_own_failure(self, both: ranks.Ranks) -> None:
        with pytest.raises(ZeroDivisionError):
            both.watch(lambda: print(1 / 0))
        both._ends.put(ranks.End(1, 0))
        with pytest.raises(ZeroDivisionError):
            both.watch(lambda: print(1 / 0))

    def test_the_failure_that_another_rank_s_end_has_caused(self, both: ranks.Ranks) -> None:
        def train() -> None:
            threading.Timer(0.1, both._ends.put, [ranks.End(1, 69)]).start()
            raise tf.errors.InternalError(None, None, "a rank did not answer")

        with pytest.raises(ranks.RankError, match="rank 1 on card 5: exit code 69 without a word") as failure:
            both.watch(train)
        assert failure.value.exit_code == contract.EXIT_DEVICE_FAULT

    def test_what_rank_0_understands_needs_no_other_cause(self, both: ranks.Ranks) -> None:
        def train() -> None:
            raise BadConfigError("--learning_rate")

        before = time.monotonic()
        with pytest.raises(BadConfigError):
            both.watch(train)
        assert time.monotonic() - before < 0.2

    def test_a_rank_that_ends_while_rank_0_waits(self, both: ranks.Ranks) -> None:
        waiting = threading.Event()
        both._ends.put(ranks.End(1, -signal.SIGSEGV))
        with pytest.raises(ranks.RankError, match=r"ended by SIGSEGV$") as failure:
            both.watch(waiting.wait)
        assert failure.value.exit_code == 128 + signal.SIGSEGV
        waiting.set()


def test_the_others_get_the_flags_of_rank_0_but_for_what_only_rank_0_does(flags: Flags, tmp_path: Path) -> None:
    config = Config(**dict(flags(tmp_path / "output", metrics_port=8080, export_saved_model=True), termination_log="x"))
    theirs = parse(ranks._flags(config, tmp_path / "rank-1"))
    own = {"output_dir", "termination_log", "metrics_port", "export_saved_model"}
    assert {name for name, value in dataclasses.asdict(theirs).items() if value != getattr(config, name)} == own
