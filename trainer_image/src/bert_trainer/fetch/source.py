"""What a server says of an object, and how it fails, told without any secret.

Presigned URLs carry credentials in their query, and the messages of the libraries quote URLs; so no message of theirs
is ever passed on, only the operating system's words beneath it.
"""

import http
import re
import ssl
from typing import Callable, ContextManager, Iterator, NamedTuple, Optional

from bert_trainer.fetch.guard import ForbiddenAddressError

CHUNK_BYTES = 256 << 10
CONNECT_SECONDS, SILENT_SECONDS = 10, 30  # how long to wait for a connection, and for the next byte
PASSING_STATUSES = (408, 425, 429)  # and all from 500
NEEDS_PERMISSION = (401, 403, 407)
UNKNOWN_AUTHORITY = (
    ": its certificate is not trusted; pass its authority's certificates with --ca_bundle (uri.caBundle)"
)


class Stream(NamedTuple):
    """The bytes of an object from `start` on; `total` is what the server says of the whole, None when it is silent."""

    start: int
    total: Optional[int]
    chunks: Iterator[bytes]


OpenAt = Callable[[int], ContextManager[Stream]]
"""Opens an object at a byte. Raises TransientError and RefusedError, also while the chunks are taken."""


class TransientError(Exception):
    """The network or the server failed in a way that may pass."""


class RefusedError(Exception):
    """The server will not give the object, however often it is asked."""


def public(url: str) -> str:
    """Returns a URL without user, query and fragment, as it may be logged."""
    return re.sub(r"^(\w+://)[^/]*@", r"\1", re.split(r"[?#]", url)[0])


def nothing_after(start: int) -> Stream:
    """Returns what a server means that has no byte at `start`: the bytes before are all of them."""
    return Stream(start, start, iter(()))


def first_byte(content_range: str) -> int:
    """Returns the place of a partial answer (HTTP's Content-Range); raises TransientError when it names none."""
    given = re.match(r"bytes (\d{1,18})-", content_range)
    if not given:
        raise TransientError("answered with an unnamed part of the object")
    return int(given.group(1))


def check_status(status: int, detail: str = "") -> None:
    """Raises TransientError or RefusedError unless an HTTP status says that the object follows.

    The detail is the server's; of its characters, those of a word reach the message.
    """
    if status in (http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT):
        return
    phrases = {known.value: known.phrase for known in http.HTTPStatus}
    words = ("answered", str(status), phrases.get(status, ""), re.sub(r"\W", "", detail)[:64])
    answer = " ".join(word for word in words if word)
    if status in PASSING_STATUSES or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TransientError(answer)
    permission = "make the object readable, check the access key, or renew the URL"
    raise RefusedError("{}; {}".format(answer, permission if status in NEEDS_PERMISSION else "correct the URL"))


def failure_of(error: BaseException) -> Exception:
    """Returns what to raise for a library's error: RefusedError where the way was barred here, else TransientError."""
    barred = any(isinstance(cause, ForbiddenAddressError) for cause in _causes(error))
    return RefusedError(reason_of(error) + "; correct the URL") if barred else TransientError(reason_of(error))


def reason_of(error: BaseException) -> str:
    """Returns the operating system's words for a failure, else the error's kind as words."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):  # aiohttp's has none
            return str(cause.verify_message) + UNKNOWN_AUTHORITY
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return str(cause.strerror)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()  # ReadTimeoutError: read timeout error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and all that led to it; urllib3 hides them in `reason` and among the arguments, too."""
    waiting, seen = [error], set()
    while waiting:
        current = waiting.pop(0)
        if id(current) not in seen:
            seen.add(id(current))
            yield current
            near = (getattr(current, "reason", None), current.__cause__, current.__context__, *current.args)
            waiting.extend(cause for cause in near if isinstance(cause, BaseException))
