"""Reads a task's TSV files as GLUE publishes them: no quoting, columns by name, byte order mark or not, LF or CRLF."""

import hashlib
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Type

from bert_trainer.errors import BadDataError, TrainerError
from bert_trainer.tasks import Task


class Pair(NamedTuple):
    """One labelled example: two sentences and the index of its label."""

    first: str
    second: str
    label: int


def read_bytes(path: Path, error: Type[TrainerError]) -> bytes:
    """Returns a file's content; raises `error` with the path and the reason when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as reason:
        raise error("{}: {}; mount a folder that holds this file".format(path, reason.strerror)) from reason


def sha256(path: Path, error: Type[TrainerError]) -> str:
    """Returns the hexadecimal SHA-256 of a file; raises `error` when it cannot be read."""
    return hashlib.sha256(read_bytes(path, error)).hexdigest()


def read_pairs(path: Path, task: Task) -> List[Pair]:
    """Returns the file's examples in file order.

    The number of rows is not checked: copies of MRPC with a row fewer are in circulation.

    Raises:
        BadDataError: naming file and line, for a missing or empty file, a missing column, a wrong number of fields, an
            unknown label, an empty sentence or bytes that are not UTF-8.
    """
    lines = _decode(path).split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if len(lines) < 2:
        raise BadDataError("{}: no examples; the file needs a header line and at least one row".format(path))
    header = lines[0].rstrip("\r").split("\t")
    columns = _locate(header, path, task)
    return [
        _parse(line.rstrip("\r").split("\t"), len(header), columns, "{}, line {}".format(path, number), task)
        for number, line in enumerate(lines[1:], start=2)
    ]


def _decode(path: Path) -> str:
    content = read_bytes(path, BadDataError)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        line = content.count(b"\n", 0, reason.start) + 1
        message = "{}, line {}: byte 0x{:02x} is not UTF-8; convert the file, for example with iconv -t UTF-8"
        raise BadDataError(message.format(path, line, content[reason.start])) from reason


def _locate(header: Sequence[str], path: Path, task: Task) -> Dict[str, int]:
    wanted = (task.label_column, *task.sentence_columns)
    for name in wanted:
        if header.count(name) != 1:
            message = "{}, line 1: column {!r} occurs {} times among {}; the header must be {}'s"
            raise BadDataError(message.format(path, name, header.count(name), list(header), task.name))
    return {name: header.index(name) for name in wanted}


def _parse(fields: List[str], width: int, columns: Dict[str, int], where: str, task: Task) -> Pair:
    if len(fields) != width:
        message = "{}: {} fields where the header has {}; fields are separated by single tabs, quotes have no meaning"
        raise BadDataError(message.format(where, len(fields), width))
    label = fields[columns[task.label_column]]
    if label not in task.labels:
        message = "{}: column {!r} holds {!r}; labels of {} are {}"
        raise BadDataError(message.format(where, task.label_column, label, task.name, ", ".join(task.labels)))
    sentences = [fields[columns[name]] for name in task.sentence_columns]
    for name, sentence in zip(task.sentence_columns, sentences):
        if not sentence.strip():
            raise BadDataError("{}: column {!r} is empty; remove the row or fill in the sentence".format(where, name))
    return Pair(sentences[0], sentences[1], task.labels.index(label))
