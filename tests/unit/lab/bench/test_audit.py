import json
from pathlib import Path
from typing import Any

from lab.bench.operator import audit
from lab.bench.operator.audit import Call


def line(verb: str, resource: str, name: str = "", *, at: str, code: int = 201, **target: str) -> dict[str, Any]:
    return {
        "user": {"username": "somebody"},
        "verb": verb,
        "objectRef": {"resource": resource, "name": name} | target,
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": f"2026-01-02T03:00:{at}Z",
        "stageTimestamp": f"2026-01-02T03:00:{at[:-1]}5Z",
    }


def entries(*lines: dict[str, Any]) -> list[audit.Entry]:
    return [entry for raw in lines if (entry := audit.parse(raw))]


def test_a_line_that_is_being_written_waits(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    assert audit.read(log) == []
    version = line("get", "", at="00.0000") | {"objectRef": None}
    whole = [json.dumps(raw) for raw in (line("create", "jobs", "a", at="00.0000"), version)]
    log.write_text("\n".join([*whole, whole[0][:20]]))
    [entry] = audit.read(log)
    assert (entry.user, entry.call, entry.name, entry.code) == ("somebody", Call("create", "jobs"), "a", 201)
    assert (entry.answered - entry.received).total_seconds() == 0.0005


def test_calls_are_counted_by_verb_and_subresource() -> None:
    patch = line("patch", "bertfinetunes", "a", at="01.0000", code=409, subresource="status")
    calls = audit.count(
        entries(line("create", "jobs", at="00.0000"), patch, patch, line("watch", "pods", at="00.0000"))
    )
    expected = {Call("create", "jobs"): 1, Call("patch", "bertfinetunes/status"): 2, Call("watch", "pods"): 1}
    assert calls == expected


def test_latency_ends_with_the_stored_child() -> None:
    seen = entries(
        line("create", "bertfinetunes", "a", at="01.0000"),
        line("create", "bertfinetunes", "b", at="01.1000"),
        line("create", "jobs", "a-1", at="01.2000", code=409),
        line("create", "jobs", "a-1", at="01.3000"),
        line("create", "jobs", "b-1", at="01.3000"),
        line("create", "jobs", "somebody-elses", at="01.4000"),
    )
    assert audit.latencies_ms(seen, "bertfinetunes", "jobs", {"a-1": "a", "b-1": "b"}) == [300.5, 200.5]
