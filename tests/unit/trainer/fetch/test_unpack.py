"""Archives: what comes out of honest ones, and that nothing comes of hostile ones outside of the folder."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bert_trainer.fetch import unpack as room
from bert_trainer.fetch import unpack_rules
from bert_trainer.fetch.unpack import unpack
from bert_trainer.fetch.unpack_rules import ArchiveError, quoted

Entry = Tuple[str, Any, bytes]  # name, tar's type, content or target of a link
FILES = {"MRPC/train.tsv": b"a\tb\n" * 1000, "MRPC/dev.tsv": b"", "MRPC/deep/er/note": b"\0\xff" * 9}


def make_tar(*entries: Entry, mode: int = 0o644, format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name, kind, content in entries:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, mode
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            else:
                member.linkname = content.decode()
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def make_zip(*entries: Entry, mode: int = 0o644, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        warnings.simplefilter("ignore")  # a name that is there already
        for name, kind, content in entries:
            member = zipfile.ZipInfo(name)
            member.filename = member.orig_filename = name  # as it is given, whatever ZipInfo thinks of it
            member.compress_type, member.external_attr = method, (kind | mode) << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def plain(files: Dict[str, bytes], kind: Any) -> List[Entry]:
    return [(name, kind, content) for name, content in files.items()]


def identity(content: bytes) -> bytes:
    return content


TAR = make_tar(*plain(FILES, tarfile.REGTYPE))
ZIP = make_zip(*plain(FILES, stat.S_IFREG))
HONEST: Dict[str, bytes] = {
    "tar": TAR,
    "tar.gz": gzip.compress(TAR),
    "tar.bz2": bz2.compress(TAR),
    "tar.xz": lzma.compress(TAR),
    "GNU tar": make_tar(*plain(FILES, tarfile.REGTYPE), format=tarfile.GNU_FORMAT),
    "old tar": make_tar(*plain(FILES, tarfile.REGTYPE), format=tarfile.USTAR_FORMAT),
    "tar with its folders": make_tar(
        ("./", tarfile.DIRTYPE, b""), ("./MRPC", tarfile.DIRTYPE, b""), *plain(FILES, tarfile.REGTYPE), mode=0o755
    ),
    "zip": ZIP,
    "zip, stored": make_zip(*plain(FILES, stat.S_IFREG), method=zipfile.ZIP_STORED),
    "zip with its folders": make_zip(("MRPC/", stat.S_IFDIR, b""), *plain(FILES, stat.S_IFREG)),
    "zip of DOS": make_zip(*plain(FILES, 0), mode=0),
}


def unpacked(content: bytes, root: Path) -> Path:
    """Unpacks an archive without a telling name into root/inner/content."""
    folder = root / "inner" / "content"
    folder.mkdir(parents=True)
    (root / "object").write_bytes(content)
    assert unpack(root / "object", folder)
    return folder


def tree(folder: Path) -> Dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if not path.is_dir()}


@pytest.mark.parametrize("name", HONEST)
def test_what_honest_archives_hold(tmp_path: Path, name: str) -> None:
    assert tree(unpacked(HONEST[name], tmp_path)) == FILES


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_no_mode_is_applied(tmp_path: Path, make: Callable[..., bytes]) -> None:
    regular = {make_tar: tarfile.REGTYPE, make_zip: stat.S_IFREG}[make]
    path = unpacked(make(("file", regular, b"x"), mode=0o777), tmp_path) / "file"
    assert stat.S_IMODE(path.stat().st_mode) & 0o111 == 0
    assert path.stat().st_uid == os.getuid()


@pytest.mark.parametrize(
    "content",
    [b"", b"[PAD]\n[UNK]\n", b"\0" * 5000, gzip.compress(b"[PAD]\n" * 900), lzma.compress(b""), os.urandom(3000)],
    ids=["empty", "text", "zeros", "compressed text", "compressed nothing", "random"],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "object.tar.gz").write_bytes(content)
    folder = tmp_path / "content"
    folder.mkdir()
    assert not unpack(tmp_path / "object.tar.gz", folder)
    assert not list(folder.iterdir())


FILE = tarfile.REGTYPE
NO_FILES = "; only files and folders are unpacked"
HOSTILE_NAMES = {
    "/etc/passwd": "'/etc/passwd' is an absolute path",
    "//etc/passwd": "is an absolute path",
    "../outside": r"'\.\./outside' leads out of the folder",
    "a/../../outside": "leads out of the folder",
    "a/..": "leads out of the folder",
    "..": "leads out of the folder",
    "..\\outside": "holds a backslash",
    "C:\\outside": "holds a backslash",
    "a\nb": "character that cannot be printed",
    "a\x1b[2Jb": r"'a\\x1b\[2Jb' holds a backslash or a character that cannot be printed",
    "a\u202eb": "character that cannot be printed",
    "a" * 256: "is too long or too deep",
    "a/" * 40 + "b": "is too long or too deep",
    "/".join(["a" * 200] * 6): "is too long or too deep",
    ".": "names no file",
}
LINKS = {
    "a symbolic link": tarfile.SYMTYPE,
    "a hard link": tarfile.LNKTYPE,
    "a device": tarfile.CHRTYPE,
    "a named pipe": tarfile.FIFOTYPE,
    "of an unknown kind": b"D",
}
HOSTILE: Dict[str, Tuple[bytes, str]] = {
    **{f"tar, {n[:20]!a}": (make_tar((n, FILE, b"x")), why) for n, why in HOSTILE_NAMES.items()},
    **{f"zip, {n[:20]!a}": (make_zip((n, stat.S_IFREG, b"x")), why) for n, why in HOSTILE_NAMES.items()},
    **{
        "tar, " + words: (make_tar(("ok", FILE, b""), ("bad", kind, b"/etc/passwd")), "'bad' is " + words + NO_FILES)
        for words, kind in LINKS.items()
    },
    **{
        "zip, " + words: (make_zip(("bad", kind, b"/etc/passwd")), "'bad' is " + words + NO_FILES)
        for kind, words in room.ZIP_KINDS.items()
    },
    "tar, a file below a link": (
        make_tar(("a", tarfile.SYMTYPE, b"/tmp"), ("a/b", FILE, b"x")),
        "'a' is a symbolic link",
    ),
    "tar, twice": (make_tar(("a", FILE, b"1"), ("a", FILE, b"2")), "'a' occurs twice"),
    "tar, twice in other words": (make_tar(("a/b", FILE, b"1"), ("./a//b", FILE, b"2")), r"'\./a//b' occurs twice"),
    "tar, file and folder": (make_tar(("a", FILE, b"1"), ("a", tarfile.DIRTYPE, b"")), "'a' occurs twice"),
    "tar, folder and file": (make_tar(("a/b", FILE, b"1"), ("a", FILE, b"")), "'a' occurs twice"),
    "tar, a file in a file": (make_tar(("a", FILE, b"1"), ("a/b", FILE, b"")), "'a/b' lies in 'a', which is a file"),
    "zip, twice": (make_zip(("a", stat.S_IFREG, b"1"), ("./a", stat.S_IFREG, b"2")), r"'\./a' occurs twice"),
    "zip, a NUL": (make_zip(("a\0b", stat.S_IFREG, b"1")), r"'a\\x00b' holds a backslash or a character that cannot"),
    "zip, no name": (make_zip(("", stat.S_IFREG, b"1")), "'' names no file"),
    "tar, setuid": (make_tar(("a", FILE, b"1"), mode=0o4755), r"'a' is setuid or setgid \(mode 4755\)"),
    "tar, setgid": (make_tar(("a", FILE, b"1"), mode=0o2755), "'a' is setuid or setgid"),
    "zip, setuid": (make_zip(("a", stat.S_IFREG, b"1"), mode=0o4755), "'a' is setuid or setgid"),
    "zip, bzip2": (make_zip(("a", stat.S_IFREG, b"1"), method=zipfile.ZIP_BZIP2), "another method than deflate"),
    "zip, lzma": (make_zip(("a", stat.S_IFREG, b"1"), method=zipfile.ZIP_LZMA), "another method than deflate"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c\0\4", "7-Zip archives are not supported: pack it as .tar.gz or .zip"),
    "RAR": (b"Rar!\x1a\x07\x01\0", "RAR archives are not supported"),
    "Zstandard": (b"\x28\xb5\x2f\xfd\0\0\0\0", "Zstandard archives are not supported"),
    "tar.gz, cut": (gzip.compress(TAR)[:-40], "the archive is damaged"),
    "tar.xz, cut": (lzma.compress(TAR)[:-40], "the archive is damaged"),
    "tar, cut in a file": (TAR[:2000], "the archive is damaged"),
    "tar, cut in a header": (TAR[: 512 + 4096 + 100], "the archive is damaged after 'MRPC/train.tsv'"),
    "tar, a header overwritten": (TAR[:4608] + b"x" * 512 + TAR[5120:], "damaged after 'MRPC/train.tsv'"),
    "zip, cut": (ZIP[:-30], "the archive is damaged"),
    "zip, a byte changed": (ZIP[:60] + b"\0\0" + ZIP[62:], "the archive is damaged"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives(tmp_path: Path, name: str) -> None:
    content, why = HOSTILE[name]
    with pytest.raises(ArchiveError, match=why):
        unpacked(content, tmp_path)
    assert_within(tmp_path)


def assert_within(root: Path) -> None:
    """Nothing is in root but the archive and the folder, nothing in the folder but files and folders of ours."""
    assert sorted(path.name for path in root.iterdir()) == ["inner", "object"]
    assert [path.name for path in (root / "inner").iterdir()] == ["content"]
    for path in (root / "inner").rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and path.lstat().st_nlink == 1)
        assert not mode & 0o6000


def test_a_zip_with_a_password(tmp_path: Path) -> None:
    content = bytearray(make_zip(("a", stat.S_IFREG, b"1")))
    for start, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(start) + place] |= 1
    with pytest.raises(ArchiveError, match="'a' is encrypted"):
        unpacked(bytes(content), tmp_path)


def test_a_sparse_file(tmp_path: Path) -> None:
    header = bytearray(make_tar(("hole", FILE, b""), format=tarfile.GNU_FORMAT)[:512])
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[483:495] = b"77777777777\0"  # the size it would have
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    with pytest.raises(ArchiveError, match="'hole' is a sparse file"):
        unpacked(bytes(header) + bytes(1024), tmp_path)


def test_a_negative_size(tmp_path: Path) -> None:
    header = bytearray(make_tar(("a", FILE, b""))[:512])
    header[124:136] = struct.pack(">iq", -1, -(1 << 20))  # binary, as GNU tar writes large ones
    header[148:156] = b"%06o\0 " % (sum(header[:148]) + sum(header[156:]) + 8 * 32)
    with pytest.raises(ArchiveError, match=r"'a' has -[0-9]+ bytes"):
        unpacked(bytes(header) + bytes(1024), tmp_path)


# Bombs. Limits are made small, so that nothing has to be large.


@pytest.fixture
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_rules, "RATIO_FREE_BYTES", 100_000)
    monkeypatch.setattr(unpack_rules, "MAX_MEMBERS", 20)


ZEROS = bytes(3_000_000)


def lying_zip() -> bytes:
    """Says that its file has ten bytes."""
    content = bytearray(make_zip(("bomb", stat.S_IFREG, ZEROS)))
    for start, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        where = content.index(start) + place
        content[where : where + 4] = struct.pack("<I", 10)
    return bytes(content)


def overlapping_zip() -> bytes:
    """Thirty members that are all the same bytes of the archive."""
    content = make_zip(("bomb00", stat.S_IFREG, bytes(60_000)))
    start, end = content.index(b"PK\1\2"), content.index(b"PK\5\6")
    entry = content[start:end]
    entries = b"".join(entry.replace(b"bomb00", b"bomb%02d" % number) for number in range(15))
    tail = bytearray(content[end:])
    tail[8:16] = struct.pack("<HHI", 15, 15, len(entries))
    return content[:start] + entries + bytes(tail)


BOMBS: Dict[str, Tuple[bytes, str]] = {
    "zip": (make_zip(("bomb", stat.S_IFREG, ZEROS)), "with 'bomb' it unpacks to more than [0-9]+ bytes"),
    "zip that lies": (lying_zip(), "the archive is damaged"),
    "zip that overlaps": (overlapping_zip(), "with 'bomb[0-9]+' it unpacks to more"),
    "tar.gz": (gzip.compress(make_tar(("bomb", FILE, ZEROS))), "with 'bomb' it unpacks to more"),
    "tar.bz2": (bz2.compress(make_tar(("bomb", FILE, ZEROS))), "with 'bomb' it unpacks to more"),
    "tar.xz": (lzma.compress(make_tar(("bomb", FILE, ZEROS))), "with 'bomb' it unpacks to more"),
    "headers": (
        gzip.compress(make_tar(*((f"{'x' * 90}/{n}", tarfile.DIRTYPE, b"") for n in range(300)))),
        "is one of more than 20 members",
    ),
    "a long name": (gzip.compress(make_tar(("a" * 5_000_000, FILE, b""))), "a header is larger than 1048576 bytes"),
    "a long GNU name": (
        gzip.compress(make_tar(("a" * 5_000_000, FILE, b""), format=tarfile.GNU_FORMAT)),
        "a header is larger than 1048576 bytes",
    ),
    "many": (make_tar(*((str(number), FILE, b"") for number in range(21))), "'20' is one of more than 20 members"),
    "many in a zip": (
        make_zip(*((str(number), stat.S_IFREG, b"") for number in range(21))),
        "'20' is one of more than 20 members",
    ),
}


@pytest.mark.usefixtures("_small_limits")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs(tmp_path: Path, name: str) -> None:
    content, why = BOMBS[name]
    with pytest.raises(ArchiveError, match=why):
        unpacked(content, tmp_path)
    written = sum(path.stat().st_size for path in (tmp_path / "inner").rglob("*") if path.is_file())
    assert written <= max(100_000, unpack_rules.MAX_RATIO * len(content))
    assert_within(tmp_path)


def test_a_limit_on_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_rules, "MAX_UNPACKED_BYTES", 4000)
    with pytest.raises(ArchiveError, match=r"with 'MRPC/train\.tsv' it unpacks to more than 4000 bytes"):
        unpacked(TAR, tmp_path)


def test_a_text_that_repeats_itself_is_no_bomb(tmp_path: Path) -> None:
    rows = b"1\tthe same sentence\tthe same sentence\n" * 100_000
    assert tree(unpacked(gzip.compress(make_tar(("train.tsv", FILE, rows))), tmp_path)) == {"train.tsv": rows}


def test_a_disk_that_is_full_is_no_fault_of_the_archive(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    (tmp_path / "object").write_bytes(TAR)
    folder.symlink_to("/dev/full")
    with pytest.raises(OSError, match="/missing"):
        unpack(tmp_path / "object", folder)


def test_a_name_in_a_library_s_message_is_ascii_too(tmp_path: Path) -> None:
    content = make_zip(("a", stat.S_IFREG, b""))
    directory = content.index(b"PK\1\2")
    with pytest.raises(ArchiveError, match=r"^the archive is damaged: .*File name in directory") as failure:
        unpacked(content[:directory] + content[directory:].replace(b"a", b"\x80"), tmp_path)
    assert str(failure.value).isascii()


def test_names_in_messages_are_ascii_and_short() -> None:
    assert quoted("ä\udcff\n") == "'\\xe4\\udcff\\n'"
    assert len(quoted("a" * 5000)) < 300


# Properties.

PARTS = st.sampled_from(["..", ".", "", "a", "b", "c", "etc", "é", "\udcff", "a b", "\\", "\n", "..."])
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
KINDS = [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
TARS = st.lists(st.tuples(NAMES, st.sampled_from(KINDS), st.sampled_from([b"..", b"a", b"/tmp", b""])), max_size=5)
MODES = st.sampled_from([0o644, 0o4755, 0o777])
each_in_a_new_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


def try_to_unpack(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "object").write_bytes(content)
    folder = root / "inner" / "content"
    folder.mkdir(parents=True)
    said = ""
    try:
        unpack(root / "object", folder)
    except ArchiveError as reason:
        said = str(reason)
    assert said.isascii()
    assert_within(root)


@each_in_a_new_folder
@given(TARS, MODES, st.sampled_from([identity, gzip.compress]))
def test_no_tar_writes_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: List[Entry], mode: int, compress: Callable[[bytes], bytes]
) -> None:
    try_to_unpack(compress(make_tar(*entries, mode=mode, format=tarfile.GNU_FORMAT)), tmp_path_factory)


@each_in_a_new_folder
@given(
    st.lists(st.tuples(NAMES, st.sampled_from([stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, 0]), st.just(b"/tmp"))), MODES
)
def test_no_zip_writes_outside(tmp_path_factory: pytest.TempPathFactory, entries: List[Entry], mode: int) -> None:
    encodable = [entry for entry in entries if "\udcff" not in entry[0]]
    try_to_unpack(make_zip(*encodable, mode=mode), tmp_path_factory)


@each_in_a_new_folder
@example("tar.gz", [(3, 255)], 10_000)
@given(
    st.sampled_from(sorted(HONEST)),
    st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 255))),
    st.integers(0, 9000),
)
def test_damage_is_told_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, name: str, changes: List[Tuple[int, int]], end: int
) -> None:
    content = bytearray(HONEST[name])
    for place, value in changes:
        content[place % len(content)] = value
    try_to_unpack(bytes(content[:end]), tmp_path_factory)
