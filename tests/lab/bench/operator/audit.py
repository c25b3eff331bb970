"""Reads the API server's audit log: who asked for what, and when."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from lab.bench.operator.objects import Raw


class Call(NamedTuple):
    """A verb on a resource, for instance patch of bertfinetunes/status."""

    verb: str
    resource: str


@dataclass(frozen=True)
class Entry:
    """One request that the API server has answered, or a watch that it has opened."""

    user: str
    call: Call
    namespace: str
    name: str
    code: int
    received: datetime
    answered: datetime


def read(log: Path) -> list[Entry]:
    """All entries so far; a last line that is still being written is left for the next time."""
    if not log.exists():  # the server makes it with the first entry
        return []
    lines = log.read_text().split("\n")[:-1]
    return [entry for line in lines if (entry := parse(json.loads(line)))]


def parse(raw: Raw) -> Entry | None:
    """An entry; None for requests of no resource, as that for the server's version."""
    target = raw.get("objectRef")
    if not target:
        return None
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    return Entry(
        user=raw["user"]["username"],
        call=Call(raw["verb"], resource),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        code=raw.get("responseStatus", {}).get("code", 0),
        received=datetime.fromisoformat(raw["requestReceivedTimestamp"]),
        answered=datetime.fromisoformat(raw["stageTimestamp"]),
    )


def count(entries: Iterable[Entry]) -> Counter[Call]:
    """How often each call was made, refused ones included."""
    return Counter(entry.call for entry in entries)


def refused(entries: Iterable[Entry], *namespaces: str) -> list[Entry]:
    """Requests in these namespaces ("" for none) that the API server forbade.

    In a namespace on its way out, as those of tests before this one are, it forbids whatever is new, whoever asks.
    """
    return [entry for entry in entries if entry.code == 403 and entry.namespace in namespaces]


def latencies_ms(entries: Iterable[Entry], parents: str, children: str, owners: Mapping[str, str]) -> list[float]:
    """Milliseconds from the arrival of an object's create to the stored child, by ``owners``: child's name to object's.

    The child's own creation is in it, so that it ends when a user could see the child.
    """
    applied: dict[str, datetime] = {}
    stored: dict[str, datetime] = {}
    for entry in entries:
        if entry.call == Call("create", parents):
            applied[entry.name] = entry.received
        elif entry.call == Call("create", children) and entry.code == 201:
            stored[entry.name] = entry.answered
    return [1000 * (stored[child] - applied[owner]).total_seconds() for child, owner in owners.items()]
