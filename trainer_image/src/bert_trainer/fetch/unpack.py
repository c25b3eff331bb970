"""Unpacks tar and zip archives that nobody vouches for: recognized by their content, judged by unpack_rules.

Only plain files and folders come out, made anew with this process's permissions: no link, device, owner or mode of an
archive is ever applied, so that nothing can be written outside of the folder. What a Mac adds stays behind.
"""

import bz2
import contextlib
import errno
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterator, Tuple

from bert_trainer.fetch.unpack_rules import FILE, FOLDER, ArchiveError, Gate, Member, is_clutter, quoted

CHUNK_BYTES = 256 << 10
MAX_HEADER_BYTES = 1 << 20  # tarfile reads a header's extensions, long names for example, into memory at once
COMPRESSIONS: Dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
ZIPS = (b"PK\x03\x04", b"PK\x05\x06")
FOREIGN = {b"\x28\xb5\x2f\xfd": "Zstandard", b"7z\xbc\xaf\x27\x1c": "7-Zip", b"Rar!\x1a\x07": "RAR"}
# zipfile bounds what a read may inflate only for these; it would take a bomb of another kind into memory.
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 1  # bit of a zip member's flags
# What the standard library raises on damaged archives.
DAMAGES = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError),
    *(OverflowError, NotImplementedError, RecursionError, RuntimeError),
)
TAR_KINDS: Tuple[Tuple[Callable[[tarfile.TarInfo], bool], str], ...] = (
    (tarfile.TarInfo.issparse, "a sparse file"),
    (tarfile.TarInfo.isreg, FILE),
    (tarfile.TarInfo.isdir, FOLDER),
    (tarfile.TarInfo.issym, "a symbolic link"),
    (tarfile.TarInfo.islnk, "a hard link"),
    (tarfile.TarInfo.isfifo, "a named pipe"),
    (tarfile.TarInfo.isdev, "a device"),
)
ZIP_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def unpack(archive: Path, folder: Path) -> bool:
    """Unpacks an archive into an empty folder.

    Args:
        archive: any file; its name does not matter.
        folder: where its members go. It holds some of them when this raises, never anything outside of it.

    Returns:
        False when the file is no archive but, say, a vocabulary, compressed or not; then nothing was unpacked.

    Raises:
        ArchiveError: naming the member that is hostile, or after which the archive is damaged.
        OSError: the folder cannot be written.
    """
    gate = Gate(archive.stat().st_size)
    with archive.open("rb") as file:
        start = file.read(8)
        for magic, name in FOREIGN.items():
            if start.startswith(magic):
                raise ArchiveError("{} archives are not supported: pack it as .tar.gz or .zip".format(name))
        with _damage():
            if start.startswith(ZIPS):
                _unpack_zip(file, folder, gate)
                return True
            decompress = next((opener for magic, opener in COMPRESSIONS.items() if start.startswith(magic)), _as_it_is)
            if not _is_tar(decompress(_rewound(file)).read(tarfile.BLOCKSIZE)):
                return False
            _unpack_tar(_Metered(decompress(_rewound(file)), gate), folder, gate)
            return True


class _Metered:
    """A decompressed stream as tarfile reads it: forwards, within bounds, every byte counted."""

    def __init__(self, stream: Any, gate: Gate) -> None:
        self._stream, self._gate, self._place = stream, gate, 0
        self.last = b""  # what was read last

    def tell(self) -> int:
        return self._place

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER_BYTES:
            raise ArchiveError("a header is larger than {} bytes".format(MAX_HEADER_BYTES))
        content = self._stream.read(size)
        self._place += len(content)
        self._gate.count(len(content))
        self.last = content
        return content

    def seek(self, place: int) -> None:
        # A compressed stream goes back by starting over, so that a small archive could keep a processor busy for ever.
        if place < self._place:
            raise ArchiveError("a header points backwards")
        while self._place < place and self.read(min(CHUNK_BYTES, place - self._place)):
            pass


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Turns what the standard library raises on damaged archives into ArchiveError."""
    try:
        yield
    except (*DAMAGES, OSError) as reason:
        # Without a number it is gzip's or bz2's way to say that a stream is broken; EINVAL is what a seek before the
        # start gets, to which damaged zip directories lead. Any other one is the disk's.
        if isinstance(reason, OSError) and reason.errno not in (None, errno.EINVAL):
            raise
        words = quoted(str(reason) or type(reason).__name__)  # zipfile's repeat a member's name
        raise ArchiveError("the archive is damaged: {}".format(words)) from reason


def _as_it_is(file: BinaryIO) -> BinaryIO:
    return file


def _rewound(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def _is_tar(header: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _unpack_tar(stream: _Metered, folder: Path, gate: Gate) -> None:
    fileobj: Any = stream  # which reads and seeks, all that tarfile needs
    with tarfile.TarFile(fileobj=fileobj, encoding="utf-8", errors="surrogateescape") as tar:
        name = ""
        for member in tar:
            name = member.name
            kind = next((words for test, words in TAR_KINDS if test(member)), "of an unknown kind")
            path = gate.admit(Member(name, kind, member.mode, member.size))
            target = folder / path
            if is_clutter(path):
                continue
            if kind == FOLDER:
                target.mkdir(parents=True, exist_ok=True)
            else:
                _write(_chunks(tar.extractfile(member)), target, member.size)
        # tarfile takes a header that it cannot read for the end of the archive, which is a block of zeros or nothing.
        if any(stream.last):
            raise ArchiveError("the archive is damaged after {}".format(quoted(name)))
        while stream.read(CHUNK_BYTES):  # to the checksum at the end of what is compressed
            pass


def _unpack_zip(file: BinaryIO, folder: Path, gate: Gate) -> None:
    with zipfile.ZipFile(file) as archive:
        admitted = [(gate.admit(_zip_member(member)), member) for member in archive.infolist()]
        for path, member in admitted:
            if is_clutter(path):
                continue
            if _zip_member(member).kind == FOLDER:
                (folder / path).mkdir(parents=True, exist_ok=True)
            else:
                with archive.open(member) as source:
                    _write(_counted(_chunks(source), gate), folder / path, member.file_size)


def _zip_member(member: zipfile.ZipInfo) -> Member:
    name = member.orig_filename  # what the archive says; filename ends at a NUL
    if member.flag_bits & ENCRYPTED:
        raise ArchiveError("{} is encrypted".format(quoted(name)))
    if member.compress_type not in ZIP_METHODS:
        raise ArchiveError("{} is compressed by another method than deflate".format(quoted(name)))
    mode = member.external_attr >> 16
    kind = ZIP_KINDS.get(stat.S_IFMT(mode), FOLDER if name.endswith("/") else FILE)
    return Member(name, kind, stat.S_IMODE(mode), member.file_size)


def _chunks(source: Any) -> Iterator[bytes]:
    return iter(lambda: source.read(CHUNK_BYTES), b"")


def _counted(chunks: Iterator[bytes], gate: Gate) -> Iterator[bytes]:
    for chunk in chunks:
        gate.count(len(chunk))
        yield chunk


def _write(chunks: Iterator[bytes], target: Path, size: int) -> None:
    """Makes a file that is not there yet; raises ArchiveError when its content is not of the announced size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("xb") as file:
        for chunk in chunks:
            written += file.write(chunk)
    if written != size:
        raise ArchiveError("{} has {} bytes, {} were announced".format(quoted(target.name), written, size))
