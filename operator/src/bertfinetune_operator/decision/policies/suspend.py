"""spec.suspend: the Job goes, its pod saves a checkpoint and ends, and a new attempt goes on from there."""

from bertfinetune_operator.decision.policies import node_loss
from bertfinetune_operator.decision.situation import Situation, Stage, Verdict


def verdict(situation: Situation) -> Verdict | None:
    """Deleting the Job, and not setting its own suspend field, leaves that field to Kueue."""
    if not situation.obj.spec.suspend:
        return None
    delete = tuple(job for job in situation.observed.jobs if job.state == "Active" and not job.deleting)
    if pod := situation.alive:
        message = f"pod {pod.name} saves a checkpoint and ends"
        return Verdict(Stage("Suspended", "Stopping", message), delete=delete, wake_at=node_loss.known_at(situation))
    progress = situation.status.progress
    where = f" from step {progress.step}" if progress and progress.step else ""
    return Verdict(
        Stage("Suspended", "Suspended", f"set spec.suspend to false to go on{where} or an earlier checkpoint"),
        delete=delete,
    )
