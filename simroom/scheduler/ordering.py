"""The order of results: whose turn it is among the living jobs of one speaker, room and language."""

from __future__ import annotations

from simroom.scheduler.jobs import Job


def is_due(job: Job) -> bool:
    """Whether the job is the oldest living one of its key whose turn was not given up."""
    order = job.order
    return order[0] is job or next_due(order) is job


def next_due(order: list[Job]) -> Job | None:
    """The oldest living job of the key whose turn was not given up; None: there is none."""
    for job in order:
        if not job.passed_over:
            return job
    return None


def pass_over_older(job: Job) -> None:
    """Give up the turns of every older job of the key that has no result yet."""
    for older in job.order:
        if older is job:
            return
        if older.result is None:
            older.passed_over = True
