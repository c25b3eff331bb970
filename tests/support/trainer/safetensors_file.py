"""Files in the format of safetensors, valid and not."""

import json
import struct
from typing import Any, Dict, Optional

import numpy as np

State = Dict[str, np.ndarray]


def pack(header: Any, data: bytes = b"", length: Optional[int] = None) -> bytes:
    """Write a safetensors file from any header, honest or not."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode("utf-8")
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def encode(tensors: State) -> bytes:
    """Write a valid safetensors file."""
    header: Dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, array in tensors.items():
        dtype = {"float32": "F32", "int64": "I64"}[array.dtype.name]
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    return pack(header, data)
