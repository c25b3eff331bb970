"""When the trainers' network policies are applied."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bertfinetune_operator.cluster.network_policies import NetworkPolicies
from bertfinetune_operator.informer.index import Index
from support import builders as make
from support.fake_cluster import FakeCluster

SPECS: dict[str, dict[str, Any]] = {"trainer": {}, "downloads": {}}
APPLIED = ["apply_network_policy research/trainer", "apply_network_policy research/downloads"]


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster(Index(), make.job())


async def test_network_policies_are_applied_once_and_again_after_a_while(cluster: FakeCluster) -> None:
    now = make.NOW
    policies = NetworkPolicies(cluster, SPECS, lambda: now)  # ty: ignore[invalid-argument-type]
    for minutes, applied in ((0, APPLIED), (9, []), (2, APPLIED), (9, [])):  # somebody may have changed them
        now += timedelta(minutes=minutes)
        await policies.ensure("research")
        assert cluster.calls == applied, minutes
        del cluster.calls[:]
    await policies.ensure("teaching")
    assert cluster.calls == [call.replace("research", "teaching") for call in APPLIED]


async def test_workers_that_begin_together_apply_the_policies_once(cluster: FakeCluster) -> None:
    policies = NetworkPolicies(cluster, SPECS, lambda: make.NOW)  # ty: ignore[invalid-argument-type]
    await asyncio.gather(*(policies.ensure("research") for _ in range(4)))
    assert cluster.calls == APPLIED
