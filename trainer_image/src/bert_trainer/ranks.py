"""Several cards: this process is rank 0, starts a process for each further card, watches them and ends them.

Each rank runs `python -m bert_trainer` with the environment that CANN 20.2 reads (rank table mode). Those that rank 0
starts have a scratch folder for an output folder, and end with rank 0 whatever ends it.
"""

import contextlib
import ctypes
import dataclasses
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

from bert_trainer import contract, rank_table
from bert_trainer.config import Config
from bert_trainer.errors import BadConfigError, TrainerError

LEADER = "BERT_TRAINER_LEADER"  # process id of rank 0, in the environment of the others
HCCN_CONF = Path("/etc/hccn.conf")  # the addresses of the cards, as on every Ascend host
OUTCOME = "outcome.json"
PR_SET_PDEATHSIG = 1  # of prctl(2)
TRAINING = "training"  # the thread that takes rank 0's steps
# How long HCCL waits for all ranks when they begin: a rank may have compiled its graph, and rank 0 have made up for an
# evaluation, while the others wait. A rank that dies is noticed at once all the same, by its process and not by HCCL.
CONNECT_TIMEOUT = "1800"
SECONDS_FOR_A_CAUSE = 5.0  # between the failure of rank 0 and the end of the rank that caused it


class RankError(TrainerError):
    """Another rank has failed; the exit code is that rank's."""

    def __init__(self, message: str, exit_code: int = contract.EXIT_UNKNOWN) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def follow_leader() -> bool:
    """Returns whether rank 0 started this process, which then ends when rank 0 does, and not before it is told to."""
    leader = os.environ.get(LEADER)
    if leader is None:
        return False
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(leader):  # it ended before the line above
        os._exit(contract.EXIT_UNKNOWN)
    for number in (signal.SIGTERM, signal.SIGINT):  # a terminal sends them to all ranks
        signal.signal(number, signal.SIG_IGN)
    return True


def my_rank() -> int:
    """Returns the rank of this process."""
    return int(os.environ["RANK_ID"]) if LEADER in os.environ else 0


def leave(exit_code: int) -> None:
    """Ends this process, also when its training waits for a rank that is gone and never returns."""
    # Then what the adapter and TensorFlow do at the end of a process could wait for the card as well.
    if any(thread.name == TRAINING for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    sys.exit(exit_code)


def cards_of(devices: int) -> List[int]:
    """Returns the physical ids of the cards that this process was given, by rank; BadConfigError if not `devices`."""
    given = os.environ.get("RANK_TABLE_FILE")
    variable = "RANK_TABLE_FILE" if given else "ASCEND_VISIBLE_DEVICES"
    value = os.environ.get(variable, "")
    try:
        cards = rank_table.cards_of(json.loads(Path(given).read_text())) if given else rank_table.visible_cards(value)
    except (OSError, ValueError) as reason:
        message = "--devices={}: {}={!r}: {}; correct it, or unset it and pass --devices=1"
        raise BadConfigError(message.format(devices, variable, value, reason)) from reason
    if len(cards) != devices:
        message = "--devices={}: {}={!r} names {} card(s); give the process as many cards, or pass --devices={}"
        raise BadConfigError(message.format(devices, variable, value, len(cards), len(cards) or 1))
    return cards


class End(NamedTuple):
    """The end of a rank's process: its exit code, or minus the signal; of rank 0's training: what it raised."""

    rank: int
    code: int = 0
    error: Optional[BaseException] = None


class Ranks:
    """The ranks of a run on the given cards."""

    def __init__(self, cards: List[int], scratch: Path) -> None:
        """Makes the scratch folders of the other ranks, in `scratch`, and the rank table unless there is one."""
        self._cards = cards
        self.folders = {rank: scratch / "rank-{}".format(rank) for rank in range(1, len(cards))}
        for folder in self.folders.values():
            folder.mkdir()
        self._table = os.environ.get("RANK_TABLE_FILE") or str(scratch / "rank_table.json")
        if "RANK_TABLE_FILE" not in os.environ:
            ips = rank_table.device_ips(_read_if_there(HCCN_CONF))
            Path(self._table).write_text(json.dumps(rank_table.rank_table(cards, ips)))
        self._processes: List[subprocess.Popen] = []
        self._ends: "queue.Queue[End]" = queue.Queue()

    def start(self, config: Config) -> None:
        """Starts the other ranks with the flags of this process, and makes this process rank 0."""
        os.environ.setdefault("HCCL_CONNECT_TIMEOUT", CONNECT_TIMEOUT)
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")  # as before; unsaid, the library warns of a fork
        for rank, folder in self.folders.items():
            process = subprocess.Popen(
                [sys.executable, "-m", "bert_trainer", *_flags(config, folder)],
                env={**os.environ, **self._environment(rank), LEADER: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                universal_newlines=True,
                errors="replace",
            )
            self._processes.append(process)
            threading.Thread(target=self._follow, args=(rank, process), daemon=True).start()
        os.environ.update(self._environment(0))

    def watch(self, train: Callable[[], None]) -> None:
        """Runs rank 0's training beside the other ranks'; raises what it raises.

        It runs in a thread of its own, since no exception could free one that waits for a lost rank.

        Raises:
            RankError: another rank has failed, whatever became of rank 0 by that.
        """

        def run() -> None:
            try:
                train()
            except BaseException as error:  # noqa: BLE001 - watch raises it
                self._ends.put(End(0, error=error))
            else:
                self._ends.put(End(0))

        threading.Thread(target=run, name=TRAINING, daemon=True).start()
        end = self._next()
        if end.error and not isinstance(end.error, TrainerError):  # perhaps only the echo of another rank's end
            with contextlib.suppress(queue.Empty):
                end = self._next(SECONDS_FOR_A_CAUSE)
        if end.rank:
            raise self._failure(end)
        if end.error:
            raise end.error

    def end(self) -> None:
        """Ends the other ranks: they have nothing to lose."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _follow(self, rank: int, process: subprocess.Popen) -> None:
        for line in process.stdout or ():
            sys.stderr.write("rank {}: {}".format(rank, line))
        self._ends.put(End(rank, process.wait()))

    def _next(self, timeout: Optional[float] = None) -> End:
        """Returns the next end but those of other ranks that have taken their last step; queue.Empty for none."""
        while True:
            end = self._ends.get(timeout=timeout)
            if not end.rank or end.code:
                return end

    def _failure(self, end: End) -> RankError:
        code, text = (128 - end.code, _signal(-end.code)) if end.code < 0 else (end.code, self._words(end))
        message = "rank {} on card {}: {}".format(end.rank, self._cards[end.rank], text)
        return RankError(message, code)

    def _words(self, end: End) -> str:
        try:
            return str(json.loads((self.folders[end.rank] / OUTCOME).read_text())["message"])
        except (OSError, ValueError, KeyError):
            return "exit code {} without a word; look at the log before this".format(end.code)

    def _environment(self, rank: int) -> Dict[str, str]:
        """What differs from the environment of one card; a process numbers the cards it was given from 0."""
        number = str(rank)
        return {
            "RANK_TABLE_FILE": self._table,
            "RANK_SIZE": str(len(self._cards)),
            "DEVICE_NUM": str(len(self._cards)),
            **dict.fromkeys(("RANK_ID", "DEVICE_ID", "ASCEND_DEVICE_ID", "DEVICE_INDEX"), number),
        }


@contextlib.contextmanager
def ranks_on(cards: List[int]) -> Iterator[Ranks]:
    """Returns the ranks on these cards, none of them started; at the end of the block the others end."""
    with tempfile.TemporaryDirectory(prefix="bert-trainer-") as scratch:
        ranks = Ranks(cards, Path(scratch))
        try:
            yield ranks
        finally:
            ranks.end()


def _flags(config: Config, folder: Path) -> List[str]:
    """The flags of another rank: those of rank 0, but for what only rank 0 does."""
    own = dataclasses.replace(
        config, output_dir=str(folder), termination_log=str(folder / OUTCOME), metrics_port=0, export_saved_model=False
    )
    texts = {name: str(value).lower() if value is False else value for name, value in dataclasses.asdict(own).items()}
    return ["--{}={}".format(name, text) for name, text in texts.items()]


def _signal(number: int) -> str:
    text = "ended by {}".format(signal.Signals(number).name)
    return (
        text + ", as when memory runs out; give it more, or pass a smaller --train_batch_size" if number == 9 else text
    )


def _read_if_there(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
