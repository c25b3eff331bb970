import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertfinetune_operator.decision.next_status import format_duration, merge_patch

leaves = st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
documents = st.recursive(
    st.dictionaries(st.sampled_from("abc"), leaves),
    lambda inner: st.dictionaries(st.sampled_from("abc"), leaves | inner),
    max_leaves=8,
)


def merged(target: Any, patch: Any) -> Any:
    """MergePatch as section 2 of RFC 7396 writes it down."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@given(documents, documents)
def test_the_patch_turns_old_into_new(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = copy.deepcopy(old)
    assert merged(old, merge_patch(old, new)) == new
    assert old == before


@given(documents)
def test_no_change_no_patch(document: dict[str, Any]) -> None:
    assert merge_patch(document, document) == {}


@given(documents, documents)
def test_only_what_changed_is_sent(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert not [key for key, value in merge_patch(old, new).items() if key in old and old[key] == value]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m0s"), (372, "6m12s"), (3600, "1h0m0s"), (3723, "1h2m3s"), (90061, "25h1m1s")],
)
def test_duration(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text
