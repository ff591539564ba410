"""Virtual time: SimPy's environment with a second, lighter kind of entry, in a queue of two levels.

A ``simpy.Environment`` queues ``(time, priority, number, event)``. Beside those this one queues
``(time, priority, number, None, act, argument)``: at that time ``act(argument)`` is called, without an event object.
Both kinds share one numbering, so they keep SimPy's order: time, then priority, then first queued first. Time is whole
microseconds.

Entries of the near future stand in a heap, SimPy's own; those further off wait unsorted, one list for each
``2**WINDOW_BITS`` microseconds, until their window begins. The heap stays small and in the processor's caches however
much is pending (a calendar queue's idea, Brown 1988, with a heap for the present day).
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final

import simpy

NORMAL: Final = 1
"""Priority of ordinary entries, SimPy's own."""
AFTER_MESSAGES: Final = 2
"""Priority of what must see all ordinary entries of its instant first: the scheduler is woken so."""
WINDOW_BITS: Final = 16
"""A window is 65 ms: longer than a hop, shorter than a job."""


class Engine(simpy.Environment):
    """A SimPy environment in which plain calls cost little; processes and events work as ever.

    Attributes:
        instant: The present, as ``now``, but a plain attribute and a whole number.
    """

    def __init__(self) -> None:
        self.instant = 0
        super().__init__(initial_time=0)
        self._near: list[Any] = self._queue
        self._number = self._eid.__next__
        self._windows: dict[int, list[Any]] = {}
        self._window_heap: list[int] = []
        self._horizon = 1 << WINDOW_BITS
        """Plain entries before it are in the heap, others in their windows."""
        self._asked = 0

    @property
    def _now(self) -> int:  # SimPy's own name for the present
        return self.instant

    @_now.setter
    def _now(self, instant: int) -> None:
        self.instant = instant

    @property
    def count(self) -> int:
        """Entries handled so far, of both kinds: the numbers given out, less those of entries that still wait."""
        given = self._number() - self._asked
        self._asked += 1
        return given - len(self._near) - sum(map(len, self._windows.values()))

    def call_at(self, at: int, act: Callable[[Any], None], argument: Any = None, priority: int = NORMAL) -> None:
        """Have ``act(argument)`` called at ``at``, which must not be in the past."""
        if at < self._horizon:
            heappush(self._near, (at, priority, self._number(), None, act, argument))
            return
        window = at >> WINDOW_BITS
        later = self._windows.get(window)
        if later is None:
            self._windows[window] = [(at, priority, self._number(), None, act, argument)]
            heappush(self._window_heap, window)
        else:
            later.append((at, priority, self._number(), None, act, argument))

    def interrupt(self) -> None:
        """Have ``KeyboardInterrupt`` raised between two entries, before the next one; for use in signal handlers."""
        heappush(self._near, (self.instant, -1, self._number(), None, _interrupt, None))

    def advance(self, until: int) -> None:
        """Handle every entry up to and including ``until``, then stand at ``until``."""
        near = self._near
        pop = heappop
        while True:
            bound = self._horizon - 1 if self._horizon <= until else until
            while near and near[0][0] <= bound:
                entry = pop(near)
                self.instant = entry[0]
                if entry[3] is None:
                    entry[4](entry[5])
                else:
                    _process(entry[3])
            if bound == until or not self._open_window(until):
                break
        self.instant = until

    def _open_window(self, until: int) -> bool:
        """Bring the next window with entries into the heap; False: none begins by ``until``, and no event is due."""
        windows = self._window_heap
        near = self._near
        first = windows[0] if windows else None
        if near and (first is None or near[0][0] >> WINDOW_BITS < first):
            # Only SimPy's own events are ahead in the heap; windows without entries need no look.
            self._horizon = ((near[0][0] >> WINDOW_BITS) + 1) << WINDOW_BITS
            return bool(near[0][0] <= until)
        if first is None or first << WINDOW_BITS > until:
            return False
        self._horizon = (heappop(windows) + 1) << WINDOW_BITS
        entries = self._windows.pop(first)
        if near:
            for entry in entries:
                heappush(near, entry)
        else:
            near.extend(entries)
            heapify(near)
        return True

    def peek(self) -> Any:
        """The instant of the next entry of either kind; infinity where there is none."""
        self._bring_next()
        return self._near[0][0] if self._near else simpy.core.Infinity

    def step(self) -> None:
        """Handle the next entry, of either kind, so that ``run`` works as documented by SimPy.

        Raises:
            simpy.core.EmptySchedule: There is none.
        """
        self._bring_next()
        if not self._near:
            raise simpy.core.EmptySchedule
        entry = heappop(self._near)
        self.instant = entry[0]
        if entry[3] is None:
            entry[4](entry[5])
        else:
            _process(entry[3])

    def _bring_next(self) -> None:
        """Make sure that the first entry of the heap is the next one of all."""
        while self._window_heap and (not self._near or self._near[0][0] >= self._horizon):
            self._open_window(self._window_heap[0] << WINDOW_BITS)


def _interrupt(_argument: object) -> None:
    raise KeyboardInterrupt


def _process(event: Any) -> None:
    """Call what waits for a SimPy event, as ``Environment.step`` does."""
    callbacks, event.callbacks = event.callbacks, None
    for callback in callbacks:
        callback(event)
    if not event._ok and not hasattr(event, "_defused"):
        raise event._value
