"""spec.suspend: the Job goes, its pod saves a checkpoint and ends, and a new attempt goes on from there."""

from bertfinetune_operator.policy import node_loss
from bertfinetune_operator.run import Run, Stage, Verdict


def verdict(run: Run) -> Verdict | None:
    """Deleting the Job, and not setting its own suspend field, leaves that field to Kueue."""
    if not run.obj.spec.suspend:
        return None
    delete = tuple(job for job in run.observed.jobs if job.state == "Active" and not job.deleting)
    if pod := run.alive:
        message = f"pod {pod.name} saves a checkpoint and ends"
        return Verdict(Stage("Suspended", "Stopping", message), delete=delete, wake_at=node_loss.known_at(run))
    progress = run.status.progress
    where = f" from step {progress.step}" if progress and progress.step else ""
    return Verdict(
        Stage("Suspended", "Suspended", f"set spec.suspend to false to go on{where} or an earlier checkpoint"),
        delete=delete,
    )
