"""Answers one request from a SavedModel with TensorFlow's C API alone: no tensorflow package, no bert_trainer.

``TF_LoadSessionFromSavedModel`` is the C name of ``tensorflow::LoadSavedModel`` (tensorflow/cc/saved_model/loader.h),
the function by which TensorFlow Serving reads a version's folder; the package's own loader is another, in Python.

Usage: serve_by_c_api.py LIBRARY FOLDER INPUTS.npz OUTPUTS.npz OUTPUT=TENSOR...
The inputs' names are those of placeholders.
"""

import ctypes
import sys
from typing import Dict, List, Tuple

import numpy as np

TYPES = {np.dtype(np.float32): 1, np.dtype(np.int32): 3}  # TF_DataType
POINTERS = (
    "NewSessionOptions NewGraph NewStatus LoadSessionFromSavedModel GraphOperationByName AllocateTensor TensorData"
)


class Output(ctypes.Structure):
    """TF_Output: a tensor of the graph."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Model:
    """A SavedModel's graph, tagged ``serve``, in a session."""

    def __init__(self, library: str, folder: str) -> None:
        self._c = ctypes.CDLL(library)
        for name in POINTERS.split():
            getattr(self._c, "TF_" + name).restype = ctypes.c_void_p
        self._c.TF_Message.restype = ctypes.c_char_p
        self._c.TF_Dim.restype = ctypes.c_int64
        self._graph = ctypes.c_void_p(self._c.TF_NewGraph())
        self._status = ctypes.c_void_p(self._c.TF_NewStatus())
        options = ctypes.c_void_p(self._c.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        load = self._c.TF_LoadSessionFromSavedModel
        session = load(options, None, folder.encode(), tags, 1, self._graph, None, self._status)
        self._check()
        self._session = ctypes.c_void_p(session)

    def run(self, inputs: Dict[str, np.ndarray], names: List[str]) -> List[np.ndarray]:
        """Returns the float32 tensors of these names."""
        fed = (Output * len(inputs))(*(self._output(name + ":0") for name in inputs))
        values = (ctypes.c_void_p * len(inputs))(*map(self._tensor, inputs.values()))
        fetched = (Output * len(names))(*map(self._output, names))
        answers = (ctypes.c_void_p * len(names))()
        fetch = (fetched, answers, len(names))
        self._c.TF_SessionRun(self._session, None, fed, values, len(inputs), *fetch, None, 0, None, self._status)
        self._check()
        return [self._array(ctypes.c_void_p(answer)) for answer in answers]

    def _output(self, name: str) -> Output:
        operation, _, index = name.partition(":")
        found = self._c.TF_GraphOperationByName(self._graph, operation.encode())
        assert found, operation
        return Output(found, int(index))

    def _tensor(self, array: np.ndarray) -> int:
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        size = ctypes.c_size_t(array.nbytes)
        tensor: int = self._c.TF_AllocateTensor(TYPES[array.dtype], shape, array.ndim, size)
        ctypes.memmove(self._c.TF_TensorData(ctypes.c_void_p(tensor)), array.tobytes(), array.nbytes)
        return tensor

    def _array(self, tensor: ctypes.c_void_p) -> np.ndarray:
        assert self._c.TF_TensorType(tensor) == TYPES[np.dtype(np.float32)]
        shape = tuple(self._c.TF_Dim(tensor, axis) for axis in range(self._c.TF_NumDims(tensor)))
        data = ctypes.string_at(self._c.TF_TensorData(tensor), 4 * int(np.prod(shape)))
        return np.frombuffer(data, np.float32).reshape(shape)

    def _check(self) -> None:
        if self._c.TF_GetCode(self._status):
            sys.exit(self._c.TF_Message(self._status).decode())


def main(library: str, folder: str, inputs: str, outputs: str, *tensors: str) -> None:
    names: List[Tuple[str, str]] = [(name, tensor) for name, _, tensor in (pair.partition("=") for pair in tensors)]
    answers = Model(library, folder).run(dict(np.load(inputs)), [tensor for _, tensor in names])
    assert not {"tensorflow", "tensorflow_core", "bert_trainer"} & set(sys.modules)
    np.savez(outputs, **dict(zip((name for name, _ in names), answers)))


if __name__ == "__main__":
    main(*sys.argv[1:])
