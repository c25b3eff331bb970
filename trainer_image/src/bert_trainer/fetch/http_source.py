"""Objects of web servers, over requests: fsspec's own file system wants a HEAD first, which presigned URLs refuse."""

import contextlib
import http
import re
from typing import Any, Iterator, Optional

import requests
import urllib3

from bert_trainer import __version__
from bert_trainer.fetch.source import (
    CHUNK_BYTES,
    CONNECT_SECONDS,
    SILENT_SECONDS,
    OpenAt,
    RefusedError,
    Stream,
    check_status,
    failure_of,
    first_byte,
    nothing_after,
)

MAX_REDIRECTS = 5
HEADERS = {
    "User-Agent": "bert-trainer/" + __version__,
    "Accept-Encoding": "identity",  # the checksum is that of the object, not of what it was compressed to on the way
}


def http_object(url: str, ca_bundle: str) -> OpenAt:
    """Returns what opens the object of an http(s) URL; proxies are those of the environment.

    Args:
        url: the object.
        ca_bundle: file of the certificates to trust, "" for those of the environment.
    """
    session = requests.Session()
    session.max_redirects = MAX_REDIRECTS
    session.headers.update(HEADERS)

    @contextlib.contextmanager
    def open_at(start: int) -> Iterator[Stream]:
        with _answer(session, url, start, ca_bundle) as response:
            yield _stream(response, start)

    return open_at


def _answer(session: requests.Session, url: str, start: int, ca_bundle: str) -> requests.Response:
    headers = {"Range": "bytes={}-".format(start)} if start else {}
    # An argument of the call comes before REQUESTS_CA_BUNDLE, one of the session does not.
    options: Any = {"stream": True, "timeout": (CONNECT_SECONDS, SILENT_SECONDS), "verify": ca_bundle or None}
    try:
        return session.get(url, headers=headers, **options)
    except requests.TooManyRedirects:
        raise RefusedError("redirects more than {} times; give the final address".format(MAX_REDIRECTS)) from None
    except ValueError:  # InvalidURL and InvalidSchema of requests, and the standard library's own
        raise RefusedError("leads to an address that is neither http:// nor https://; correct the URL") from None
    except requests.RequestException as error:
        raise failure_of(error) from None


def _stream(response: requests.Response, start: int) -> Stream:
    status: Any = response.status_code
    if start and status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return nothing_after(start)
    check_status(status)
    first = 0
    if status == http.HTTPStatus.PARTIAL_CONTENT:
        first = first_byte(response.headers.get("Content-Range", ""))
    length = _number(response.headers.get("Content-Length", ""))
    return Stream(first, None if length is None else first + length, _chunks(response.raw))


def _chunks(raw: Any) -> Iterator[bytes]:
    try:
        yield from raw.stream(CHUNK_BYTES, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise failure_of(error) from None


def _number(text: str) -> Optional[int]:
    return int(text) if re.match(r"\d{1,18}$", text) else None
