"""A pod whose node is gone: its Job would wait for its end for ever, so the attempt ends without it."""

from datetime import datetime

from bertfinetune_operator.api.status import Failure
from bertfinetune_operator.decision.policies import retry
from bertfinetune_operator.decision.situation import Situation, Verdict
from bertfinetune_operator.decision.views import LOST_AFTER


def verdict(situation: Situation) -> Verdict | None:
    """The next attempt, uncounted, once a pod has outlived its grace period by a minute."""
    pod = situation.pod
    if situation.next_attempt_time or pod is None or situation.job is None or not pod.is_lost(situation.now):
        return None
    message = "the node has stopped answering: the pod did not end within its grace period"
    failure = Failure(pod=pod.name, node=pod.node, class_="NodeLost", message=message)
    return retry.next_attempt(situation, failure, situation.now, counted=False)


def known_at(situation: Situation) -> datetime | None:
    """When a pod that is being deleted counts as lost, if it has not ended by then."""
    lasting = [pod for pod in situation.observed.pods if pod.is_alive or pod.held]
    stopping = [pod.stops_at + LOST_AFTER for pod in lasting if pod.stops_at]
    return min((time for time in stopping if time > situation.now), default=None)
