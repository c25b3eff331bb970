"""Downloads from web servers that drop connections, lie, redirect and refuse."""

import logging
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from bert_trainer.errors import BadConfigError
from bert_trainer.fetch import http_source, s3_source, source
from bert_trainer.fetch import transfer as room
from bert_trainer.fetch.source import RefusedError, TransientError, first_byte, public, reason_of
from bert_trainer.fetch.transfer import MismatchError, OversizeError, download, open_source, share
from support.trainer.downloads import digest
from support.trainer.object_server import Answer, ObjectServer

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer() as server:
        yield server


def fetched(server: ObjectServer, folder: Path, path: str = "/object") -> bytes:
    download(open_source(server.url + path, ""), folder / "object", digest(server.content))
    return (folder / "object").read_bytes()


# Networks and servers that fail, and what is asked of them.

SCRIPTS: Dict[str, Any] = {
    "a good day": ([], [None]),
    "two drops": ([Answer(cut=1000), Answer(cut=50)], [None, "bytes=1000-", "bytes=1050-"]),
    "a drop before the first byte": ([Answer(cut=0)], [None, None]),
    "a server without ranges": ([Answer(cut=1000), Answer(ranges=False)], [None, "bytes=1000-"]),
    "a server that misses the range": ([Answer(cut=1000), Answer(shift=7)], [None, "bytes=1000-", None]),
    "a length that is too large": ([Answer(length=10**9)], [None]),
    "no length": ([Answer(length="none")], [None]),
    "no length and a drop": ([Answer(length="none", cut=9)], [None, "bytes=9-"]),
    "chunks": ([Answer(chunked=True)], [None]),
    "chunks and a drop": ([Answer(chunked=True, cut=70)], [None, "bytes=70-"]),
    "a length that is no number": ([Answer(length="many", cut=8)], [None, "bytes=8-"]),
    "a restart": ([Answer(503), Answer(502), Answer(429)], [None, None, None, None]),
    "a restart in the middle": ([Answer(cut=5), Answer(500)], [None, "bytes=5-", "bytes=5-"]),
    "redirects": ([Answer(location="{}/a"), Answer(301, location="{}/b")], [None, None, None]),
    "a redirect of the rest": (
        [Answer(cut=5), Answer(location="{}/a"), Answer()],
        [None, "bytes=5-", "bytes=5-"],
    ),
    "a content that is said to be compressed": ([Answer(encoding="gzip")], [None]),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_object_arrives_whole(server: ObjectServer, tmp_path: Path, name: str) -> None:
    server.script, ranges = list(SCRIPTS[name][0]), SCRIPTS[name][1]
    assert fetched(server, tmp_path) == server.content
    assert server.ranges == ranges


def test_a_silent_server_is_asked_again(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http_source, "SILENT_SECONDS", 0.3)
    server.script = [Answer(hang=60)]
    with caplog.at_level(logging.WARNING):
        assert fetched(server, tmp_path) == server.content
    assert "read timeout error; going on at byte" in caplog.text


def test_a_reset_in_the_middle(server: ObjectServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server.script = [Answer(cut=50_000, reset=True)]
    with caplog.at_level(logging.WARNING):
        assert fetched(server, tmp_path) == server.content
    assert "Connection reset by peer; going on at byte" in caplog.text


@pytest.mark.parametrize(
    ("answer", "attempts", "message"),
    [
        (Answer(503), room.RETRIES + 1, "^answered 503 Service Unavailable$"),
        (Answer(cut=0), room.RETRIES + 1, "^the connection ended after 0 of 102400 bytes$"),
        (Answer(ranges=False, cut=1000), room.RETRIES + 1, "^the connection ended after 1000 of 102400 bytes$"),
        (Answer(ranges=False, cut=1000, chunked=True), room.RETRIES + 1, "^protocol error$"),
    ],
)
def test_patience_ends(server: ObjectServer, tmp_path: Path, answer: Answer, attempts: int, message: str) -> None:
    server.otherwise = answer
    with pytest.raises(TransientError, match=message):
        fetched(server, tmp_path)
    assert len(server.requests) == attempts


def test_a_bad_line_that_gets_on_is_not_given_up(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PROGRESS_BYTES", 1000)
    server.otherwise = Answer(cut=5000)
    assert fetched(server, tmp_path) == server.content
    assert len(server.requests) == 21


def test_pauses_double(server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: List[float] = []
    monkeypatch.setattr(room, "FIRST_PAUSE_SECONDS", 1.0)
    monkeypatch.setattr(time, "sleep", pauses.append)
    server.otherwise = Answer(500)
    with pytest.raises(TransientError):
        fetched(server, tmp_path)
    assert pauses == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 204, 304])
def test_a_refusal_is_final(server: ObjectServer, tmp_path: Path, status: int) -> None:
    server.otherwise = Answer(status)
    remedy = "check the access key" if status in (401, 403) else "correct the URL"
    with pytest.raises(RefusedError, match=f"answered {status} .*; .*{remedy}"):
        fetched(server, tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/a?key", "file:///etc/passwd", "http://[/", "s3://bucket/a"])
def test_redirects_lead_to_web_servers_only(server: ObjectServer, tmp_path: Path, location: str) -> None:
    server.otherwise = Answer(location=location)
    with pytest.raises(RefusedError, match=r"^leads to an address that is neither http:// nor https://; correct"):
        fetched(server, tmp_path)


def test_redirects_end(server: ObjectServer, tmp_path: Path) -> None:
    server.otherwise = Answer(location="{}/again")
    with pytest.raises(RefusedError, match="redirects more than 5 times; give the final address"):
        fetched(server, tmp_path)
    assert len(server.requests) == 6


WRONG: Dict[str, Any] = {
    "another object": ([Answer()], 1),
    "a length that is too small": ([Answer(length=1000)], 1),
    "no length, so it is asked for more": ([Answer(length="none")], 2),
    "no length and no ranges": ([Answer(length="none", ranges=False)] * 2, 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_another_object_is_no_reason_to_try_again(server: ObjectServer, tmp_path: Path, name: str) -> None:
    server.script, requests = list(WRONG[name][0]), WRONG[name][1]
    received = server.content[:1000] if "small" in name else server.content
    with pytest.raises(MismatchError, match=digest(received)):
        download(open_source(server.url, ""), tmp_path / "object", "0" * 64)
    assert len(server.requests) == requests


@pytest.mark.parametrize("answer", [Answer(), Answer(length="none"), Answer(length=1 << 50), Answer(chunked=True)])
def test_an_object_that_is_too_large(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(room, "MAX_OBJECT_BYTES", len(server.content) - 1)
    server.otherwise = answer
    with pytest.raises(OversizeError):
        fetched(server, tmp_path)
    assert len(server.requests) == 1
    assert (tmp_path / "object").stat().st_size < len(server.content)


def test_reasons_in_words() -> None:
    assert reason_of(ConnectionResetError(104, "Connection reset by peer")) == "Connection reset by peer"
    assert reason_of(RuntimeError("https://a/b?secret", OSError(5, "Input/output error"))) == "Input/output error"
    assert reason_of(RuntimeError("https://a/b?secret")) == "runtime error"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/b/c.zip?X-Amz-Signature=1#x", "https://a.example/b/c.zip"),
        ("https://me:secret@a.example/b", "https://a.example/b"),
        ("https://a.example?secret@b/c", "https://a.example"),
        ("s3://bucket/a/b?secret", "s3://bucket/a/b"),
    ],
)
def test_what_of_a_url_is_public(url: str, shown: str) -> None:
    assert public(url) == shown


def test_progress_in_words() -> None:
    assert share(45_000_000, 90_000_000) == "50%, 45.0 of 90.0 MB"
    assert share(45_000_000, None) == share(45_000_000, 1000) == "45.0 MB"


def test_progress_in_the_log(
    server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "LOG_SECONDS", 0.0)
    with caplog.at_level(logging.INFO):
        fetched(server, tmp_path)
    assert "100%, 0.1 of 0.1 MB, " in caplog.text
    assert caplog.text.rstrip().endswith("MB/s")


@pytest.mark.parametrize("header", ["", "bytes", "bytes */5", "bytes -5/7", "lines 1-2/3"])
def test_a_part_that_is_not_named(header: str) -> None:
    with pytest.raises(TransientError, match="unnamed part"):
        first_byte(header)
    assert first_byte("bytes 12-34/*") == 12


def test_half_of_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    with pytest.raises(BadConfigError, match="AWS_SECRET_ACCESS_KEY is not; put both into the secret"):
        open_source("s3://bucket/key", "")


def test_where_the_bucket_stands() -> None:
    assert "s3" not in s3_source.client_options("")
    assert "s3" not in s3_source.client_options("http://minio.minio.svc:9000")
    virtual = {"addressing_style": "virtual"}
    assert s3_source.client_options("https://obs.cn-north-4.myhuaweicloud.com")["s3"] == virtual


@pytest.mark.parametrize("status", sorted(source.PASSING_STATUSES))
def test_statuses_that_pass(status: int) -> None:
    with pytest.raises(TransientError):
        source.check_status(status)
