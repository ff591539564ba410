"""Who does the work of many simulations: what runs them takes an executor, and never makes one.

An executor does tasks, wherever it has the room for it, and answers in the order of the tasks; so what comes of them
does not depend on how many were at work or who was quicker.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol, Self

from simroom.study.pool import Answer, Pool, Task

LIMIT_SECONDS: Final = 7 * 24 * 3600.0
"""How long a task may take where nobody says otherwise: longer than anybody waits."""


class Executor(Protocol):
    """Does tasks, several at once perhaps."""

    def map_in_order(self, tasks: Iterable[Task]) -> Iterator[Answer[Any]]:
        """Do all tasks.

        Args:
            tasks: Must survive pickling. They are taken as they can be begun, somewhat ahead of the answers.

        Yields:
            One answer for each, in the order of the tasks. Who has heard enough closes the iterator: then what is under
            way is given up.

        Raises:
            WorkError: A task raised.
        """
        ...


class Local:
    """Processes of this machine; use it as a context, so that none is left behind.

    Args:
        jobs: How many at once, 1 or more.
        limit_seconds: How long a task may take by the clock on the wall.
    """

    def __init__(self, jobs: int, *, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._jobs = jobs
        self._limit_seconds = limit_seconds
        self._pool = Pool(jobs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(*error)

    def map_in_order(self, tasks: Iterable[Task]) -> Iterator[Answer[Any]]:
        """As of ``Executor``; one call after the other."""
        pool, done = self._pool, False
        try:
            yield from pool.in_order(tasks, limit_seconds=self._limit_seconds)
            done = True
        finally:
            if not done:
                # Workers that are still busy with what nobody waits for must not answer the next call.
                self._pool = Pool(self._jobs)
                pool.__exit__()


def processors() -> int:
    """How many processes can be at work at once here."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
