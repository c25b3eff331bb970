"""Asks the API server what a decision wants to know and no watch tells."""

from bertfinetune_operator.api.status import printable
from bertfinetune_operator.cluster.client import Cluster
from bertfinetune_operator.decision import kueue, volcano
from bertfinetune_operator.decision.views import MAX_MESSAGE, Question
from bertfinetune_operator.errors import ForbiddenError, NotFoundError

MAX_LOG_TAIL = 2048
"""Bytes kept of a failed pod's log."""


async def answer(cluster: Cluster, namespace: str, question: Question) -> str:
    """The answer to a question about one of the object's children; "" if there is nothing to know.

    Raises:
        ClusterError: the API server does not answer.
    """
    match question.kind:
        case "log":
            return printable(await cluster.log_tail(namespace, question.name, question.part, MAX_LOG_TAIL))
        case "quiet":
            is_quiet = await cluster.is_quiet(namespace, question.name, question.part, question.seconds)
            return "quiet" if is_quiet else ""
        case "warning":
            return await cluster.newest_warning(namespace, question.part)
        case "podgroup":
            return volcano.unschedulable(await cluster.pod_group(namespace, question.name))
        case "workload":
            return await _why_held(cluster, namespace, question.part)


async def _why_held(cluster: Cluster, namespace: str, job_uid: str) -> str:
    try:
        return printable(kueue.why_held(await cluster.workloads(namespace, job_uid))[:MAX_MESSAGE])
    except NotFoundError:
        return kueue.NOT_INSTALLED
    except ForbiddenError:
        return kueue.UNREADABLE
