"""The download step as the init container runs it: from flags to a folder, an exit code and a message."""

import gzip
import hashlib
import json
import re
import socket
from pathlib import Path
from typing import Any, Dict, List

import pytest

from bert_trainer import contract
from bert_trainer.fetch import __main__ as fetch
from bert_trainer.fetch import folder, transfer
from bert_trainer.fetch.__main__ import parse, without_secrets
from bert_trainer.fetch.folder import RECORD, WORK
from support.trainer.fetching import MRPC, Flags, below, failure, tar_gz, tree, zipped
from support.trainer.object_server import Answer, ObjectServer

pytestmark = pytest.mark.usefixtures("as_before")

CONTENTS: Dict[str, Any] = {
    "one folder": (tar_gz(below("MRPC", MRPC)), MRPC),
    "one folder in a zip": (zipped(below("uncased_L-12_H-768_A-12", MRPC)), MRPC),
    "one folder and a Mac's": (zipped({**below("MRPC", MRPC), "__MACOSX/MRPC/._dev.tsv": b"x"}), MRPC),
    "one folder and a Mac's in a tar": (
        tar_gz(
            {
                "./._MRPC": b"x",
                ".DS_Store": b"x",
                "./MRPC/._train.tsv": b"x",
                "MRPC/.DS_Store": b"x",
                **below("MRPC", MRPC),
            }
        ),
        MRPC,
    ),
    "no folder, and a Mac's": (
        zipped({"._train.tsv": b"x", ".DS_Store": b"x", "__MACOSX/._dev.tsv": b"x", **MRPC}),
        MRPC,
    ),
    "a Mac's folders": (tar_gz({"._a/b": b"x", "a/__MACOSX/b": b"x", "a/b/.DS_Store": b"x", **below("a", MRPC)}), MRPC),
    "names that only look like a Mac's": (tar_gz({"a/.x": b"1", "a/DS_Store": b"2"}), {".x": b"1", "DS_Store": b"2"}),
    "no folder": (zipped(MRPC), MRPC),
    "two folders": (tar_gz({"a/x": b"1", "b/y": b"2"}), {"a/x": b"1", "b/y": b"2"}),
    "a folder and a file": (tar_gz({"a/x": b"1", "y": b"2"}), {"a/x": b"1", "y": b"2"}),
    "a folder in a folder": (tar_gz({"a/b/x": b"1"}), {"b/x": b"1"}),
    "one file": (tar_gz({"train.tsv": b"1"}), {"train.tsv": b"1"}),
    "no archive": (b"[PAD]\n", {"vocab ä.txt": b"[PAD]\n"}),
    "no archive, compressed": (gzip.compress(b"[PAD]\n"), {"vocab ä.txt": gzip.compress(b"[PAD]\n")}),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_stands_in_the_folder(server: ObjectServer, flags: Flags, tmp_path: Path, name: str) -> None:
    server.content, files = CONTENTS[name]
    assert fetch.main(flags("/a/vocab%20%C3%A4.txt?signature=secret")) == 0
    assert tree(tmp_path / "data") == files
    assert not (tmp_path / "log").exists()
    assert not (tmp_path / "data" / WORK).exists()


def test_a_second_start_does_nothing(server: ObjectServer, flags: Flags, tmp_path: Path) -> None:
    assert fetch.main(flags()) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    server.otherwise = Answer(500)
    assert fetch.main(flags()) == 0
    assert fetch.main(flags(sha256=hashlib.sha256(server.content).hexdigest().upper())) == 0
    assert len(server.requests) == 1
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_another_object_is_not_put_over_it(server: ObjectServer, flags: Flags, tmp_path: Path) -> None:
    assert fetch.main(flags()) == 0
    server.content = tar_gz({"train.tsv": b"other"})
    assert fetch.main(flags()) == contract.EXIT_BAD_CONFIG
    assert re.search(r"data: holds http://.*/MRPC.tar.gz \(sha256 .*choose an empty", failure(tmp_path)["message"])
    assert tree(tmp_path / "data") == MRPC


def test_a_folder_of_somebody_s(flags: Flags, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis").write_text("mine")
    assert fetch.main(flags()) == contract.EXIT_BAD_CONFIG
    assert failure(tmp_path)["message"].endswith("data: holds 'thesis' already; choose an empty folder")
    assert tree(tmp_path / "data") == {"thesis": b"mine"}


def test_the_root_of_a_volume_is_empty(flags: Flags, tmp_path: Path) -> None:
    (tmp_path / "data" / "lost+found").mkdir(parents=True)
    assert fetch.main(flags()) == 0
    assert tree(tmp_path / "data") == MRPC


def test_a_folder_that_a_mac_has_looked_into_is_empty(flags: Flags, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".DS_Store").write_bytes(b"x")
    assert fetch.main(flags()) == 0
    assert tree(tmp_path / "data") == {**MRPC, ".DS_Store": b"x"}


@pytest.mark.parametrize("moved", [0, 1])
def test_a_kill_while_files_are_moved_in(
    flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    """What a killed process has left is cleared away by the next one, not taken for complete."""
    renames: List[Path] = []
    rename = Path.rename

    def rename_or_die(path: Path, target: Path) -> None:
        if len(renames) == moved:
            raise KeyboardInterrupt
        renames.append(target)
        rename(path, target)

    with monkeypatch.context() as killed:
        killed.setattr(Path, "rename", rename_or_die)
        killed.setattr(folder, "_remove", lambda _path: None)  # a killed process clears nothing away
        with pytest.raises(KeyboardInterrupt):
            fetch.main(flags())
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [RECORD, WORK, "dev.tsv"][: 2 + moved]
    assert fetch.main(flags()) == 0
    assert tree(tmp_path / "data") == MRPC
    assert not (tmp_path / "data" / WORK).exists()


# Failures: exit code, class, message; the folder is as it was before.


def failed(tmp_path: Path, arguments: List[str], exit_code: int, message: str) -> None:
    assert fetch.main(arguments) == exit_code
    said = failure(tmp_path)
    assert (said["outcome"], said["class"]) == ("Failed", contract.EXIT_CLASSES[exit_code])
    assert re.search(message, said["message"]), said["message"]
    assert "secret" not in json.dumps(said)
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


ROLES = pytest.mark.parametrize(
    ("role", "code"), [("data", contract.EXIT_BAD_DATA), ("model", contract.EXIT_BAD_MODEL)]
)


@ROLES
def test_another_checksum(server: ObjectServer, flags: Flags, tmp_path: Path, role: str, code: int) -> None:
    got, expected = hashlib.sha256(server.content).hexdigest(), "0" * 64
    failed(
        tmp_path,
        flags(role=role, sha256=expected),
        code,
        f"^http://127.0.0.1:[0-9]+/glue/MRPC.tar.gz: its sha256 is {got}, expected was {expected}; correct the sha256, "
        "or put the right object there$",
    )


@ROLES
@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_the_server_refuses(  # noqa: PLR0917 a table's columns
    server: ObjectServer, flags: Flags, tmp_path: Path, role: str, code: int, status: int
) -> None:
    server.otherwise = Answer(status)
    failed(tmp_path, flags(role=role), code, rf"^http://127.0.0.1:\d+/glue/MRPC.tar.gz: answered {status} [\w ]+; ")


METADATA = "169.254.169.254"
"""The address that most clouds give a node's credentials away at."""


def barred(tmp_path: Path, arguments: List[str]) -> None:
    failed(tmp_path, arguments, contract.EXIT_BAD_DATA, f": leads to {METADATA}, where no download may go; correct the")


@pytest.mark.parametrize("host", [METADATA, "2852039166", "0xa9fea9fe", f"[::ffff:{METADATA}]"])
def test_metadata_services_are_out_of_reach(flags: Flags, tmp_path: Path, host: str) -> None:
    failed(tmp_path, flags(url=f"http://{host}/latest/meta-data"), contract.EXIT_BAD_DATA, "where no download may go")


def test_a_redirect_leads_to_no_metadata_service(server: ObjectServer, flags: Flags, tmp_path: Path) -> None:
    server.otherwise = Answer(location=f"http://{METADATA}/latest/meta-data")
    barred(tmp_path, flags())
    assert len(server.requests) == 1


def test_a_name_leads_to_no_metadata_service(flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (METADATA, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved)
    barred(tmp_path, flags(url="http://innocent.example/MRPC.tar.gz"))


@pytest.mark.parametrize("host", [METADATA, "innocent.example"])
def test_an_s3_endpoint_is_no_metadata_service(
    flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    resolved = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (METADATA, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: resolved)
    barred(tmp_path, flags(url="s3://bucket/MRPC.tar.gz", endpoint_url=f"http://{host}"))


@ROLES
def test_hostile_archives(server: ObjectServer, flags: Flags, tmp_path: Path, role: str, code: int) -> None:
    server.content = tar_gz({"good": b"1", "../../evil": b"2"})
    failed(
        tmp_path,
        flags(role=role),
        code,
        r"/glue/MRPC.tar.gz: '\.\./\.\./evil' leads out of the folder; pack the files anew and give that archive's",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "log"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({}), "the archive is empty"),
        (zipped({"__MACOSX/a": b"1"}), "the archive is empty"),
        (tar_gz({"._a": b"1", "b/.DS_Store": b"1"}), "the archive is empty"),
        (tar_gz({RECORD: b"{}", "a": b"1"}), "'.fetched.json' is a name that the download itself uses"),
        (tar_gz({f"a/{WORK}/b": b"{}"}), "'.fetching' is a name that the download itself uses"),
        (tar_gz(MRPC)[:-30], "the archive is damaged"),
    ],
    ids=["nothing", "nothing but a Mac's", "nothing but a Mac's in a tar", "a record", "a workplace", "damage"],
)
def test_useless_archives(server: ObjectServer, flags: Flags, tmp_path: Path, content: bytes, message: str) -> None:
    server.content = content
    failed(tmp_path, flags(), contract.EXIT_BAD_DATA, message)


def test_an_object_that_is_too_large(flags: Flags, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MAX_OBJECT_BYTES", 10)
    failed(tmp_path, flags(), contract.EXIT_BAD_DATA, "larger than [0-9]+ GB; mount a volume")


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_in_trouble(server: ObjectServer, flags: Flags, tmp_path: Path, status: int) -> None:
    server.otherwise = Answer(status)
    message = f"MRPC.tar.gz: answered {status} .*; check that the server is up and can be reached from this pod"
    failed(tmp_path, flags(), contract.EXIT_STORAGE, message)


def test_no_server(flags: Flags, tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/a?secret"  # nothing listens on the discard port
    failed(tmp_path, flags(url=url), contract.EXIT_STORAGE, "^http://127.0.0.1:9/a: Connection refused; check that")


def test_a_file_without_a_name(server: ObjectServer, flags: Flags, tmp_path: Path) -> None:
    server.content = b"[PAD]\n"
    for path in ("/a/", "/a/..", "/a/%2e%2e", "/a/%2Fetc%2Fpasswd", "/a%5c..%00", "/" + RECORD):
        failed(
            tmp_path, flags(path + "?secret"), contract.EXIT_BAD_CONFIG, "ends with no name for a file; give the URL"
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "ftp://a.example/b?secret"}, "--url=ftp://a.example/b: must be http:// or https:// or s3://"),
        ({"url": "http:///b?secret"}, "--url=http:///b: must be"),
        ({"url": "https://me:secret@a.example/b"}, "--url=https://a.example/b: must be .* and no user or password"),
        ({"url": "http://[/b?secret"}, "must be"),
        ({"url": ""}, "--url=: must be"),
        ({"url": None}, "the following arguments are required: --url"),
        ({"sha256": "abc"}, "--sha256=abc: must be 64 hexadecimal digits; sha256sum prints them"),
        ({"sha256": "g" * 64}, "must be 64 hexadecimal digits"),
        ({"role": "weights"}, "--role=weights: must be one of model, data"),
        ({"output_dir": ""}, "--output_dir: must be given"),
        ({"endpoint_url": "http://minio:9000"}, "--endpoint_url: belongs to an s3:// URL"),
        ({"url": "s3://bucket/a", "endpoint_url": "minio:9000"}, "--endpoint_url=minio:9000: must be http://"),
        ({"uri": "http://a.example/b?signature=secret"}, "unrecognized arguments: --uri=http://a.example/b"),
        ({"uri": "http://me:secret@a.example/b"}, "unrecognized arguments: --uri=http://a.example/b"),
    ],
)
def test_wrong_flags(flags: Flags, tmp_path: Path, changes: Dict[str, Any], message: str) -> None:
    failed(tmp_path, flags(**changes), contract.EXIT_BAD_CONFIG, message)


def test_the_flags_are_the_contract_s(flags: Flags) -> None:
    assert tuple(fetch.MEANINGS) == contract.FETCH_FLAGS
    assert tuple(fetch.ROLE_ERRORS) == contract.FETCH_ROLES
    assert vars(parse(flags(url="s3://bucket/a?b", endpoint_url="http://minio:9000"))).keys() == {*contract.FETCH_FLAGS}


def test_secrets_in_text() -> None:
    assert without_secrets("http://a/?b=c&d,e;f 'x?y' what?") == "http://a/?... 'x?... what?"
    assert without_secrets("https://me:pass?word@a/b c@d") == "https://a/b c@d"
