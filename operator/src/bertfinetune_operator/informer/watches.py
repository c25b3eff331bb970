"""When each watch last brought anything, and so whether it is alive."""

import time
from collections.abc import Callable, Iterable

from bertfinetune_operator.kinds import Resource

PATIENCE = 3
"""A watch that is silent for so many of its timeouts, each of which should have renewed it, is dead."""


class Watches:
    """When something last arrived on each watch: an object, a bookmark, or the answer that begins a watch or a list."""

    def __init__(
        self,
        resources: Iterable[Resource],
        namespaces: Iterable[str],
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._limit = PATIENCE * timeout
        self._plurals = {
            resource.path(namespace): resource.plural for resource in resources for namespace in namespaces or (None,)
        }
        self._arrived: dict[str, float] = {}

    def start(self) -> None:
        """The watches are about to begin; before, none of them has an age."""
        self._arrived = dict.fromkeys(self._plurals, self._clock())

    def age(self, plural: str) -> float:
        """Seconds since something arrived for a resource; of several namespaces the one that waits longest counts."""
        arrived = [at for path, at in self._arrived.items() if self._plurals[path] == plural]
        return self._clock() - min(arrived) if arrived else 0.0

    def failure(self) -> str:
        """Which watches are dead, or ""."""
        ages = {plural: self.age(plural) for plural in sorted(set(self._plurals.values()))}
        return "; ".join(
            f"the watch of {p} has been silent for {age:.0f} s" for p, age in ages.items() if age > self._limit
        )

    def hear(self, path: str) -> None:
        """Something arrived at this path."""
        self._arrived[path] = self._clock()
