"""What a run takes over from another folder: its own of an earlier generation, or that of the run it resumes from."""

import contextlib
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any, Dict

from bert_trainer import contract
from bert_trainer.errors import BadConfigError
from bert_trainer.output import checkpoints, history, lease
from bert_trainer.output.folder import RUN_FILE, SAVED_MODEL, TIMES_FILE, Description, RunFolder, differences
from bert_trainer.output.lease import Lease

log = logging.getLogger(__name__)
# Names that the files of the first generation begin with, whose folder is the output folder itself.
STATE_FILES = (RUN_FILE, TIMES_FILE, history.FILE, contract.RESULT_FILE, "checkpoint", checkpoints.BASENAME + "-")


def begin_generation(held: Lease) -> None:
    """Takes a run from the folder of a process that vanished to one of its own.

    If that process comes back, it may finish files in its folder. They are never read, and removed by a later start.

    Raises:
        LeaseLostError: another process has taken the output folder meanwhile.
        StorageError: the file system refuses.
    """
    old, new = RunFolder(held.folder), RunFolder(lease.folder_of(held.output, held.number), held.check)
    for name in (RUN_FILE, TIMES_FILE, history.FILE):
        new.write(name, old.read(name))
    checkpoint = checkpoints.adopt(old.path, new.path, lambda *paths: new.check() or _link(*paths))
    held.begin_generation()
    log.warning("an earlier process vanished: going on in %s with %s", new.path, checkpoint or "no checkpoint")


def remove_earlier_generations(held: Lease) -> None:
    """Removes what earlier generations have left, also what a process that vanished has finished since."""
    held.check()
    if held.generation == lease.FIRST_GENERATION:
        return
    left = [path for name in STATE_FILES for path in held.output.glob(name + "*")]
    for path in (*held.output.glob("generation-*"), *(held.output / SAVED_MODEL).glob("*")):
        number = re.match(r"(?:generation-)?(\d+)(?:\.unfinished)?$", path.name)
        if number and int(number.group(1)) < held.generation:
            left.append(path)
    for path in left:
        if path.is_dir():
            shutil.rmtree(str(path), ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def resume_from(source: Path, run: Description, folder: RunFolder) -> None:
    """Copies the newest undamaged checkpoint of another run, its history and its times into a run's own folder.

    Args:
        source: the other run's output folder, which is only read.
        run: the run that resumes, as RunFolder.claim takes it.
        folder: where that run is.

    Raises:
        BadConfigError: there is no run, or no undamaged checkpoint, or the run is another one, naming what differs.
        StorageError: the file system refuses.
    """
    flag = "--resume_from={}: ".format(source)
    if not source.is_dir():
        raise BadConfigError(flag + "no such folder; pass the output folder of the run to resume from")
    old = RunFolder(lease.folder_of(source, lease.generation_of(source)))
    known = old.read_json(RUN_FILE)
    if known is None:
        message = "holds no run, as there is no {}; pass the output folder of the run to resume from"
        raise BadConfigError(flag + message.format(RUN_FILE))
    differing = differences(_substance(known), _substance(run))
    if differing:
        message = "that run cannot be resumed from ({}); use its model, task, data and pairs in a step, or start afresh"
        raise BadConfigError(flag + message.format("; ".join(differing)))
    for name in (TIMES_FILE, history.FILE):
        folder.write(name, old.read(name))
    checkpoint = checkpoints.adopt(old.path, folder.path, _copy)
    if checkpoint is None:
        raise BadConfigError(flag + "holds no whole checkpoint; start without it")
    log.info("resuming from %s of %s", checkpoint, old.path)


def _substance(run: Description) -> Dict[str, Any]:
    """What the steps that a checkpoint counts have learned from; the rest may change for the steps that follow."""
    config = run["config"]
    return {
        "task_name": config["task_name"],
        "do_lower_case": config.get("do_lower_case", ""),
        "pairs in a step": config["train_batch_size"] * config.get("devices", 1),
        **run["data"],
        **run["model"],
    }


def _link(source: Path, target: Path) -> None:
    """Gives a file a second name, or copies it where the file system knows no such thing."""
    try:
        os.link(str(source), str(target))
    except FileNotFoundError:
        raise
    except OSError:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(str(source), str(target))
