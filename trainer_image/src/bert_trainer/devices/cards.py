"""The cards of this process: which it was given, and what the adapter and HCCL read of them in the environment.

The adapter (CANN 20.2) needs neither ASCEND_VISIBLE_DEVICES nor DEVICE_ID. ASCEND_DEVICE_ID counts the cards that the
process sees, in the order of their numbers on the server; DEVICE_ID, without it, is such a number. A text that is no
number aborts the process, and a missing JOB_ID or RANK_SIZE is an AttributeError there, so both are dealt with here.
"""

import json
import os
import re
from pathlib import Path
from typing import List, NamedTuple

from bert_trainer.devices import rank_table
from bert_trainer.errors import BadConfigError

DEVICE_FILES = Path("/dev")
DEFAULTS = {
    "JOB_ID": "10087",  # any will do, this one is in the manuals
    "RANK_ID": "0",
    "RANK_SIZE": "1",
    "ASCEND_GLOBAL_LOG_LEVEL": "3",  # errors, which carry the reasons
    "ASCEND_SLOG_PRINT_TO_STDOUT": "1",  # else they stand in files, which end with the container
}


class Cards(NamedTuple):
    """The cards of a run by their numbers on the server: that of each rank, and all that its processes see."""

    by_rank: List[int]
    visible: List[int]

    def logical(self, rank: int) -> int:
        """Returns the number by which the processes know a rank's card."""
        return self.visible.index(self.by_rank[rank])


def device_files() -> List[int]:
    """Returns the numbers of the cards that this process sees, rising."""
    names = (re.match(r"davinci(\d+)$", path.name) for path in DEVICE_FILES.iterdir())
    return sorted(int(name.group(1)) for name in names if name)


def cards_of(devices: int) -> Cards:
    """Returns the cards of a run on so many; BadConfigError if this process was not given exactly these.

    The device plugin writes ASCEND_VISIBLE_DEVICES in any order and ascend-docker-runtime sorts. Without that runtime
    nobody writes it, and the device files tell.
    """
    visible, table = device_files(), os.environ.get("RANK_TABLE_FILE")
    value = os.environ.get("ASCEND_VISIBLE_DEVICES") or ",".join(map(str, visible))
    source = "RANK_TABLE_FILE={!r}".format(table) if table else "ASCEND_VISIBLE_DEVICES={!r}".format(value)
    try:
        given = sorted(rank_table.visible_cards(value))
        by_rank = rank_table.cards_of(json.loads(Path(table).read_text())) if table else given
    except (OSError, ValueError) as reason:
        message = "--devices={}: {}: {}; correct it, or unset it and pass --devices=1"
        raise BadConfigError(message.format(devices, source, reason)) from reason
    if len(by_rank) != devices:
        message = "--devices={}: {} names {} card(s); give the process as many cards, or pass --devices={}"
        raise BadConfigError(message.format(devices, source, len(by_rank), len(by_rank) or 1))
    seen = visible or given or sorted(by_rank)
    if not set(by_rank) <= set(seen):
        message = "--devices={}: {} names card(s) {}, and this process sees {}; give it these, or correct the names"
        raise BadConfigError(message.format(devices, source, by_rank, seen))
    return Cards(by_rank, seen)


def prepare_environment(devices: int) -> None:
    """Sets what the adapter needs and nobody has set; BadConfigError for what it would take for another run's."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if "DEVICE_ID" not in os.environ:
        os.environ.setdefault("ASCEND_DEVICE_ID", "0")
    for name in ("ASCEND_DEVICE_ID", "DEVICE_ID", "RANK_ID", "RANK_SIZE"):
        value = os.environ.get(name, "0")
        if not re.match(r"[0-9]+$", value):
            raise BadConfigError("{}={!r}: must be a number from 0; correct it, or unset it".format(name, value))
    _check_card(device_files())
    size = int(os.environ["RANK_SIZE"])
    if size not in (1, devices):
        message = (
            "RANK_SIZE={}: the trainer starts its ranks itself; unset RANK_SIZE and RANK_ID, and pass --devices={}"
        )
        raise BadConfigError(message.format(size, size))
    if devices == 1:
        os.environ.pop("RANK_TABLE_FILE", None)  # the adapter would begin HCCL with it, whatever RANK_SIZE says
    os.environ.pop("POD_NAME", None)  # beside a rank table it switches the adapter to a mode in which tables name pods


def _check_card(seen: List[int]) -> None:
    """Raises BadConfigError where the variable that the adapter goes by names none of the cards in these files."""
    if "ASCEND_DEVICE_ID" in os.environ:
        number = int(os.environ["ASCEND_DEVICE_ID"])
        if seen and number >= len(seen):
            message = "ASCEND_DEVICE_ID={}: this process sees {} card(s), numbered from 0; correct it, or unset it"
            raise BadConfigError(message.format(number, len(seen)))
        return
    number = int(os.environ["DEVICE_ID"])
    if seen and number not in seen:
        message = "DEVICE_ID={}: this process sees card(s) {}, by their numbers on the server; correct it, or unset it"
        raise BadConfigError(message.format(number, seen))
