"""What a status may become, whatever a trainer says."""

from datetime import UTC, datetime

from bertfinetune_operator.api.spec import Quality
from bertfinetune_operator.api.status import BertFinetuneStatus, Condition, Failure, Result
from bertfinetune_operator.controller.answers import MAX_LOG_TAIL
from bertfinetune_operator.decision.policies.retry import MAX_AVOIDED
from bertfinetune_operator.decision.views import MAX_MESSAGE

TERMINATION_MESSAGE = 4096
"""Bytes that the kubelet keeps of what a container leaves in its termination log."""
STORED = 1_500_000
"""Bytes that etcd takes of an object; the spec has bounds of its own in the CRD."""


def test_the_largest_one_is_far_from_what_can_be_stored() -> None:
    says = "\N{REPLACEMENT CHARACTER}" * TERMINATION_MESSAGE  # three bytes, which one escape character has become
    message = says[:MAX_MESSAGE]
    condition = Condition(
        type="Succeeded",
        status="True",
        reason="Succeeded",
        message=message,
        last_transition_time=datetime(2026, 1, 2, tzinfo=UTC),
        observed_generation=1,
    )
    result = Result(collapsed=True, collapse_reason=says, checkpoint=says)
    [most_trials] = [bound.le for bound in Quality.model_fields["max_retries"].metadata if hasattr(bound, "le")]
    status = BertFinetuneStatus(
        message=message,
        conditions=[condition] * 10,
        result=result,
        trials=[result] * most_trials,
        last_failure=Failure(pod="p" * 253, class_="Unknown", message=message, log_tail=says[:MAX_LOG_TAIL]),
        avoided_nodes=["n" * 253] * MAX_AVOIDED,
    )
    assert len(status.model_dump_json().encode()) < STORED / 3
