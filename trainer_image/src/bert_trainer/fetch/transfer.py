"""Downloads one object into a file: goes on after a dropped connection, and believes nothing but the checksum."""

import hashlib
import logging
import time
from pathlib import Path
from typing import BinaryIO, Optional

from bert_trainer.fetch.http_source import http_object
from bert_trainer.fetch.source import OpenAt, TransientError

log = logging.getLogger(__name__)
MAX_OBJECT_BYTES = 32 << 30
RETRIES = 5  # in a row that brought less than PROGRESS_BYTES
FIRST_PAUSE_SECONDS = 1.0  # doubled with every retry in a row
PROGRESS_BYTES = 8 << 20
LOG_SECONDS = 5.0
MEGABYTE = 1e6


class OversizeError(Exception):
    """The object is larger than MAX_OBJECT_BYTES, or the server says so."""


class MismatchError(Exception):
    """The whole object was received, and its SHA-256 is another one, given as text."""


def open_source(url: str, endpoint_url: str, ca_bundle: str = "") -> OpenAt:
    """Returns what opens the object of an http://, https:// or s3:// URL; raises BadConfigError as s3_object does.

    Args:
        url: the object.
        endpoint_url: address of the S3 server, "" for Amazon's.
        ca_bundle: file of the certificates to trust, "" for those of the environment.
    """
    if not url.startswith("s3://"):
        return http_object(url, ca_bundle)
    from bert_trainer.fetch.s3_source import s3_object  # noqa: PLC0415 - see there

    return s3_object(url, endpoint_url, ca_bundle)


def download(open_at: OpenAt, path: Path, sha256: str) -> None:
    """Makes `path` the object whose SHA-256 has these 64 hexadecimal digits.

    Raises:
        RefusedError: the server does not give the object.
        TransientError: it could not be received whole in RETRIES retries.
        OversizeError, MismatchError: it is not the one that was wanted.
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        transfer = _Transfer(file)
        patience = _Patience()
        while True:
            reason = transfer.attempt(open_at)
            if transfer.sha256 == sha256:  # whatever the server said of its length, this is all of it
                return
            if not reason:
                raise MismatchError(transfer.sha256)
            patience.pause(reason, transfer.size)


class _Transfer:
    """The bytes received so far, and their checksum."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._last_end: Optional[int] = None
        self._progress = _Progress()
        self._restart()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def attempt(self, open_at: OpenAt) -> str:
        """Receives what is missing; returns why it is not certain to be all, "" when it is."""
        try:
            with open_at(self.size) as stream:
                if stream.start != self.size:
                    self._restart()
                if stream.start != self.size:
                    raise TransientError("sent the object from byte {} on".format(stream.start))
                for chunk in stream.chunks:
                    self._take(chunk, stream.total)
        except TransientError as error:
            return str(error)
        return self._doubt(stream.total)

    def _doubt(self, total: Optional[int]) -> str:
        """Returns what speaks against an end without an error being that of the object.

        A server that names no length ends the same way when it breaks off: such an end has to come twice.
        """
        last_end, self._last_end = self._last_end, self.size
        if (total is None and last_end != self.size) or (total is not None and self.size < total):
            return "the connection ended after {} of {} bytes".format(self.size, total or "an unknown number of")
        return ""

    def _take(self, chunk: bytes, total: Optional[int]) -> None:
        if max(self.size + len(chunk), total or 0) > MAX_OBJECT_BYTES:
            raise OversizeError
        self._file.write(chunk)
        self._hash.update(chunk)
        self.size += len(chunk)
        self._progress.show(self.size, total)

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0


class _Progress:
    """A line in the log every LOG_SECONDS."""

    def __init__(self) -> None:
        self._shown, self._shown_size = time.monotonic(), 0

    def show(self, size: int, total: Optional[int]) -> None:
        """Takes notice of the bytes there are, of the total that the server has named."""
        now = time.monotonic()
        if now - self._shown >= LOG_SECONDS:
            speed = max(size - self._shown_size, 0) / (now - self._shown)
            log.info("%s, %.1f MB/s", share(size, total), speed / MEGABYTE)
            self._shown, self._shown_size = now, size


def share(size: int, total: Optional[int]) -> str:
    """Returns how far a transfer of so many bytes is, in words; the total is the server's and may be wrong."""
    if not total or total < size:
        return "{:.1f} MB".format(size / MEGABYTE)
    return "{:.0f}%, {:.1f} of {:.1f} MB".format(100.0 * size / total, size / MEGABYTE, total / MEGABYTE)


class _Patience:
    """The pauses between attempts, renewed by each that brought the object further than ever before."""

    def __init__(self) -> None:
        self._failures, self._farthest = 0, 0

    def pause(self, reason: str, size: int) -> None:
        """Waits; raises TransientError with the reason when there were enough retries."""
        if size >= self._farthest + PROGRESS_BYTES:
            self._failures, self._farthest = 0, size
        self._failures += 1
        if self._failures > RETRIES:
            raise TransientError(reason)
        seconds = FIRST_PAUSE_SECONDS * 2 ** (self._failures - 1)
        log.warning("%s; going on at byte %d in %.0f s (%d of %d)", reason, size, seconds, self._failures, RETRIES)
        time.sleep(seconds)
