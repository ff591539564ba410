"""The next instant at which the scheduler wants to be woken."""

from __future__ import annotations


class Deadlines:
    """Keeps the earliest deadline that anybody noted; being woken too early costs nothing.

    Attributes:
        next: None: nothing is waited for.
    """

    __slots__ = ("next",)

    def __init__(self) -> None:
        self.next: int | None = None

    def note(self, due: int) -> None:
        """Something is to be done at ``due`` at the latest."""
        if self.next is None or due < self.next:
            self.next = due


def next_multiple(now: int, interval: int) -> int:
    """The first whole multiple of ``interval`` after ``now``."""
    return (now // interval + 1) * interval
