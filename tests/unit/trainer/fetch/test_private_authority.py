"""Downloads by TLS from a server whose certificate authority only --ca_bundle knows."""

import re
from pathlib import Path
from typing import Callable, Dict, Iterator

import pytest

from bert_trainer import contract
from bert_trainer.fetch import __main__ as fetch
from bert_trainer.fetch import transfer
from support.trainer.authority import Authority, make_authority
from support.trainer.fetching import MRPC, Flags, below, failure, tar_gz, tree
from support.trainer.object_server import ObjectServer

pytestmark = pytest.mark.usefixtures("as_before")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("another"))


@pytest.fixture
def server(authority: Authority) -> Iterator[ObjectServer]:
    with ObjectServer(authority) as server:
        server.content = tar_gz(below("MRPC", MRPC))
        yield server


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "RETRIES", 1)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_bundle_that_knows_the_authority(flags: Flags, authority: Authority, tmp_path: Path) -> None:
    assert fetch.main(flags(ca_bundle=authority.bundle)) == 0
    assert tree(tmp_path / "data") == MRPC


def test_a_bundle_of_several_authorities_with_words_between_them(
    flags: Flags, authority: Authority, another: Authority, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("the office\n" + another.bundle.read_text() + "\n# the lab\n" + authority.bundle.read_text())
    assert fetch.main(flags(ca_bundle=bundle)) == 0


def test_the_bundle_comes_before_the_environment_s(
    flags: Flags, authority: Authority, another: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(another.bundle))
    assert fetch.main(flags(ca_bundle=authority.bundle)) == 0


@pytest.mark.parametrize("bundle", [None, "another"])
def test_an_authority_that_is_not_known(flags: Flags, another: Authority, tmp_path: Path, bundle: str) -> None:
    assert fetch.main(flags(ca_bundle=another.bundle if bundle else None)) == contract.EXIT_STORAGE
    words = r"certificate.*; pass its authority's certificates with --ca_bundle \(uri.caBundle\)"
    assert re.search(words, failure(tmp_path)["message"])
    assert tree(tmp_path / "data") == {}


NO_BUNDLES: Dict[str, Callable[[Authority], bytes]] = {
    "words": lambda _: b"not a certificate",
    "nothing": lambda _: b"",
    "bytes": lambda _: bytes(range(256)),
    "a key": lambda authority: authority.key.read_bytes(),
    "half a certificate": lambda authority: authority.bundle.read_bytes()[:200],
}


@pytest.mark.parametrize("kind", [*NO_BUNDLES, "no file", "a folder"])
def test_what_is_no_bundle_is_refused_before_anything_is_asked(
    server: ObjectServer, flags: Flags, authority: Authority, tmp_path: Path, kind: str
) -> None:
    path = tmp_path if kind == "a folder" else tmp_path / "ca.crt"
    if kind in NO_BUNDLES:
        path.write_bytes(NO_BUNDLES[kind](authority))
    assert fetch.main(flags(ca_bundle=path)) == contract.EXIT_BAD_CONFIG
    message = rf"^--ca_bundle={path}: (holds no certificate in PEM form|No such file|Is a directory).*; (put|pass) "
    assert re.search(message, failure(tmp_path)["message"])
    assert server.requests == []
    assert not (tmp_path / "data").exists()
