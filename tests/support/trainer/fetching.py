"""What tests of the download step share: a server with an archive, the step's flags, and what became of its folder."""

import hashlib
import io
import json
import signal
import socket
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from bert_trainer.fetch import __main__ as fetch
from bert_trainer.fetch import transfer
from bert_trainer.fetch.folder import RECORD
from support.trainer.object_server import ObjectServer

Flags = Callable[..., List[str]]
MRPC = {"train.tsv": b"Quality\t#1 String\n", "dev.tsv": b"1\ta\n"}


def tar_gz(files: Dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(files: Dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def below(folder: str, files: Dict[str, bytes]) -> Dict[str, bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing waits, nothing goes through a proxy, and pytest's signals come back."""
    monkeypatch.setattr(transfer, "FIRST_PAUSE_SECONDS", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    before = {number: signal.getsignal(number) for number in fetch.SIGNALS}
    monkeypatch.setattr(socket.socket, "connect", socket.socket.connect)  # which the download step guards
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer() as server:
        server.content = tar_gz(below("MRPC", MRPC))
        yield server


@pytest.fixture
def flags(server: ObjectServer, tmp_path: Path) -> Flags:
    """Returns the flags that fetch the server's object for the data; keyword arguments replace them."""

    def make(path: str = "/glue/MRPC.tar.gz?signature=secret", **changes: object) -> List[str]:
        values: Dict[str, Any] = {
            "url": server.url + path,
            "sha256": hashlib.sha256(server.content).hexdigest(),
            "output_dir": tmp_path / "data",
            "role": "data",
            "termination_log": tmp_path / "log",
            **changes,
        }
        return [f"--{name}={value}" for name, value in values.items() if value is not None]

    return make


def tree(folder: Path) -> Dict[str, bytes]:
    """Returns the files, all but the record of the download."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != RECORD
    }


def failure(tmp_path: Path) -> Dict[str, str]:
    return json.loads((tmp_path / "log").read_text())
