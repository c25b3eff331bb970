"""The trainers' network policies, put into each namespace where there are trainers: a chart cannot know which."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bertfinetune_operator.cluster.client import Cluster
from bertfinetune_operator.errors import RefusedError
from bertfinetune_operator.manifests.network_policy import network_policy

APPLY_AGAIN = timedelta(minutes=10)
"""A namespace whose policy somebody has changed or deleted gets it again after this time."""


class NetworkPolicies:
    """Applies the policies of `specs`, by name, where they have not been applied for a while."""

    def __init__(self, cluster: Cluster, specs: Mapping[str, Mapping[str, Any]], clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._specs = specs
        self._clock = clock
        self._applied: dict[str, datetime] = {}
        """When they were last applied, by namespace."""
        self._lock = asyncio.Lock()

    async def ensure(self, namespace: str) -> None:
        """See to it that the namespace's pods, present and future ones, are under the policies; raise ClusterError."""
        if self._is_due(namespace):  # where nothing is due nobody waits for a request about another namespace
            async with self._lock:  # else each worker would apply them at the beginning of a burst
                if self._is_due(namespace):
                    await self._apply(namespace)

    def forget(self, namespace: str) -> None:
        """Something in the namespace was deleted, and perhaps all of it: what is made there next has no policies."""
        self._applied.pop(namespace, None)

    def _is_due(self, namespace: str) -> bool:
        applied = self._applied.get(namespace)
        return applied is None or self._clock() >= applied + APPLY_AGAIN

    async def _apply(self, namespace: str) -> None:
        now = self._clock()
        for name, spec in self._specs.items():
            try:
                await self._cluster.apply_network_policy(network_policy(namespace, name, spec))
            except RefusedError as refusal:
                remedy = "let the operator apply it, or install the chart with networkPolicy.enabled=false"
                raise RefusedError(f"network policy {name}: {refusal}; {remedy}") from refusal
        self._applied[namespace] = now
