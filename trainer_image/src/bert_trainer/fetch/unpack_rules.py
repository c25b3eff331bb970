"""What an archive may hold: the names, kinds and amounts of its members, judged before anything of them is written."""

from pathlib import PurePosixPath
from typing import Dict, NamedTuple

FILE, FOLDER = "a file", "a folder"
MAX_MEMBERS = 100_000
MAX_DEPTH = 32  # folders within folders
MAX_NAME_BYTES = 255  # of a folder or file, a limit of Linux
MAX_PATH_BYTES = 1024
MAX_UNPACKED_BYTES = 64 << 30
MAX_RATIO = 200  # unpacked bytes to a byte of the archive: text has 3 to 20, a bomb 1000 and more
RATIO_FREE_BYTES = 16 << 20  # what any archive may unpack to: a table of a few repeated rows is no bomb
PRIVILEGE_BITS = 0o6000  # setuid, setgid
# What a Mac adds: a folder beside the real one in zip archives, a file beside each file in tar archives (AppleDouble),
# and the look of a folder in Finder.
MAC_FOLDER, MAC_PREFIX, MAC_VIEW = "__MACOSX", "._", ".DS_Store"


class ArchiveError(Exception):
    """An archive that is damaged, or holds what no data set and no model needs; says which member and why."""


class Member(NamedTuple):
    """What an archive says of one of its members: FILE, FOLDER or another kind in words, permission bits, bytes."""

    name: str
    kind: str
    mode: int
    size: int


class Gate:
    """Admits the members of one archive, one after the other, and counts what they unpack to.

    Every method raises ArchiveError.
    """

    def __init__(self, archive_bytes: int) -> None:
        self._limit = min(MAX_UNPACKED_BYTES, max(RATIO_FREE_BYTES, MAX_RATIO * archive_bytes))
        self._kinds: Dict[PurePosixPath, str] = {}
        self._members = 0
        self._announced = 0
        self._unpacked = 0
        self._current = "its first member"

    def admit(self, member: Member) -> PurePosixPath:
        """Returns the path of a FILE or FOLDER, relative and without a step upwards."""
        self._current = quoted(member.name)
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise ArchiveError("{} is one of more than {} members".format(self._current, MAX_MEMBERS))
        if member.kind not in (FILE, FOLDER):
            raise ArchiveError("{} is {}; only files and folders are unpacked".format(self._current, member.kind))
        # A folder may well be setgid where a team shares a disk; no mode is ever applied.
        if member.kind == FILE and member.mode & PRIVILEGE_BITS:
            raise ArchiveError("{} is setuid or setgid (mode {:o})".format(self._current, member.mode))
        path = _path(member)
        self._claim(path, member.kind)
        self._announce(member.size)
        return path

    def count(self, unpacked: int) -> None:
        """Takes notice of bytes that came out, whatever the archive's headers say of them."""
        self._unpacked += unpacked
        self._check(self._unpacked)

    def _announce(self, size: int) -> None:
        if size < 0:
            raise ArchiveError("{} has {} bytes".format(self._current, size))
        self._announced += size
        self._check(self._announced)

    def _check(self, unpacked: int) -> None:
        if unpacked > self._limit:
            message = "with {} it unpacks to more than {} bytes, the limit for an archive of its size"
            raise ArchiveError(message.format(self._current, self._limit))

    def _claim(self, path: PurePosixPath, kind: str) -> None:
        known = self._kinds.get(path)
        if known and not known == kind == FOLDER:
            raise ArchiveError("{} occurs twice".format(self._current))
        for parent in path.parents:
            if self._kinds.setdefault(parent, FOLDER) != FOLDER:
                raise ArchiveError("{} lies in {}, which is a file".format(self._current, quoted(str(parent))))
        self._kinds[path] = kind


def is_clutter(path: PurePosixPath) -> bool:
    """Tells whether a path is what a Mac adds to what it packs, and no content."""
    return any(part in (MAC_FOLDER, MAC_VIEW) or part.startswith(MAC_PREFIX) for part in path.parts)


def quoted(name: str) -> str:
    """Returns a member's name as a message shows it: in quotes, in ASCII, of bearable length."""
    return ascii(name if len(name) <= MAX_NAME_BYTES else name[:MAX_NAME_BYTES] + "...")


def _path(member: Member) -> PurePosixPath:
    name = member.name
    path = PurePosixPath(name)
    if path.is_absolute():
        raise ArchiveError("{} is an absolute path".format(quoted(name)))
    if ".." in path.parts:
        raise ArchiveError("{} leads out of the folder".format(quoted(name)))
    if "\\" in name or not all(character.isprintable() or _is_undecodable(character) for character in name):
        raise ArchiveError("{} holds a backslash or a character that cannot be printed".format(quoted(name)))
    if not path.parts and member.kind == FILE:
        raise ArchiveError("{} names no file".format(quoted(name)))
    lengths = [len(part.encode("utf-8", "surrogateescape")) for part in path.parts]
    if len(lengths) > MAX_DEPTH or sum(lengths) > MAX_PATH_BYTES or max(lengths, default=0) > MAX_NAME_BYTES:
        raise ArchiveError("{} is too long or too deep".format(quoted(name)))
    return path


def _is_undecodable(character: str) -> bool:
    """Whether it stands for a byte that is not UTF-8 (PEP 383), as in archives with Latin-1 names."""
    return "\udc80" <= character <= "\udcff"
