"""The right to write into an output folder, which one process has at a time, wherever it runs.

A lock of the kernel does not do: some network file systems keep it from other nodes. Here a process takes the folder by
creating the next one of the files leases/1.json, leases/2.json and so on, which the file system grants to one process
only (O_EXCL; on NFS from version 3 on), and rewrites its own file every few seconds. A newcomer takes the next number
when the holder has given its lease back, or when the holder's file has not changed while the newcomer looked at it
several times. No clock is compared with another machine's. The highest number holds the folder; no number is given
twice.

A holder that has lost the folder notices before it writes, and stops. Nothing can keep one that was stopped inside a
write from finishing that write when it goes on. So the number is a fencing token (Kleppmann 2016, "How to do
distributed locking"): after a holder that vanished, the run goes on in a folder named after the next number, a new
*generation* (takeover.py). Holders that give their leases back share a generation; the folder of the first one is
the output folder itself.
"""

import contextlib
import json
import logging
import os
import re
import socket
import threading
import time
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional

from bert_trainer.errors import InterruptedRunError, StorageError
from bert_trainer.reporting.stop import StopRequest

log = logging.getLogger(__name__)
FOLDER = "leases"
RENEW_SECONDS = 5.0  # between two renewals of a lease, and between two looks at another process's
UNCHANGED_LOOKS = 6  # after as many looks in a row without a change, half a minute, the holder has vanished
PATIENCE_LOOKS = 30  # at a holder that lives: half a minute more than a pod that is being deleted has to end
FRESH_SECONDS = 1.0  # for how long a look at the folder is an answer
RECORD_BYTES = 512  # overwritten in place by each renewal, which so needs no room on a full disk
FIRST_GENERATION = 1


class LeaseLostError(InterruptedRunError):
    """Another process has taken the output folder, or this one has given it back: it must write no more."""


class Record(NamedTuple):
    """What a file of leases/ says."""

    number: int
    text: str
    holder: str  # for people
    is_released: bool
    generation: int  # 0 where the file is empty, or half overwritten at this moment


class Lease:
    """The lease of this process, which a thread renews until it is given back."""

    def __init__(self, output: Path, number: int, generation: int, is_shared_with_a_vanished_one: bool) -> None:
        """Begins to renew the lease with this number, whose file this process has created."""
        self.output = output
        self.number = number
        self.generation = generation
        self.is_shared_with_a_vanished_one = is_shared_with_a_vanished_one
        self._renewals = 0
        self._is_released = False
        self._has_failed = False
        self._looked_at = 0.0
        self._writing = threading.Lock()
        self._end = threading.Event()
        self._write()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """The folder of the lease's generation, which has all that the run has saved."""
        return folder_of(self.output, self.generation)

    def check(self) -> None:
        """Returns while the output folder is this process's; to be asked before each write.

        Raises:
            LeaseLostError: it is not.
            StorageError: the folder cannot be read.
        """
        if self._is_released:
            raise LeaseLostError("--output_dir={}: this process has given it back".format(self.output))
        now = time.monotonic()  # goes on while this process is stopped
        if now - self._looked_at >= FRESH_SECONDS:
            self.look()
            self._looked_at = now

    def look(self) -> None:
        """Returns while the newest lease in the output folder is this process's, however short ago it last was.

        Raises:
            LeaseLostError: it is another process's.
            StorageError: the folder cannot be read.
        """
        with _storage_errors(self.output):
            newest = _numbers(self.output)[-1]
            if newest != self.number:
                message = (
                    "--output_dir={}: {} has taken it while this process did not renew its lease; it goes on there"
                )
                raise LeaseLostError(message.format(self.output, _record(self.output, newest).holder))

    def begin_generation(self) -> None:
        """Says that the run is now in the folder of a generation of its own, where all that it needs already is."""
        self.check()
        with _storage_errors(self.output):
            self.generation, self.is_shared_with_a_vanished_one = self.number, False
            self._write()

    def release(self) -> None:
        """Gives the lease back, so that the next process need not wait."""
        self._end.set()
        self._thread.join()
        self._is_released = True
        self._try_to_write()

    def _renew(self) -> None:
        while not self._end.wait(RENEW_SECONDS):
            self._try_to_write()

    def _try_to_write(self) -> None:
        """Another process takes the folder where this fails for long; that is noticed by `check`."""
        try:
            self._write()
        except OSError as reason:
            if not self._has_failed:
                log.warning("%s: cannot renew or give back its lease: %s", self.output, reason.strerror)
            self._has_failed = True

    def _write(self) -> None:
        with self._writing:
            self._renewals += 1
            content = {
                "holder": _name(os.getpid()),
                "renewals": self._renewals,
                "released": self._is_released,
                "generation": self.generation,
            }
            with _path(self.output, self.number).open("r+b") as file:
                file.write(json.dumps(content).ljust(RECORD_BYTES).encode())


@contextlib.contextmanager
def held(output: Path, stop: StopRequest) -> Iterator[Lease]:
    """Runs the block while this process holds an output folder, which is made when there is none.

    Raises:
        InterruptedRunError: another process holds it and lives, or this one is told to stop while it waits.
        LeaseLostError: another process has taken it, whatever the block has failed by after that.
        StorageError: the file system refuses.
    """
    with _storage_errors(output):
        lease = _take(output, stop)
    try:
        yield lease
    except Exception:
        lease.look()
        raise
    finally:
        lease.release()


@contextlib.contextmanager
def inherited(output: Path, process: int) -> Iterator[Optional[Lease]]:
    """Runs the block with the lease that an ended child of this process has left, None for none; gives it back.

    So a start after a child that was killed waits no longer than one after a child that ended well.

    Raises:
        StorageError: the file system refuses.
    """
    with _storage_errors(output):
        records = _read(output)
        left = records and not records[-1].is_released and records[-1].holder == _name(process)
        lease = Lease(output, records[-1].number, records[-1].generation, False) if left else None
    try:
        yield lease
    finally:
        if lease:
            lease.release()


def generation_of(output: Path) -> int:
    """Returns the generation in which the run is that has an output folder.

    Raises:
        StorageError: the folder cannot be read.
    """
    with _storage_errors(output):
        return _generation(_read(output))


def folder_of(output: Path, generation: int) -> Path:
    """Returns the folder of a generation."""
    return output if generation == FIRST_GENERATION else output / "generation-{}".format(generation)


def _take(output: Path, stop: StopRequest) -> Lease:
    (output / FOLDER).mkdir(parents=True, exist_ok=True)
    seen: Optional[Record] = None
    looks = unchanged = 0
    while True:
        records = _read(output)
        newest = records[-1] if records else Record(0, "", "", is_released=True, generation=FIRST_GENERATION)
        unchanged = unchanged + 1 if newest == seen else 0
        if newest.is_released or unchanged >= UNCHANGED_LOOKS:
            if _create(output, newest.number + 1):
                generation = _generation(records)
                vanished = [record for record in records if not record.is_released]
                is_shared = any(record.generation in (generation, 0) for record in vanished)
                return Lease(output, newest.number + 1, generation, is_shared)
        elif looks >= PATIENCE_LOOKS and not unchanged:
            message = "--output_dir={}: {} holds it and lives; end that process or wait for its end, then start again"
            raise InterruptedRunError(message.format(output, newest.holder))
        elif not looks:
            message = "%s: %s holds it; waiting until that ends, or has not renewed its lease for %.0f s"
            log.warning(message, output, newest.holder, UNCHANGED_LOOKS * RENEW_SECONDS)
        if stop.signal:
            message = "stopped by {} while {} held {}; start again with the same flags"
            raise InterruptedRunError(message.format(stop.signal, newest.holder, output))
        seen, looks = newest, looks + 1
        time.sleep(RENEW_SECONDS)


def _create(output: Path, number: int) -> bool:
    """Returns whether it is this process that has created the file."""
    try:
        with _path(output, number).open("xb"):
            return True
    except FileExistsError:
        return False


def _read(output: Path) -> List[Record]:
    """Returns all leases of an output folder, the holder's last."""
    try:
        return [_record(output, number) for number in _numbers(output)]
    except FileNotFoundError:  # an earlier release's folder has none
        return []


def _numbers(output: Path) -> List[int]:
    names = (re.match(r"(\d+)\.json$", path.name) for path in (output / FOLDER).iterdir())
    return sorted(int(name.group(1)) for name in names if name)


def _record(output: Path, number: int) -> Record:
    text = _path(output, number).read_text(errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        return Record(number, text, "another process", is_released=False, generation=0)
    return Record(number, text, content["holder"], content["released"], content["generation"])


def _generation(records: List[Record]) -> int:
    return max((record.generation for record in records), default=FIRST_GENERATION) or FIRST_GENERATION


def _name(process: int) -> str:
    """The holder of a lease, for people: on Kubernetes the host has the pod's name."""
    return "{} (process {})".format(socket.gethostname(), process)


def _path(output: Path, number: int) -> Path:
    return output / FOLDER / "{}.json".format(number)


@contextlib.contextmanager
def _storage_errors(output: Path) -> Iterator[None]:
    try:
        yield
    except OSError as reason:
        message = "{}: {}; make the output folder writable and large enough for the checkpoints"
        raise StorageError(message.format(reason.filename or output, reason.strerror)) from reason
