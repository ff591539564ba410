"""How fast a GPU gets on that faults can slow, halt and start again: exact, in fractions.

Work is microseconds of an undisturbed GPU. What a stream of such a GPU would have done so far is its progress, which
grows at the rate (1 - background load) / factor, or not at all while it is halted. A piece of work is done when the
progress has grown by as much, so whatever changes the rate changes the ends of all work under way, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import Any, Final, NamedTuple, Protocol

from simroom.sim.engine import Engine

_GRAIN: Final = 10**12
"""Shares of a GPU are whole multiples of 1 in so many, so that fractions stay short however often they change."""
_FACTOR_PARTS_MAX: Final = 10**6
"""A factor is the fraction with at most this denominator that is meant by its decimals: 1.1 is 11/10."""


class BackgroundLoad(Protocol):
    """What other programs take of a GPU, as a share by scenario time."""

    def load_at(self, now: int) -> float:
        """The share taken at ``now``, 0 or more and below 1."""
        ...

    def next_change(self, now: int) -> int | None:
        """The first instant after ``now`` at which it changes; None: it does not any more."""
        ...


class Piece(NamedTuple):
    """A piece of work under way.

    Attributes:
        target: The progress at which it is done.
        number: Counts the pieces in the order in which they began.
        act: Called with ``argument`` when it is done.
    """

    target: Fraction
    number: int
    act: Callable[[Any], None]
    argument: Any


class Pace:
    """The progress of one GPU, and the work that waits for it to grow.

    Args:
        engine: Whose time passes.
        background: None: no other load.
        time_zero: The scenario's time 0 on the engine's clock.
    """

    def __init__(self, engine: Engine, background: BackgroundLoad | None, time_zero: int) -> None:
        self._engine = engine
        self._background = background
        self._time_zero = time_zero
        self._factor = Fraction(1)
        self._halted = False
        self._progress = Fraction(0)
        self._since = engine.instant
        self._pieces: list[Piece] = []
        self._number = 0
        self._round = 0
        self._finishing = False

    # --- what disturbs it

    def slow(self, factor: float) -> None:
        """From now on everything takes ``factor`` times as long as undisturbed; 1: as long."""
        self.progress()
        self._factor = Fraction(factor).limit_denominator(_FACTOR_PARTS_MAX)
        self._plan()

    def halt(self) -> None:
        """Nothing gets on any more."""
        self.progress()
        self._halted = True
        self._plan()

    def go_on(self) -> None:
        """Everything gets on again from where it stood."""
        self.progress()
        self._halted = False
        self._plan()

    # --- work

    def progress(self) -> Fraction:
        """What one stream would have done so far, microseconds of undisturbed work."""
        now = self._engine.instant
        if now > self._since and not self._halted:
            self._progress += self._gained(self._since, now) / self._factor
        self._since = now
        return self._progress

    def after(self, work: float | Fraction, act: Callable[[Any], None], argument: Any) -> None:
        """Have ``act(argument)`` called when a stream has done so much more work, at the first whole microsecond."""
        self._number += 1
        piece = Piece(self.progress() + Fraction(work), self._number, act, argument)
        heappush(self._pieces, piece)
        if self._pieces[0] is piece:
            self._plan()

    def pieces(self) -> list[Piece]:
        """All work under way, in the order in which it began."""
        return sorted(self._pieces, key=lambda piece: piece.number)

    def left_of(self, piece: Piece) -> Fraction:
        """How much of a piece is still to be done."""
        return piece.target - self.progress()

    def drop(self, piece: Piece) -> None:
        """Let a piece of work be: nothing is called for it."""
        self._pieces.remove(piece)
        heapify(self._pieces)
        self._plan()

    # --- the rest

    def _plan(self) -> None:
        """Come back when the first piece is done; what was planned before does not count any more."""
        if self._finishing:
            return  # it is planned when all that is done now has been dealt with
        self._round += 1
        if self._pieces and not self._halted:
            self._engine.call_at(self._end_of(self._pieces[0]), self._finish, self._round)

    def _finish(self, planned_in: int) -> None:
        if planned_in != self._round:
            return
        reached = self.progress()
        self._finishing = True
        while self._pieces and self._pieces[0].target <= reached and not self._halted:
            piece = heappop(self._pieces)
            piece.act(piece.argument)
        self._finishing = False
        self._plan()

    def _end_of(self, piece: Piece) -> int:
        """When the piece is done if the rate stays what it is."""
        now = self._engine.instant
        left = max(Fraction(0), self.left_of(piece)) * self._factor
        if self._background is None:
            return now + math.ceil(left)
        at = now
        while True:
            share, change = self._share_at(at)
            if change is None or left <= share * (change - at):
                return at + math.ceil(left / share)
            left -= share * (change - at)
            at = change

    def _gained(self, begin: int, end: int) -> Fraction:
        """What the background has left between two instants, microseconds of a whole GPU."""
        if self._background is None:
            return Fraction(end - begin)
        gained = Fraction(0)
        at = begin
        while at < end:
            share, change = self._share_at(at)
            until = end if change is None else min(end, change)
            gained += share * (until - at)
            at = until
        return gained

    def _share_at(self, at: int) -> tuple[Fraction, int | None]:
        """The share that the background leaves, and until when, on the engine's clock."""
        background = self._background
        assert background is not None
        change = background.next_change(at - self._time_zero)
        share = Fraction(round((1.0 - background.load_at(at - self._time_zero)) * _GRAIN), _GRAIN)
        return share, None if change is None else change + self._time_zero
