"""`python -m bert_trainer.check_card`: what this machine's cards do, as tables to send back, in at most ten minutes.

The trainer was written without a card: each row is something that it relies on, or that only a card can answer. Each
check on a card has a process and a folder of its own, since a fault aborts the process.
"""

import argparse
import json
import os
import platform
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Tuple

from bert_trainer import __version__
from bert_trainer.devices import cards
from bert_trainer.processes.child import LastWords, scratch_folder

ASCEND = Path(os.environ.get("ASCEND_HOME", "/usr/local/Ascend"))
CONTROL_FILES = ("davinci_manager", "devmm_svm", "hisi_hdc")
OUTPUT, SEEN = "output.log", "seen.json"  # of a check, in its folder
READABLE, OPENS, NOT_RUN = "everything", "all", "not run"
PACKAGES = ("npu_bridge", "tensorflow", "hccl", "topi", "te")  # of the adapter and of CANN's compilers


class Check(NamedTuple):
    """A check on a card, by its name in checks.py.

    It may take its own seconds, ten minutes in all, and what the checks before it have left of theirs.
    """

    name: str
    what: str
    expected: str
    seconds: float = 50.0
    devices: int = 1


CHECKS = (
    Check("small-graph", "a small graph: opens the card, compiles, multiplies", "17 6 23 8", 100.0),
    Check("division", "FloorDiv of int32: 0, 127, 128 and 4095 by 128", "0 0 1 31"),
    Check("masks", "dropout with fixed seeds", "4 masks in 4 steps, 2 in 2 places, 10 % dropped"),
    Check("updates", "ApplyGradientDescent, then ApplyAdam, on one variable: after three steps", "94.1 191.1"),
    Check(
        "overflows",
        "loss scale, the step reached after: a good step, one that overflows, two good ones, a good one after an "
        "evaluation that overflowed",
        "1 1 2 3 4",
    ),
    Check("training", "training and evaluation in one process", "8 steps, 1 evaluation(s)", 150.0),
    Check("two-cards", "the same on two cards, by HCCL", "8 steps, 2 evaluation(s)", 150.0, 2),
)


class Row(NamedTuple):
    """A row of the table."""

    what: str
    expected: str
    seen: str
    notes: str = ""

    @property
    def verdict(self) -> str:
        return "-" if self.seen.startswith(NOT_RUN) else "yes" if self.seen == self.expected else "no"


def main(arguments: List[str]) -> int:
    """Prints the tables and returns 0, or 1 if something is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m bert_trainer.check_card", description=__doc__)
    parser.add_argument("--image", default="none", help="what the table is to say of the image")
    image = parser.parse_args(arguments).image
    rows, deadline = [rights(), device_files()], time.monotonic()
    for check in CHECKS:
        deadline += check.seconds
        print("checking {} ...".format(check.name), file=sys.stderr, flush=True)
        rows.append(on_card(check, deadline - time.monotonic()))
    header = ("check", "expected", "seen", "as expected", "notes")
    print_table(header, ((row.what, row.expected, row.seen, row.verdict, row.notes) for row in rows))
    print_table(("what", "version"), [("image", image), *versions()])
    return int(any(row.verdict == "no" for row in rows))


def print_table(header: Tuple[str, ...], rows: Iterable[Tuple[str, ...]]) -> None:
    for cells in (header, ["---"] * len(header), *rows):
        print("| {} |".format(" | ".join(" ".join(cell.split()).replace("|", "/") for cell in cells)))
    print()


def rights() -> Row:
    """Returns what this process is, and whether it may read what the driver and CANN have installed."""
    unreadable = [path for path in _everything_below(ASCEND) if not os.access(path, os.R_OK)]
    seen = "all but {}, such as {}".format(len(unreadable), unreadable[0]) if unreadable else READABLE
    groups = ",".join(map(str, sorted(os.getgroups()))) or "none"
    names = ("HOME", "ASCEND_OPP_PATH", "LD_LIBRARY_PATH", "PYTHONPATH")
    own = ["{}={}".format(name, os.environ[name]) for name in names if name in os.environ]
    who = "user {}, group {}, groups {}, in {}".format(os.getuid(), os.getgid(), groups, Path.cwd())
    return Row("what it may read below {}".format(ASCEND), READABLE, seen, "; ".join([who, *own]))


def _everything_below(folder: Path) -> Iterator[str]:
    """Yields the paths of all files, and of the folders that cannot be entered."""
    closed: List[OSError] = []
    for path, _, names in os.walk(str(folder), onerror=closed.append):
        yield from (os.path.join(path, name) for name in names)  # noqa: PTH118 - there are a hundred thousand
    yield from (error.filename for error in closed)


def device_files() -> Row:
    """Returns whether this process may open the device files of the card, and their modes."""
    closed, modes = [], []
    first = "davinci{}".format((cards.device_files() or [0])[0])
    for path in (cards.DEVICE_FILES / name for name in (first, *CONTROL_FILES)):
        try:
            status = path.stat()
        except OSError as reason:
            closed.append("{} ({})".format(path.name, reason.strerror))
            continue
        modes.append("{} {:04o} {}:{}".format(path.name, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid))
        if not os.access(str(path), os.R_OK | os.W_OK):
            closed.append(path.name)
    return Row("device files it may open", OPENS, "not " + ", ".join(closed) if closed else OPENS, ", ".join(modes))


def on_card(check: Check, seconds: float) -> Row:
    """Returns what a check sees in a process of its own, which has so many seconds."""
    given = visible()
    if 0 < len(given) < check.devices:
        return Row(check.what, check.expected, "{}: this process sees one card".format(NOT_RUN))
    with scratch_folder() as folder:
        environment = {
            **os.environ,
            **dict.fromkeys(("HOME", "TMPDIR"), str(folder)),  # as the trainer gives its own processes
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "ASCEND_VISIBLE_DEVICES": ",".join(map(str, given[: check.devices])),
        }
        began = time.monotonic()
        code = run(
            [sys.executable, "-m", "bert_trainer.check_card.checks", check.name, SEEN], folder, environment, seconds
        )
        took = "{:.0f} s".format(time.monotonic() - began)
        try:
            seen: Dict[str, str] = json.loads((folder / SEEN).read_text())
        except OSError:
            return Row(check.what, check.expected, end_of(code, folder / OUTPUT), took)
    return Row(check.what, check.expected, seen["answer"], ", ".join(filter(None, [took, seen["notes"]])))


def visible() -> List[int]:
    """Returns the numbers of the cards that this process was given."""
    named = os.environ.get("ASCEND_VISIBLE_DEVICES", "")
    return cards.rank_table.visible_cards(named) if named else cards.device_files()


def run(command: List[str], folder: Path, environment: Dict[str, str], seconds: float) -> int:
    """Runs a command in a folder, its output in a file there, and kills it when its time is over."""
    with (folder / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            command, cwd=str(folder), env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def end_of(code: int, output: Path) -> str:
    """Returns how a process ended that has not said what it saw."""
    words, lines = LastWords(), output.read_text(errors="replace").splitlines()
    for line in lines:
        words.hear(line)
    name = signal.Signals(-code).name if code < 0 else "exit code {}".format(code)
    return "{}: {}".format(name, str(words) or next((line for line in reversed(lines) if line.strip()), "no output"))


def versions() -> List[Tuple[str, str]]:
    """Returns what is installed, by name."""
    files = sorted(path for depth in range(1, 5) for path in ASCEND.glob("*/" * depth + "version.info"))
    of_cann = [(str(path.parent), path.read_text(errors="replace")) for path in files]
    packages = [(name, ", ".join(_installed(name)) or "not installed by pip") for name in PACKAGES]
    system = [("Python", platform.python_version()), ("machine", "{0.machine} {0.release}".format(platform.uname()))]
    return [("trainer", __version__), *of_cann, *packages, *system]


def _installed(package: str) -> List[str]:
    """Returns what pip has installed of a package, without importing it."""
    folders = (path for entry in sys.path for path in Path(entry or ".").glob(package + "-*-info"))
    return ["{} in {}".format(path.stem, path.parent) for path in folders]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
