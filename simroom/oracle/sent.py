"""What the scheduler sent in one call, ticked off piece by piece as the rules account for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from simroom.oracle.ledger import NONE
from simroom.scheduler.messages import Addressed

if TYPE_CHECKING:
    from simroom.oracle.state import Job

M = TypeVar("M")


class Sent:
    """The outputs of one call.

    The rules order messages of one kind among themselves; between kinds they mostly leave the order open. So a piece
    is looked for among those of its kind, and ``turned`` says whether it stood before one that should have come
    earlier.

    Attributes:
        now: Instant of the call.
        items: The outputs as the scheduler returned them.
        rows: Ledger rows of the results, by position in ``items``.
        turned: Whether the piece taken last stood before another of its kind that was taken earlier.
        about: The job that the input was about, even if it has ended; None: about none.
        utterance_row: Ledger row of the utterance that the input was; ``NONE``: it was none.
    """

    __slots__ = ("_first", "_last", "_ticked", "about", "items", "now", "position", "rows", "turned", "utterance_row")

    def __init__(self, items: list[Addressed], now: int) -> None:
        self.items = items
        self.now = now
        self.rows: dict[int, int] = {}
        self.turned = False
        self.position = NONE
        self.about: Job | None = None
        self.utterance_row = NONE
        self._first = 0
        self._ticked = bytearray(len(items))
        self._last: dict[type, int] = {}

    def find(self, kind: type[M], wanted: Callable[[tuple[int, ...], M], bool]) -> int:
        """Position of the first piece of this kind that is wanted and not ticked off; ``NONE``: there is none."""
        items = self.items
        ticked = self._ticked
        for position in range(self._first, len(items)):
            if ticked[position]:
                continue
            to, message = items[position]
            if type(message) is kind and wanted(to, message):
                return position
        return NONE

    def take(self, kind: type[M], wanted: Callable[[tuple[int, ...], M], bool]) -> tuple[tuple[int, ...], M] | None:
        """Tick off the first piece of this kind that is wanted; None: there is none."""
        position = self.find(kind, wanted)
        if position == NONE:
            return None
        self.tick(position)
        to, message = self.items[position]
        return to, message  # type: ignore[return-value]

    def take_to(self, kind: type[M], connection: int) -> M | None:
        """Tick off the first piece of this kind that goes to this connection alone; None: there is none."""
        taken = self.take(kind, lambda to, _: to == (connection,))
        return None if taken is None else taken[1]

    def tick(self, position: int) -> None:
        """Tick off the piece at ``position``."""
        self._ticked[position] = 1
        self.position = position
        kind = type(self.items[position][1])
        last = self._last.get(kind, NONE)
        self.turned = position < last
        if not self.turned:
            self._last[kind] = position
        first = self._first
        while first < len(self._ticked) and self._ticked[first]:
            first += 1
        self._first = first

    def rest(self) -> Iterator[tuple[int, tuple[int, ...], Any]]:
        """What has not been ticked off, in order, as ``(position, connections, message)``."""
        for position in range(self._first, len(self.items)):
            if not self._ticked[position]:
                to, message = self.items[position]
                yield position, to, message
