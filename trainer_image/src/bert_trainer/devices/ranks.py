"""Several cards: this process is rank 0, starts a process for each further card, watches them and ends them.

Each rank runs `python -m bert_trainer` with the environment that CANN 20.2 reads (rank table mode). Those that rank 0
starts have a scratch folder for an output folder, and end with rank 0 whatever ends it.
"""

import contextlib
import dataclasses
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

from bert_trainer.config import Config
from bert_trainer.devices import rank_table
from bert_trainer.devices.cards import Cards
from bert_trainer.errors import TrainerError
from bert_trainer.processes.child import STARTER, Child, ChildError, flags, scratch_folder

HCCN_CONF = Path("/etc/hccn.conf")  # the addresses of the cards, as on every Ascend host
OUTCOME = "outcome.json"
TRAINING = "training"  # the thread that takes rank 0's steps
# How many seconds HCCL waits for all ranks when they begin, and in each operation: rank 0 may evaluate or save while
# the others wait. A rank that dies is noticed at once all the same, by its process and not by HCCL. The whitelist names
# the addresses of other servers, of which there are none.
HCCL = {"HCCL_CONNECT_TIMEOUT": "1800", "HCCL_EXEC_TIMEOUT": "1800", "HCCL_WHITELIST_DISABLE": "1"}
SECONDS_FOR_A_CAUSE = 5.0  # between the failure of rank 0 and the end of the rank that caused it


def ignore_signals() -> None:
    """Leaves the end of this process to rank 0, which has started it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def my_rank() -> int:
    """Returns the rank of this process."""
    return int(os.environ["RANK_ID"]) if STARTER in os.environ else 0


def leave(exit_code: int) -> None:
    """Ends this process, also when its training waits for a rank that is gone and never returns."""
    # Then what the adapter and TensorFlow do at the end of a process could wait for the card as well.
    if any(thread.name == TRAINING for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    sys.exit(exit_code)


class End(NamedTuple):
    """The end of a rank's process: its exit code, or minus the signal; of rank 0's training: what it raised."""

    rank: int
    code: int = 0
    error: Optional[BaseException] = None


class Ranks:
    """The ranks of a run on the given cards."""

    def __init__(self, cards: Cards, scratch: Path) -> None:
        """Makes the scratch folders of the other ranks, in `scratch`, and the rank table unless there is one."""
        self._cards = cards
        self.folders = {rank: scratch / "rank-{}".format(rank) for rank in range(1, len(cards.by_rank))}
        for folder in self.folders.values():
            folder.mkdir()
        given = os.environ.get("RANK_TABLE_FILE")
        self._table = given or str(scratch / "rank_table.json")
        if not given:
            ips = rank_table.device_ips(_read_if_there(HCCN_CONF))
            table = rank_table.rank_table(cards.by_rank, ips, own_address())
            Path(self._table).write_text(json.dumps(table))
        self._children: List[Child] = []
        self._ends: "queue.Queue[End]" = queue.Queue()

    def start(self, config: Config) -> None:
        """Starts the other ranks with the flags of this process, and makes this process rank 0."""
        for name, value in {**HCCL, "TOKENIZERS_PARALLELISM": "true"}.items():  # unsaid, tokenizers warns of a fork
            os.environ.setdefault(name, value)
        for rank, folder in self.folders.items():
            command = ["bert_trainer", *flags(_share(config, folder))]
            child = Child(command, folder, self._environment(rank), "rank {}: ".format(rank))
            self._children.append(child)
            threading.Thread(target=self._follow, args=(rank, child), daemon=True).start()
        os.environ.update(self._environment(0))

    def watch(self, train: Callable[[], None]) -> None:
        """Runs rank 0's training beside the other ranks'; raises what it raises.

        It runs in a thread of its own, since no exception could free one that waits for a lost rank.

        Raises:
            ChildError: another rank has failed, whatever became of rank 0 by that.
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
        for child in self._children:
            child.process.kill()
            child.process.wait()

    def _follow(self, rank: int, child: Child) -> None:
        self._ends.put(End(rank, child.wait()))

    def _next(self, timeout: Optional[float] = None) -> End:
        """Returns the next end but those of other ranks that have taken their last step; queue.Empty for none."""
        while True:
            end = self._ends.get(timeout=timeout)
            if not end.rank or end.code:
                return end

    def _failure(self, end: End) -> ChildError:
        code, text = self._children[end.rank - 1].death(end.code) if end.code < 0 else (end.code, self._words(end))
        return ChildError("rank {} on card {}: {}".format(end.rank, self._cards.by_rank[end.rank], text), code)

    def _words(self, end: End) -> str:
        try:
            return str(json.loads((self.folders[end.rank] / OUTCOME).read_text())["message"])
        except (OSError, ValueError, KeyError):
            return "exit code {} without a word; look at the log before this".format(end.code)

    def _environment(self, rank: int) -> Dict[str, str]:
        """What differs from the environment of one card."""
        size = str(len(self._cards.by_rank))
        return {
            "RANK_TABLE_FILE": self._table,
            "RANK_SIZE": size,
            "DEVICE_NUM": size,
            "RANK_ID": str(rank),
            "DEVICE_ID": str(self._cards.by_rank[rank]),
            **dict.fromkeys(("ASCEND_DEVICE_ID", "DEVICE_INDEX"), str(self._cards.logical(rank))),
        }


@contextlib.contextmanager
def ranks_on(cards: Cards) -> Iterator[Ranks]:
    """Returns the ranks on these cards, none of them started; at the end of the block the others end."""
    with scratch_folder() as scratch:
        ranks = Ranks(cards, scratch)
        try:
            yield ranks
        finally:
            ranks.end()


def _share(config: Config, folder: Path) -> Config:
    """The configuration of another rank: that of rank 0, but for what only rank 0 does."""
    return dataclasses.replace(
        config, output_dir=str(folder), termination_log=str(folder / OUTCOME), metrics_port=0, export_saved_model=False
    )


def own_address() -> str:
    """Returns an address of this machine or pod, by which HCCL calls its server."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return "127.0.0.1"


def _read_if_there(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
