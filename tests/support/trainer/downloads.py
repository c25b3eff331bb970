"""What tests of downloads share: keys, digests and no pauses."""

import hashlib

import pytest

from bert_trainer.fetch import transfer as room

KEYS = {"AWS_ACCESS_KEY_ID": "an-access-key", "AWS_SECRET_ACCESS_KEY": "a-secret-key"}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FIRST_PAUSE_SECONDS", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", *KEYS):
        monkeypatch.delenv(name, raising=False)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
