"""What is left to do after the end: Jobs that still run are deleted, and all after ttlSecondsAfterFinished."""

from datetime import datetime, timedelta

from bertfinetune_operator.decision.views import JobView, Observed


def due(
    ttl_seconds: int | None, ended_at: datetime, observed: Observed, now: datetime
) -> tuple[tuple[JobView, ...], datetime | None]:
    """The Jobs to delete now, with their pods, and when to look again; nothing is ever created."""
    jobs = tuple(job for job in observed.jobs if not job.deleting)
    active = tuple(job for job in jobs if job.state == "Active")
    if ttl_seconds is None or not jobs:
        return active, None
    expires = ended_at + timedelta(seconds=ttl_seconds)
    return (jobs, None) if now >= expires else (active, expires)
