"""Downloads from a real S3 server, and reasons in the words of the machine's own resolver."""

import contextlib
import gc
import logging
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Dict, Iterator, Optional

import pytest
import s3fs

from bert_trainer.fetch.source import RefusedError, TransientError
from bert_trainer.fetch.transfer import MismatchError, download, open_source
from support.trainer.authority import make_authority
from support.trainer.downloads import KEYS, digest
from support.trainer.object_server import cut_line
from support.trainer.places import PROJECT

pytestmark = pytest.mark.usefixtures("at_once")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_reasons_are_the_operating_system_s(tmp_path: Path) -> None:
    for url, words in (
        (f"http://127.0.0.1:{free_port()}/a?secret", "Connection refused"),
        ("http://no-such-host.invalid/a?secret", "(Name or service not known|Temporary failure in name resolution)"),
    ):
        with pytest.raises(TransientError, match=f"^{words}") as failure:
            download(open_source(url, ""), tmp_path / "object", "0" * 64)
        assert "secret" not in str(failure.value)


# S3: a real server.


class Store:
    """A running S3 server with one bucket."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.content = os.urandom(3_000_000)
        self.owner = s3fs.S3FileSystem(
            key=KEYS["AWS_ACCESS_KEY_ID"],
            secret=KEYS["AWS_SECRET_ACCESS_KEY"],
            client_kwargs={"endpoint_url": self.endpoint},
            skip_instance_cache=True,
        )

    def fill(self) -> None:
        self.owner.mkdir("bucket")
        self.owner.pipe_file("bucket/data/an object.zip", self.content)

    def fetched(self, folder: Path, url: str = "s3://bucket/data/an object.zip", port: Optional[int] = None) -> bytes:
        endpoint = f"http://127.0.0.1:{port or self.port}"
        try:
            download(open_source(url, endpoint), folder / "object", digest(self.content))
        finally:
            gc.collect()  # s3fs waits five seconds for itself when a client of old is collected by a new one's thread
        return (folder / "object").read_bytes()


@contextlib.contextmanager
def running_store(folder: Path, *options: str) -> Iterator[int]:
    """Gives the port of an S3 server."""
    program, port = PROJECT / ".build" / "bin" / "versitygw", free_port()
    for name in ("objects", "metadata"):
        (folder / name).mkdir()
    # The metadata lie beside the objects: not every file system has extended attributes.
    backend = ["posix", "--sidecar", str(folder / "metadata"), str(folder / "objects")]
    environment = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
    command = [str(program), "--quiet", f"--port=127.0.0.1:{port}", *options, *backend]
    with (folder / "log").open("w") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as gate:
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            else:
                pytest.fail((folder / "log").read_text())
            yield port
        finally:
            gate.terminate()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("s3")) as port:
        store = Store(port)
        store.fill()
        yield store


@pytest.fixture
def _keys(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - it takes keys away
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("_keys")
def test_an_object_of_s3(store: Store, tmp_path: Path) -> None:
    assert store.fetched(tmp_path) == store.content


@pytest.mark.usefixtures("_keys")
def test_an_object_of_s3_over_a_bad_line(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with cut_line(store.port, [50, 1_000_000, 900_000]) as line, caplog.at_level(logging.WARNING):
        assert store.fetched(tmp_path, port=line) == store.content
    places = [int(record.args[1]) for record in caplog.records if "going on" in record.message]
    assert len(places) == 3
    assert 0 == places[0] < places[1] < places[2]


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/none", "answered 404 Not Found NoSuchKey; correct the URL"),
        ("s3://no-such-bucket/none", "answered 404 Not Found NoSuchBucket; correct the URL"),
        ("s3://NO_BUCKET!/none", "is no name that a bucket or an object can have; correct the URL"),
    ],
)
def test_what_is_not_in_the_store(store: Store, tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        store.fetched(tmp_path, url)


@pytest.mark.usefixtures("_keys")
def test_another_object_in_the_store(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MismatchError, match=digest(store.content)):
        download(open_source("s3://bucket/data/an object.zip", store.endpoint), tmp_path / "o", "0" * 64)


@pytest.mark.parametrize("keys", [{}, {**KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"}, {**KEYS, "AWS_ACCESS_KEY_ID": "no"}])
def test_without_the_right_keys(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: Dict[str, str]
) -> None:
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        RefusedError, match=r"answered (403 Forbidden \w+; .*check the access key|404 Not Found XAdminUserNotFound)"
    ):
        store.fetched(tmp_path)


def test_a_public_object_needs_no_keys(store: Store, tmp_path: Path) -> None:
    statement = '{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::open/*"}'
    store.owner.mkdir("open")
    store.owner.pipe_file("open/object", store.content)
    store.owner.call_s3("put_bucket_policy", Bucket="open", Policy=f'{{"Statement": [{statement}]}}')
    assert store.fetched(tmp_path, "s3://open/object") == store.content


@pytest.mark.usefixtures("_keys")
def test_a_store_with_a_private_authority(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    tls = [f"--cert={authority.certificate}", f"--key={authority.key}"]
    with running_store(tmp_path, *tls) as port:
        endpoint, url = f"https://127.0.0.1:{port}", "s3://bucket/object"
        owner = s3fs.S3FileSystem(
            key=KEYS["AWS_ACCESS_KEY_ID"],
            secret=KEYS["AWS_SECRET_ACCESS_KEY"],
            client_kwargs={"endpoint_url": endpoint, "verify": str(authority.bundle)},
            skip_instance_cache=True,
        )
        owner.mkdir("bucket")
        owner.pipe_file("bucket/object", b"content")
        download(open_source(url, endpoint, str(authority.bundle)), tmp_path / "o", digest(b"content"))
        assert (tmp_path / "o").read_bytes() == b"content"
        with pytest.raises(TransientError, match=r"certificate.*with --ca_bundle"):
            download(open_source(url, endpoint), tmp_path / "p", digest(b"content"))


def test_a_store_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match=r"Connect call failed|Connection refused"):
        download(open_source("s3://bucket/key", f"http://127.0.0.1:{free_port()}"), tmp_path / "o", "0" * 64)
