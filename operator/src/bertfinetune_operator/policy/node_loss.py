"""A pod whose node is gone: its Job would wait for its end for ever, so the attempt ends without it."""

from datetime import datetime

from bertfinetune_operator.observe import LOST_AFTER
from bertfinetune_operator.policy import retry
from bertfinetune_operator.run import Run, Verdict
from bertfinetune_operator.status import Failure


def verdict(run: Run) -> Verdict | None:
    """The next attempt, uncounted, once a pod has outlived its grace period by a minute."""
    pod = run.pod
    if run.next_attempt_time or pod is None or run.job is None or not pod.is_lost(run.now):
        return None
    message = "the node has stopped answering: the pod did not end within its grace period"
    failure = Failure(pod=pod.name, node=pod.node, class_="NodeLost", message=message)
    return retry.next_attempt(run, failure, run.now, counted=False)


def known_at(run: Run) -> datetime | None:
    """When a pod that is being deleted counts as lost, if it has not ended by then."""
    lasting = [pod for pod in run.observed.pods if pod.is_alive or pod.held]
    stopping = [pod.stops_at + LOST_AFTER for pod in lasting if pod.stops_at]
    return min((time for time in stopping if time > run.now), default=None)
