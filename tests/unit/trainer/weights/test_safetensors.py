"""The safetensors reader: whatever is valid comes back equal, whatever is hostile is refused by name."""

import contextlib
import struct
from typing import Any, Dict, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bert_weights import WeightsError, safetensors
from support.trainer.safetensors_file import State, encode, pack

ARRAYS = npst.array_shapes(min_dims=0, max_dims=3, max_side=4).flatmap(
    lambda shape: npst.arrays(st.sampled_from([np.float32, np.int64]), shape)
)


def entry(begin: int, end: int, shape: Sequence[int] = (1,), dtype: Any = "F32") -> Dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@given(st.dictionaries(st.text(max_size=5), ARRAYS, max_size=4))
def test_what_was_packed_comes_back(tensors: State) -> None:
    tensors.pop("__metadata__", None)
    parsed = safetensors.parse(encode(tensors))
    assert set(parsed) == set(tensors)
    for name, array in tensors.items():
        assert parsed[name].dtype == array.dtype
        np.testing.assert_array_equal(parsed[name], array)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x01\x00", "too few for the header length"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "claims 18446744073709551615 bytes"),
        (pack(b"{}", length=3), "claims 3 bytes, 2 follow"),
        (pack(b"\xff{}"), "not JSON"),
        (pack(b"{" * 200_000), "not JSON"),
        (pack(b"[" * 200_000), "not JSON"),
        (pack(b"[]"), "is a list"),
        (pack(b'{"a": 1, "a": 2}'), "occurs twice"),
        (pack({"a": 1}), "'a' has no data_offsets"),
        (pack({"a": {"data_offsets": [0, 4], "shape": [1]}}, bytes(4)), "'a' has no dtype"),
        (pack({"a": {"data_offsets": [0, 4], "dtype": "F32"}}, bytes(4)), "'a' has no shape"),
        (pack({"a": entry(0, 4, dtype="BF16")}, bytes(4)), "dtype 'BF16'"),
        (pack({"a": entry(0, 4, dtype=["F32"])}, bytes(4)), "dtype ['F32']"),
        (pack({"a": entry(-4, 0)}, bytes(4)), "data_offsets [-4, 0]"),
        (pack({"a": entry(0, True)}, bytes(4)), "data_offsets [0, True]"),
        (pack({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4]}}, bytes(4)), "expected [begin, end]"),
        (pack({"a": entry(0, 4, shape=[-1])}, bytes(4)), "shape [-1]"),
        (pack({"a": entry(0, 4, shape=[2])}, bytes(4)), "shape (2,) needs 8"),
        (pack({"a": entry(0, 0, shape=[2**32, 2**32])}), "needs 73786976294838206464"),
        (pack({"a": entry(4, 0)}, bytes(4)), "begins at byte 4"),
        (pack({"a": entry(0, 8, shape=[2])}, bytes(4)), "ends at byte 8, the data has 4"),
        (pack({"a": entry(0, 8, shape=[2]), "b": entry(4, 8)}, bytes(8)), "'b' begins at byte 4, expected 8"),
        (pack({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)), "'b' begins at byte 8, expected 4"),
        (pack({"a": entry(0, 4)}, bytes(6)), "2 bytes after the last tensor"),
    ],
)
def test_hostile_file_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(WeightsError) as raised:
        safetensors.parse(content)
    assert problem in str(raised.value)


def test_header_longer_than_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors, "MAX_HEADER_BYTES", 3)
    with pytest.raises(WeightsError, match="3 are allowed"):
        safetensors.parse(pack(b"{  }"))


@given(st.integers(0, 200), st.binary(min_size=1, max_size=4))
def test_damage_never_escapes_as_another_error(position: int, patch: bytes) -> None:
    content = encode({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((), np.int64)})
    position %= len(content)
    damaged = content[:position] + patch + content[position + len(patch) :]
    with contextlib.suppress(WeightsError):
        safetensors.parse(damaged)
