"""A JSON merge patch applied, as the API server does it (RFC 7396)."""

from typing import Any

Raw = dict[str, Any]


def apply(document: Raw | None, patch: Raw | None) -> Raw:
    """The document after the patch; neither is changed."""
    merged = dict(document or {})
    for key, value in (patch or {}).items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            inner = merged.get(key)
            merged[key] = apply(inner if isinstance(inner, dict) else None, value)
        else:
            merged[key] = value
    return merged
