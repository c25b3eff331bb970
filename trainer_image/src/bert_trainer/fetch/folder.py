"""The folder that a download fills: complete with a record of it, or as it was before."""

import contextlib
import json
import shutil
from pathlib import Path, PurePosixPath
from typing import Any, Dict, Iterator, List

from bert_trainer.errors import BadConfigError, StorageError
from bert_trainer.fetch.unpack_rules import is_clutter

RECORD = ".fetched.json"
WORK = ".fetching"  # inside, because what is finished is renamed, and this folder may be a file system of its own
RESERVED = (RECORD, WORK)
LOST_AND_FOUND = "lost+found"  # in the root of an ext4 volume


class FetchFolder:
    """The output folder of one object; every method raises StorageError when the file system refuses."""

    def __init__(self, path: Path, origin: Dict[str, str]) -> None:
        """Takes what identifies the object: "sha256" and, for messages, "url"."""
        self.path = path
        self._origin = origin

    def is_finished(self) -> bool:
        """Tells whether the folder holds the object already; clears away what a killed process has left.

        Raises:
            BadConfigError: the folder holds something else.
        """
        with self._storage_errors():
            self.path.mkdir(parents=True, exist_ok=True)
            record = self._read()
            if record.get("complete"):
                if record["sha256"] == self._origin["sha256"]:
                    return True
                message = "--output_dir={}: holds {} (sha256 {}) already; choose an empty folder"
                raise BadConfigError(message.format(self.path, record["url"], record["sha256"]))
            for name in (WORK, *record.get("files", ()), RECORD):
                _remove(self.path / name)
            entries = (entry.name for entry in self.path.iterdir() if entry.name != LOST_AND_FOUND)
            foreign = sorted(name for name in entries if not is_clutter(PurePosixPath(name)))
        if foreign:
            message = "--output_dir={}: holds {!a} already; choose an empty folder"
            raise BadConfigError(message.format(self.path, foreign[0]))
        return False

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """Gives a folder in the output folder that vanishes at the end, whatever the end is."""
        with self._storage_errors():
            place = self.path / WORK
            place.mkdir()
            try:
                yield place
            finally:
                _remove(place)

    def publish(self, content: Path) -> List[str]:
        """Moves what lies in `content`, a folder in the workplace, into the output folder; returns the names."""
        with self._storage_errors():
            names = content_names(content)
            # First of all which files are about to come, so that a start after a kill knows what to clear away.
            self._write({**self._origin, "complete": False, "files": names})
            for name in names:
                (content / name).rename(self.path / name)
            self._write({**self._origin, "complete": True, "files": names})
            return names

    def _read(self) -> Dict[str, Any]:
        try:
            return json.loads((self.path / RECORD).read_text())
        except FileNotFoundError:
            return {}
        except ValueError as reason:
            raise BadConfigError(
                "{}: not JSON ({}); choose an empty folder".format(self.path / RECORD, reason)
            ) from reason

    def _write(self, record: Dict[str, Any]) -> None:
        temporary = self.path / WORK / RECORD
        temporary.write_text(json.dumps(record, indent=2) + "\n")
        temporary.replace(self.path / RECORD)

    @contextlib.contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as reason:
            message = "{}: {}; make the volume writable and large enough for the object and what it unpacks to"
            raise StorageError(message.format(reason.filename or self.path, reason.strerror)) from reason


def content_root(folder: Path) -> Path:
    """Returns where an archive's content begins: in its only folder where it has just one, as GLUE's and Google's."""
    names = content_names(folder)
    return folder / names[0] if len(names) == 1 and (folder / names[0]).is_dir() else folder


def content_names(folder: Path) -> List[str]:
    """Returns the sorted names of what is in a folder."""
    return sorted(entry.name for entry in folder.iterdir())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path))
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
