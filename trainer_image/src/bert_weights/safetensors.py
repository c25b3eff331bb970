"""Reader for the safetensors format (https://github.com/huggingface/safetensors, section "Format")."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from . import WeightsError

LENGTH = struct.Struct("<Q")
# The bound of the reference implementation: a longer header is an attack on the JSON parser, not a model.
MAX_HEADER_BYTES = 100_000_000
DTYPES = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}


def parse(content: bytes) -> dict[str, np.ndarray]:
    """Return read-only views into ``content``, by tensor name.

    Raises:
        WeightsError: the header is not one of the format, or the tensors do not tile the data exactly.
    """
    header, data = _split(content)
    tensors = {}
    position = 0
    for name, entry in sorted(header.items(), key=lambda item: _offsets(*item)):
        begin, end = _offsets(name, entry)
        dtype, shape = _dtype(name, entry), _shape(name, entry)
        # Exact integers: NumPy's product would wrap around on a hostile shape.
        size = dtype.itemsize
        for dimension in shape:
            size *= dimension
        if begin != position:
            _refuse(
                f"tensor {name!r} begins at byte {begin}, expected {position} (tensors may not overlap or leave holes)"
            )
        if end - begin != size:
            _refuse(f"tensor {name!r} has {end - begin} bytes, its shape {shape} needs {size}")
        if end > len(data):
            _refuse(f"tensor {name!r} ends at byte {end}, the data has {len(data)}")
        tensors[name] = np.frombuffer(data[begin:end], dtype).reshape(shape)
        position = end
    if position != len(data):
        _refuse(f"{len(data) - position} bytes after the last tensor belong to none")
    return tensors


def _split(content: bytes) -> tuple[dict[str, Any], memoryview]:
    if len(content) < LENGTH.size:
        _refuse(f"{len(content)} bytes are too few for the header length")
    (length,) = LENGTH.unpack_from(content)
    available = len(content) - LENGTH.size
    if length > min(available, MAX_HEADER_BYTES):
        _refuse(f"the header claims {length} bytes, {available} follow and {MAX_HEADER_BYTES} are allowed")
    start = LENGTH.size + length
    try:
        header = json.loads(content[LENGTH.size : start].decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"safetensors: the header is not JSON: {error}. Fetch the file again.") from error
    if not isinstance(header, dict):
        _refuse(f"the header is a {type(header).__name__}, expected an object")
    header.pop("__metadata__", None)
    return header, memoryview(content)[start:]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice")
    return result


def _field(name: str, entry: Any, field: str) -> Any:
    if not isinstance(entry, dict) or field not in entry:
        _refuse(f"tensor {name!r} has no {field}")
    return entry[field]


def _naturals(name: str, entry: Any, field: str) -> tuple[int, ...]:
    values = _field(name, entry, field)
    if not isinstance(values, list) or not all(type(value) is int and value >= 0 for value in values):
        _refuse(f"tensor {name!r} has {field} {values!r}, expected a list of integers from 0 up")
    return tuple(values)


def _offsets(name: str, entry: Any) -> tuple[int, int]:
    offsets = _naturals(name, entry, "data_offsets")
    if len(offsets) != 2:
        _refuse(f"tensor {name!r} has data_offsets {list(offsets)}, expected [begin, end]")
    return offsets[0], offsets[1]


def _shape(name: str, entry: Any) -> tuple[int, ...]:
    return _naturals(name, entry, "shape")


def _dtype(name: str, entry: Any) -> np.dtype:
    dtype = _field(name, entry, "dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        _refuse(f"tensor {name!r} has dtype {dtype!r}, expected one of {', '.join(DTYPES)}")
    return DTYPES[dtype]


def _refuse(problem: str) -> None:
    raise WeightsError(f"safetensors: {problem}. Fetch the file again.")
