"""Reads a task's TSV files as GLUE publishes them: no quoting, columns by name, byte order mark or not, LF or CRLF.

A row with another number of fields than the header is an error, never skipped: GLUE's own QQP holds a few (questions
with line breaks in them), and who trains on the rest should know.
"""

import hashlib
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type

from bert_trainer.data.tasks import Task
from bert_trainer.errors import BadDataError, TrainerError


class Pair(NamedTuple):
    """One example: a sentence, the other one if the task has pairs, the index of its label or its score."""

    first: str
    second: Optional[str]
    label: float


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
    """Returns the examples of a training or development file in file order.

    The number of rows is not checked: copies of MRPC with a row fewer are in circulation.

    Raises:
        BadDataError: naming file and line, for a missing or empty file, a missing column, a wrong number of fields, an
            unknown label, an empty sentence or bytes that are not UTF-8.
    """
    pairs = []
    for where, (label, *sentences) in _rows(path, task.columns, (task.label, *task.sentences), task):
        for name, sentence in zip(task.sentences, sentences):
            if not sentence.strip():
                message = "{}: column {!r} is empty; remove the row or fill in the sentence"
                raise BadDataError(message.format(where, name))
        pairs.append(_pair(sentences, _label(label, task, where)))
    return pairs


def read_unlabelled(path: Path, task: Task) -> Tuple[List[str], List[Pair]]:
    """Returns the row numbers and the examples, all labelled 0, of a test file in file order.

    A sentence may be empty here: GLUE wants an answer for every row.

    Raises:
        BadDataError: as read_pairs.
    """
    rows = [row for _, row in _rows(path, (), (task.index, *task.sentences), task)]
    return [index for index, *_ in rows], [_pair(sentences, 0.0) for _, *sentences in rows]


def _pair(sentences: List[str], label: float) -> Pair:
    return Pair(sentences[0], sentences[1] if len(sentences) > 1 else None, label)


def _label(text: str, task: Task, where: str) -> float:
    number = task.number(text)
    if number is None:
        message = "{}: column {!r} holds {!r}; labels of {} are {}"
        raise BadDataError(message.format(where, task.label, text, task.name, task.allowed))
    return number


def _rows(path: Path, header: Sequence[str], names: Sequence[str], task: Task) -> Iterator[Tuple[str, List[str]]]:
    """Yields file and line, and the named fields, of every row; an empty header stands in the file's first line."""
    lines = _decode(path).split("\n")
    if not lines[-1]:
        lines.pop()
    rows = [line.rstrip("\r").split("\t") for line in lines]
    first = 1
    if not header and rows:
        header, first = rows.pop(0), 2
    if not rows:
        raise BadDataError("{}: no examples; copy the file again".format(path))
    for name in names:
        if header.count(name) != 1:
            message = "{}, line 1: column {!r} occurs {} times among {}; the header must be {}'s"
            raise BadDataError(message.format(path, name, header.count(name), list(header), task.name))
    places = [header.index(name) for name in names]
    for number, fields in enumerate(rows, start=first):
        where = "{}, line {}".format(path, number)
        if len(fields) != len(header):
            ragged = sum(len(row) != len(header) for row in rows)
            message = (
                "{}: {} fields where the header has {}, as in {} lines of the file; fields are separated by single "
                "tabs, quotes have no meaning; awk -F '\\t' 'NF == {}' keeps the sound lines"
            )
            raise BadDataError(message.format(where, len(fields), len(header), ragged, len(header)))
        yield where, [fields[place] for place in places]


def _decode(path: Path) -> str:
    content = read_bytes(path, BadDataError)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as reason:
        line = reason.object.count(b"\n", 0, reason.start) + 1
        message = "{}, line {}: byte 0x{:02x} is not UTF-8; convert the file, for example with iconv -t UTF-8"
        raise BadDataError(message.format(path, line, reason.object[reason.start])) from reason
