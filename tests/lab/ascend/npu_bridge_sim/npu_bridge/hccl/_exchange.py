"""How the simulated ranks of one server exchange arrays: through rank 0, over a Unix socket.

Every rank must run the same collective operations in the same order, as on the cards. A rank that is gone is not
noticed, as on the cards: the others wait until HCCL_EXEC_TIMEOUT.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from multiprocessing.connection import Connection
from typing import Any, Callable, Iterator

import numpy as np
import tensorflow as tf

from npu_bridge import _simulation

_CHAIN = "npu_bridge_simulated_collectives"
_Combine = Callable[[list], Any]
_world: _World | None = None


def collective(tensor: tf.Tensor, tag: str, combine: _Combine, shape: Any) -> tf.Tensor:
    """Return an operation that gives every rank what `combine` makes of all ranks' tensors, in their order."""
    earlier = tf.compat.v1.get_collection_ref(_CHAIN)
    tag = f"{len(earlier)}: {tag}"

    def run(array: np.ndarray) -> np.ndarray:
        return _joined().exchange(tag, array, combine)

    with tf.control_dependencies(earlier[-1:]):  # one after the other, in one order on all ranks
        result = tf.compat.v1.py_func(run, [tensor], tensor.dtype, stateful=True)
    result.set_shape(shape)
    earlier.append(result)
    return result


@contextlib.contextmanager
def in_an_order_of_their_own() -> Iterator[None]:
    """Collective operations made in the block do not wait for those made before it, nor later ones for them."""
    chain = tf.compat.v1.get_collection_ref(_CHAIN)
    others = list(chain)
    del chain[:]
    try:
        yield
    finally:
        chain[:] = others


def _joined() -> _World:
    global _world  # noqa: PLW0603 a process joins once
    if _world is None:
        _world = _World(_simulation.rank_id(), _simulation.rank_size())
    return _world


class _World:
    """This process's connections: rank 0's to all others, another's to rank 0."""

    def __init__(self, rank: int, size: int) -> None:
        """Wait for the others, up to HCCL_CONNECT_TIMEOUT."""
        self._rank = rank
        deadline = time.monotonic() + _seconds("HCCL_CONNECT_TIMEOUT", 120)
        # An abstract address: nothing is left behind, and the network namespace of a pod has its own.
        job = os.path.realpath(os.environ["RANK_TABLE_FILE"]) + os.environ["JOB_ID"]
        address = "\0ascend-sim-" + hashlib.sha256(job.encode()).hexdigest()
        connect = self._accept if rank == 0 else self._connect
        try:
            self._peers = connect(address, size, deadline)
        except socket.timeout:
            raise RuntimeError("[HCCL] not all ranks came within HCCL_CONNECT_TIMEOUT") from None

    @staticmethod
    def _accept(address: str, size: int, deadline: float) -> list[Connection]:
        peers = {}
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen(size)
            while len(peers) < size - 1:
                listener.settimeout(max(0.001, deadline - time.monotonic()))
                peer = Connection(listener.accept()[0].detach())
                peers[peer.recv()] = peer
        return [peers[rank] for rank in range(1, size)]

    def _connect(self, address: str, size: int, deadline: float) -> list[Connection]:  # noqa: ARG002
        while True:
            with socket.socket(socket.AF_UNIX) as connection:
                try:
                    connection.connect(address)
                except ConnectionRefusedError:
                    if time.monotonic() > deadline:
                        raise socket.timeout from None
                    time.sleep(0.05)
                    continue
                peer = Connection(connection.detach())
            peer.send(self._rank)
            return [peer]

    def exchange(self, tag: str, array: np.ndarray, combine: _Combine) -> np.ndarray:
        """Return what rank 0 combined; another operation than rank 0's is a bug of the program."""
        deadline = time.monotonic() + _seconds("HCCL_EXEC_TIMEOUT", 120)
        try:
            if self._rank:
                self._peers[0].send((tag, array))
                return _receive(self._peers[0], deadline)
            arrays = [array]
            for rank, peer in enumerate(self._peers, 1):
                its_tag, its_array = _receive(peer, deadline)
                if its_tag != tag:
                    raise RuntimeError(f"[HCCL] rank {rank} runs {its_tag!r} while rank 0 runs {tag!r}")
                arrays.append(its_array)
            result = np.asarray(combine(arrays), array.dtype)
            for peer in self._peers:
                peer.send(result)
        except (EOFError, ConnectionError):
            time.sleep(max(0.0, deadline - time.monotonic()))
            raise RuntimeError("[HCCL] a rank did not answer within HCCL_EXEC_TIMEOUT") from None
        return result


def _receive(peer: Connection, deadline: float) -> Any:
    if not peer.poll(max(0.0, deadline - time.monotonic())):
        raise RuntimeError("[HCCL] a rank did not answer within HCCL_EXEC_TIMEOUT")
    return peer.recv()


def _seconds(variable: str, default: float) -> float:
    return float(os.environ.get(variable, default))
