"""The manifest of an event."""

from bertfinetune_operator.manifests.event import MAX_NOTE, Event, event_manifest
from support import builders as make


def test_an_event_is_one_a_reason_and_attempt_and_fits() -> None:
    def name(message: str, attempt: int = 0) -> str:
        event = event_manifest(make.bertfinetune(), Event("Warning", "Failed", message, attempt), make.NOW)
        assert len(event["note"]) <= MAX_NOTE
        return str(event["metadata"]["name"])

    assert name("Storage: disk full at step 7") == name("Storage: disk full at step 9" + "!" * 2000)
    assert name("Storage: disk full") != name("OOMKilled: Killed")
    assert name("Storage: disk full") != name("Storage: disk full", 1)
