"""Virtual time: SimPy's environment with a second, lighter kind of entry in its queue.

A ``simpy.Environment`` queues ``(time, priority, number, event)``. Beside those this one queues
``(time, priority, number, None, act, argument)``: at that time ``act(argument)`` is called, without an event object.
Both kinds share one queue and one numbering, so they keep SimPy's order: time, then priority, then first queued first.
Time is whole microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

import simpy

NORMAL: Final = 1
"""Priority of ordinary entries, SimPy's own."""
AFTER_MESSAGES: Final = 2
"""Priority of what must see all ordinary entries of its instant first: the scheduler is woken so."""


class Engine(simpy.Environment):
    """A SimPy environment in which plain calls cost little; processes and events work as ever.

    Attributes:
        count: Entries handled so far, of both kinds.
        instant: The present, as ``now``, but a plain attribute and a whole number.
        queue: The queue itself, for those who push entries without a call: see ``call_at``.
        number: Gives the next entry its number.
    """

    def __init__(self) -> None:
        super().__init__(initial_time=0)
        self.count = 0
        self.instant = 0
        self.queue: list[Any] = self._queue
        self.number = self._eid.__next__

    def call_at(self, at: int, act: Callable[[Any], None], argument: Any = None, priority: int = NORMAL) -> None:
        """Have ``act(argument)`` called at ``at``, which must not be in the past."""
        heappush(self.queue, (at, priority, self.number(), None, act, argument))

    def interrupt(self) -> None:
        """Have ``KeyboardInterrupt`` raised between two entries, before the next one; for use in signal handlers."""
        heappush(self.queue, (self.instant, -1, self.number(), None, _interrupt, None))

    def advance(self, until: int) -> None:
        """Handle every entry up to and including ``until``, then stand at ``until``."""
        queue = self.queue
        pop = heappop
        count = 0
        try:
            while queue and queue[0][0] <= until:
                entry = pop(queue)
                self._now = self.instant = entry[0]
                count += 1
                if entry[3] is None:
                    entry[4](entry[5])
                else:
                    _process(entry[3])
        finally:
            self.count += count
        self._now = self.instant = until

    def step(self) -> None:
        """Handle the next entry, of either kind, so that ``run`` works as documented by SimPy.

        Raises:
            simpy.core.EmptySchedule: There is none.
        """
        if not self._queue:
            raise simpy.core.EmptySchedule
        entry: Any = heappop(self._queue)
        self._now = self.instant = entry[0]
        self.count += 1
        if entry[3] is None:
            entry[4](entry[5])
        else:
            _process(entry[3])


def _interrupt(_argument: object) -> None:
    raise KeyboardInterrupt


def _process(event: Any) -> None:
    """Call what waits for a SimPy event, as ``Environment.step`` does."""
    callbacks, event.callbacks = event.callbacks, None
    for callback in callbacks:
        callback(event)
    if not event._ok and not hasattr(event, "_defused"):
        raise event._value
