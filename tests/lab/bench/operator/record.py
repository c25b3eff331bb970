"""The runs that are kept, a line of JSON each."""

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from lab.bench.operator.results import Results
from lab.cluster.layout import PROJECT

FILE = Path(__file__).with_name("results.jsonl")


@dataclass(frozen=True)
class Record:
    """One run: when, of what, where, with whom, its last line, and the measurements behind that."""

    date: str
    commit: str
    machine: str
    n: int
    peer: str
    figures: dict[str, Any]
    measured: Results


LINE = TypeAdapter(Record)


def keep(machine: str, peer: str, figures: Mapping[str, Any], measured: Results) -> None:
    """Append a run of this moment and commit."""
    date = datetime.now(UTC).date().isoformat()
    record = Record(date, commit(), machine, measured.ours.count, peer, dict(figures), measured)
    with FILE.open("a") as file:
        file.write(f"{dump(record)}\n")


def commit() -> str:
    """The commit, or that and "-dirty" where the operator differs from it; records before this one do not count."""

    def git(*words: str, check: bool) -> subprocess.CompletedProcess[str]:
        return subprocess.run(("git", *words), check=check, capture_output=True, text=True, cwd=PROJECT)

    head = git("rev-parse", "--short=7", "HEAD", check=True).stdout.strip()
    differs = git("diff", "--quiet", "HEAD", "--", "operator/src", check=False).returncode
    return f"{head}-dirty" if differs else head


def dump(record: Record) -> str:
    return LINE.dump_json(record).decode()


def read(text: str) -> list[Record]:
    return [LINE.validate_json(line) for line in text.splitlines()]


def newest(records: Iterable[Record]) -> list[Record]:
    """The last one for each number of objects and choice of peers, the fewest objects first."""
    last = {(record.n, record.peer): record for record in records}
    return sorted(last.values(), key=lambda record: record.n)
