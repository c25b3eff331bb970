"""`python -m bert_trainer.fetch`: downloads what a URL names, checks it and unpacks it for the trainer."""

import argparse
import logging
import re
import signal
import ssl
import sys
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import Dict, List, NoReturn, Optional, Sequence, Type
from urllib.parse import unquote, urlsplit

from bert_trainer import contract
from bert_trainer.config import FlagParser
from bert_trainer.errors import (
    BadConfigError,
    BadDataError,
    BadModelError,
    InterruptedRunError,
    StorageError,
    TrainerError,
)
from bert_trainer.fetch.folder import RESERVED, FetchFolder, content_names, content_root
from bert_trainer.fetch.guard import guard_connections
from bert_trainer.fetch.source import RefusedError, TransientError, public
from bert_trainer.fetch.transfer import MAX_OBJECT_BYTES, MismatchError, OversizeError, download, open_source, share
from bert_trainer.fetch.unpack import unpack
from bert_trainer.fetch.unpack_rules import ArchiveError
from bert_trainer.output.outcome import Outcome, write_termination_log
from bert_trainer.program import attempt, termination_log

log = logging.getLogger("bert_trainer")
MEANINGS = {
    "url": "object to download: http://, https:// or s3://bucket/key",
    "sha256": "its SHA-256, 64 hexadecimal digits",
    "output_dir": "empty folder for it; an archive is unpacked there, another file stored",
    "endpoint_url": "address of the S3 server; Amazon's when empty",
    "ca_bundle": "file of PEM certificates to trust in place of the image's, for https://; empty for those",
    "role": "what it is for, " + " or ".join(contract.FETCH_ROLES),
    "termination_log": "file that receives a failure for Kubernetes, empty for none",
}
OPTIONAL_FLAGS = ("endpoint_url", "ca_bundle", "termination_log")
ROLE_ERRORS: Dict[str, Type[TrainerError]] = dict(zip(contract.FETCH_ROLES, (BadModelError, BadDataError)))
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def main(arguments: List[str]) -> int:
    """Fills the folder and returns 0, or the exit code of the failure (contract.EXIT_CLASSES), which is reported."""
    output = logging.StreamHandler(sys.stdout)
    output.setFormatter(_Discreet("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[output])
    log.setLevel(logging.INFO)
    guard_connections()
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    outcome, exit_code = attempt(lambda: fetch(parse(arguments)))
    if exit_code:
        discreet = dict(outcome, message=without_secrets(outcome["message"]))
        write_termination_log(discreet, termination_log(arguments))
    return exit_code


def parse(arguments: List[str]) -> argparse.Namespace:
    """Reads the flags of contract.FETCH_FLAGS; raises BadConfigError."""
    parser = FlagParser(prog="python -m bert_trainer.fetch", description=__doc__, allow_abbrev=False)
    for name in contract.FETCH_FLAGS:
        optional = name in OPTIONAL_FLAGS
        parser.add_argument("--" + name, required=not optional, default="", help=MEANINGS[name])
    flags = parser.parse_args(arguments)
    flags.sha256 = flags.sha256.lower()
    _check_address("url", flags.url, ("http", "https", "s3"))
    if flags.endpoint_url:
        _check_address("endpoint_url", flags.endpoint_url, ("http", "https"))
        if not flags.url.startswith("s3://"):
            raise BadConfigError("--endpoint_url: belongs to an s3:// URL; leave it out")
    if flags.ca_bundle:
        _check_ca_bundle(flags.ca_bundle)
    if not re.match(r"[0-9a-f]{64}$", flags.sha256):
        raise BadConfigError("--sha256={}: must be 64 hexadecimal digits; sha256sum prints them".format(flags.sha256))
    if flags.role not in contract.FETCH_ROLES:
        raise BadConfigError("--role={}: must be one of {}".format(flags.role, ", ".join(contract.FETCH_ROLES)))
    if not flags.output_dir:
        raise BadConfigError("--output_dir: must be given")
    return flags


def fetch(flags: argparse.Namespace) -> Outcome:
    """Makes the output folder hold the object of these flags; leaves it as it was when that fails.

    Raises:
        TrainerError: every anticipated failure, as its subclass; BadModelError or BadDataError after the role.
    """
    where, error = public(flags.url), ROLE_ERRORS[flags.role]
    folder = FetchFolder(Path(flags.output_dir), {"url": where, "sha256": flags.sha256})
    if folder.is_finished():
        log.info("%s: %s holds it already", where, folder.path)
        return {"outcome": contract.OUTCOME_SUCCEEDED}
    with folder.workplace() as place:
        archive, content = place / "object", place / "content"
        content.mkdir()
        log.info("%s: downloading", where)
        _download(flags, archive, error)
        log.info("%s: %s, sha256 as expected", where, share(archive.stat().st_size, None))
        try:
            if unpack(archive, content):
                archive.unlink()
                content = content_root(content)
            else:
                archive.rename(content / _base_name(where, is_encoded=not where.startswith("s3://")))
            names = folder.publish(_checked(content))
        except ArchiveError as reason:
            raise error("{}: {}; pack the files anew and give that archive's sha256".format(where, reason)) from reason
    log.info("%s: %s now holds %s", where, folder.path, ", ".join(map(ascii, names)))
    return {"outcome": contract.OUTCOME_SUCCEEDED}


def without_secrets(text: str) -> str:
    """Returns a text without the users of URLs, and without what follows a question mark, as in presigned ones."""
    return re.sub(r"\?\S+", "?...", re.sub(r"://[^/\s]*@", "://", text))


def _download(flags: argparse.Namespace, path: Path, error: Type[TrainerError]) -> None:
    where = public(flags.url)
    try:
        download(open_source(flags.url, flags.endpoint_url, flags.ca_bundle), path, flags.sha256)
    except RefusedError as reason:
        raise error("{}: {}".format(where, reason)) from reason
    except OversizeError as reason:
        message = "{}: larger than {:.0f} GB; mount a volume that holds the files instead"
        raise error(message.format(where, MAX_OBJECT_BYTES / 1e9)) from reason
    except MismatchError as reason:
        message = "{}: its sha256 is {}, expected was {}; correct the sha256, or put the right object there"
        raise error(message.format(where, reason, flags.sha256)) from reason
    except TransientError as reason:
        message = "{}: {}; check that the server is up and can be reached from this pod, then start again"
        raise StorageError(message.format(where, reason)) from reason


def _check_address(name: str, url: str, schemes: Sequence[str]) -> None:
    try:
        parts = urlsplit(url)
        given = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:
        given = False
    # argparse's messages pass through without_secrets; ours begin with the flag and must not end with its secrets
    if not given or "@" in parts.netloc:
        allowed = " or ".join(scheme + "://" for scheme in schemes)
        message = "--{}={}: must be {}, a host or bucket, and no user or password"
        raise BadConfigError(message.format(name, public(url), allowed))


def _check_ca_bundle(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as reason:
        message = "--ca_bundle={}: holds no certificate in PEM form ({}); put those of the server's authorities there"
        raise BadConfigError(message.format(path, reason.reason or reason)) from reason
    except OSError as reason:
        message = "--ca_bundle={}: {}; pass a file of PEM certificates"
        raise BadConfigError(message.format(path, reason.strerror)) from reason


def _base_name(where: str, is_encoded: bool) -> str:
    """Returns the name of a file that is no archive; raises BadConfigError when the URL has none."""
    last = where.split("://")[1].partition("/")[2].rpartition("/")[2]
    name = unquote(last) if is_encoded else last
    if PurePosixPath(name).name != name or name in ("", ".", "..", *RESERVED) or not name.isprintable():
        raise BadConfigError("--url={}: ends with no name for a file; give the URL of a file".format(where))
    return name


def _checked(content: Path) -> Path:
    """Returns the folder; raises ArchiveError when there is nothing in it, or what would be taken for our own."""
    names = content_names(content)
    if not names:
        raise ArchiveError("the archive is empty")
    for name in RESERVED:
        if name in names:
            raise ArchiveError("{!a} is a name that the download itself uses".format(name))
    return content


def _interrupt(number: int, _frame: Optional[FrameType]) -> NoReturn:
    """Ends the download wherever it is; a second signal ends the process at once."""
    signal.signal(number, signal.SIG_DFL)
    name = signal.Signals(number).name
    raise InterruptedRunError("stopped by {} before the download was complete; start it again".format(name))


class _Discreet(logging.Formatter):
    """Takes from every line, tracebacks included, what a presigned URL must not show."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
