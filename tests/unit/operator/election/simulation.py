"""One Lease in a simulated API server, in the event loop's time."""

import asyncio
import copy
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from bertfinetune_operator.errors import ClusterError, ConflictError, NotFoundError
from bertfinetune_operator.kinds import Object

Raw = dict[str, Any]


def now() -> float:
    return asyncio.get_running_loop().time()


Fault = tuple[float, float, str]
"""Seconds before and after the request has its effect, and when it fails: never (""), before it, or after it."""

OK: Fault = (0.01, 0.01, "")


class Server:
    """One Lease in an API server."""

    def __init__(self) -> None:
        self.lease: Raw | None = None
        self.writes: list[float] = []

    def read(self) -> Raw:
        if self.lease is None:
            raise NotFoundError("lease")
        return self.lease

    def create(self, spec: Raw) -> Raw:
        if self.lease is not None:
            raise ConflictError("exists")
        return self._store({"resourceVersion": "0"}, spec)

    def replace(self, lease: Object, spec: Raw) -> Raw:
        if self.lease is None or self.lease["metadata"] != lease["metadata"]:
            raise ConflictError("changed")
        return self._store(self.lease["metadata"], spec)

    def _store(self, meta: Raw, spec: Raw) -> Raw:
        self.writes.append(now())
        self.lease = {"metadata": {"resourceVersion": str(int(meta["resourceVersion"]) + 1)}, "spec": spec}
        return self.lease


class Network:
    """One replica's way to the server. Each request fares as the next of `faults` says, and then well."""

    def __init__(self, server: Server, faults: Iterable[Fault] = ()) -> None:
        self._server = server
        self.faults = deque(faults)

    async def get_lease(self, _namespace: str, _name: str) -> Object:
        return await self._serve(self._server.read)

    async def create_lease(self, _namespace: str, _name: str, spec: Raw) -> Object:
        return await self._serve(lambda: self._server.create(spec))

    async def replace_lease(self, lease: Object, spec: Raw) -> Object:
        return await self._serve(lambda: self._server.replace(lease, spec))

    async def _serve(self, work: Callable[[], Raw]) -> Raw:
        before, after, wrong = self.faults.popleft() if self.faults else OK
        await asyncio.sleep(before)
        if wrong == "before":
            raise ClusterError("connection refused")
        answer = copy.deepcopy(work())
        await asyncio.sleep(after)
        if wrong == "after":
            raise ClusterError("connection reset")
        return answer
