"""Objects of S3 servers, over s3fs. Only an s3:// URL imports this: its libraries take longer to load than to use."""

import concurrent.futures
import contextlib
import http
import os
from typing import Any, Dict, Iterator
from urllib.parse import urlsplit

import aiohttp
import s3fs
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from fsspec.asyn import sync

from bert_trainer.errors import BadConfigError
from bert_trainer.fetch.source import (
    CHUNK_BYTES,
    CONNECT_SECONDS,
    SILENT_SECONDS,
    OpenAt,
    RefusedError,
    Stream,
    TransientError,
    check_status,
    failure_of,
    first_byte,
    nothing_after,
)

# Stores that take the bucket in the host name only; any other one behind an endpoint takes it in the path.
VIRTUAL_HOST_STORES = (".myhuaweicloud.com", ".aliyuncs.com")
FAILURES = (OSError, BotoCoreError, ClientError, aiohttp.ClientError, concurrent.futures.TimeoutError)


def s3_object(url: str, endpoint_url: str, ca_bundle: str) -> OpenAt:
    """Returns what opens the object of s3://bucket/key.

    Args:
        url: the object.
        endpoint_url: address of the S3 server, "" for Amazon's.
        ca_bundle: file of the certificates to trust, "" for those of the environment.

    Raises:
        BadConfigError: AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY. With neither, access is anonymous.
    """
    bucket, _, key = url[len("s3://") :].partition("/")
    store = _store(endpoint_url, ca_bundle)

    @contextlib.contextmanager
    def open_at(start: int) -> Iterator[Stream]:
        part = {"Range": "bytes={}-".format(start)} if start else {}
        with contextlib.ExitStack() as stack:
            try:
                answer = store.call_s3("get_object", Bucket=bucket, Key=key, **part)
            except FAILURES as error:
                yield _end_or_raise(error, start)
                return
            stack.callback(answer["Body"].close)
            first = first_byte(answer["ContentRange"]) if "ContentRange" in answer else 0
            yield Stream(first, first + answer["ContentLength"], _chunks(store, answer["Body"]))

    return open_at


def client_options(endpoint_url: str) -> Dict[str, Any]:
    """Returns the options of botocore's client (botocore.config.Config)."""
    host = urlsplit(endpoint_url).hostname or ""
    style = {"s3": {"addressing_style": "virtual"}} if host.endswith(VIRTUAL_HOST_STORES) else {}
    # Not tried again here: transfer.py does, and says so.
    return {"connect_timeout": CONNECT_SECONDS, "read_timeout": SILENT_SECONDS, "retries": {"max_attempts": 0}, **style}


def _store(endpoint_url: str, ca_bundle: str) -> s3fs.S3FileSystem:
    given = [bool(os.environ.get(name)) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    if given == [True, False]:
        raise BadConfigError("AWS_ACCESS_KEY_ID is set but AWS_SECRET_ACCESS_KEY is not; put both into the secret")
    store = s3fs.S3FileSystem(
        anon=not all(given),
        client_kwargs={"endpoint_url": endpoint_url or None, "verify": ca_bundle or None},
        config_kwargs=client_options(endpoint_url),
        skip_instance_cache=True,
    )
    store.retries = 1
    return store


def _end_or_raise(error: BaseException, start: int) -> Stream:
    """Returns the stream of an object that ends at `start`, which S3 calls an error; raises for every other one."""
    if isinstance(error, ParamValidationError):
        raise RefusedError("is no name that a bucket or an object can have; correct the URL") from None
    answer = getattr(error.__cause__ or error, "response", None)
    if answer is None:
        raise failure_of(error) from None
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    if start and status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return nothing_after(start)
    check_status(status, str(answer.get("Error", {}).get("Code", "")))
    raise TransientError("answered {} without the object".format(status)) from None


def _chunks(store: s3fs.S3FileSystem, body: Any) -> Iterator[bytes]:
    try:
        yield from iter(lambda: sync(store.loop, body.read, CHUNK_BYTES), b"")
    except FAILURES as error:
        raise failure_of(error) from None
