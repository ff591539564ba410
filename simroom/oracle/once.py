"""I2: nobody gets a result twice."""

from __future__ import annotations

from simroom.oracle.mirror import Mirror
from simroom.oracle.state import Job


class Once:
    """The judge of I2."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def judge(self, job: Job, actual: tuple[int, ...], now: int) -> None:
        """Judge one message's addressees against each other and against those who have the result already."""
        seen: dict[int, None] = dict.fromkeys(job.sent_to)
        twice: dict[int, None] = {}
        for connection in actual:
            if connection in seen:
                twice[connection] = None
            seen[connection] = None
        if twice:
            self.repeated(job, tuple(twice), now)

    def repeated(self, job: Job, again: tuple[int, ...], now: int) -> None:
        """These got the result once more."""
        who = self._mirror.names(again)
        self._mirror.findings.add(
            "I2", "duplicate", now, f"{', '.join(who[:3])} got it more than once", job=job, recipients=who
        )
