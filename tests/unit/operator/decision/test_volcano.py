"""What Volcano's PodGroups say."""

from typing import Any

import pytest

from bertfinetune_operator.decision.volcano import unschedulable


@pytest.mark.parametrize("group", [None, {}, {"status": {}}, {"status": {"conditions": [{"type": "Scheduled"}]}}])
def test_a_pod_group_that_says_nothing(group: dict[str, Any] | None) -> None:
    assert unschedulable(group) == ""
