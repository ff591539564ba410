"""Averages over time of what changes in steps: jobs in the system, queues, busy slots; exact, in whole numbers.

A step function is the instants of its changes and the level from each of them on. Its integral over whole
microseconds is a whole number, so Little's law on a path can be checked without a tolerance.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Column = npt.NDArray[np.int64]

_ROOM: Final = 1 << 62
"""Areas that stay below this bound are summed in 64 bits, others in Python's own whole numbers."""


class Steps(Struct, frozen=True):
    """A level that changes in steps.

    Attributes:
        instants: When it changes, strictly increasing, shape ``(n,)``.
        levels: The level from each instant on, shape ``(n,)``.
        before: The level before the first change.
    """

    instants: Column
    levels: Column
    before: int = 0

    def at(self, instant: int) -> int:
        """The level at an instant; at the instant of a change, what it changed to."""
        place = int(np.searchsorted(self.instants, instant, side="right"))
        return int(self.levels[place - 1]) if place else self.before


def steps(instants: Column, changes: Column, *, before: int = 0) -> Steps:
    """The level that results from changes.

    Args:
        instants: When something changes, in any order, shape ``(n,)``.
        changes: By how much (+1: an arrival, -1: a departure), shape ``(n,)``. Changes of one instant count together.
        before: The level before the first of them.

    Returns:
        The steps; instants at which nothing remains of the changes are left out.

    Raises:
        ValueError: The two do not have the same length.
    """
    if len(instants) != len(changes):
        raise ValueError(f"{len(changes)} changes cannot happen at {len(instants)} instants")
    order = np.argsort(instants, kind="stable")
    sorted_instants = np.asarray(instants, dtype=np.int64)[order]
    levels = np.cumsum(np.asarray(changes, dtype=np.int64)[order]) + before
    last = np.flatnonzero(np.diff(sorted_instants, append=_beyond(sorted_instants)))
    sorted_instants, levels = sorted_instants[last], levels[last]
    moved = np.flatnonzero(np.diff(levels, prepend=before))
    return Steps(sorted_instants[moved], levels[moved], before)


def _beyond(instants: Column) -> Column:
    """One value that differs from the last of the instants, so that the last one counts as a change."""
    return instants[-1:] + 1


def present(arrived_at: Column, left_at: Column) -> Steps:
    """How many are there over time, from when each came and when it left.

    Args:
        arrived_at: Shape ``(n,)``.
        left_at: At or after ``arrived_at``, shape ``(n,)``. Whoever has not left yet gets an instant after the end of
            what is asked about.

    Returns:
        The number present: of jobs in the system, of waiting jobs (from arrival to start), of busy slots (from start
        to end).

    Raises:
        ValueError: Somebody leaves before coming, or the two do not have the same length.
    """
    if len(arrived_at) != len(left_at):
        raise ValueError(f"{len(arrived_at)} came and {len(left_at)} left")
    early = np.flatnonzero(left_at < arrived_at)
    if len(early):
        raise ValueError(f"row {int(early[0])} leaves before it comes")
    changes = np.ones(len(arrived_at) + len(left_at), dtype=np.int64)
    changes[len(arrived_at) :] = -1
    return steps(np.concatenate((arrived_at, left_at)), changes)


def area(found: Steps, begin: int, end: int) -> int:
    """The exact integral of the level from ``begin`` to ``end`` (at or after it): level times microseconds."""
    return areas(found, np.array([begin, end], dtype=np.int64))[0]


def areas(found: Steps, borders: Column) -> list[int]:
    """The exact integrals between borders.

    Args:
        found: The level.
        borders: Instants that never decrease, two or more, shape ``(k + 1,)``.

    Returns:
        ``k`` integrals, level times microseconds.

    Raises:
        ValueError: There are fewer than two borders, or one comes before the one in front of it.
    """
    cuts = np.asarray(borders, dtype=np.int64)
    if len(cuts) < 2 or bool((np.diff(cuts) < 0).any()):
        raise ValueError("windows need two borders or more, none before the one in front of it")
    begin, end = int(cuts[0]), int(cuts[-1])
    inside = found.instants[(found.instants > begin) & (found.instants < end)]
    points = np.concatenate((inside, cuts))
    points.sort(kind="stable")
    places = np.searchsorted(found.instants, points[:-1], side="right")
    levels = np.concatenate((np.array([found.before], dtype=np.int64), found.levels))[places]
    largest = max(1, int(np.abs(levels).max()))
    if largest * (end - begin) < _ROOM:
        running = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(levels * np.diff(points)))).tolist()
    else:
        running = [0]
        for level, first, second in zip(levels.tolist(), points[:-1].tolist(), points[1:].tolist(), strict=True):
            running.append(running[-1] + level * (second - first))
    at_cuts = np.searchsorted(points, cuts, side="left").tolist()
    return [running[second] - running[first] for first, second in pairwise(at_cuts)]


def mean(found: Steps, begin: int, end: int) -> Fraction | None:
    """The exact mean level over time; None where no time passes from ``begin`` to ``end``."""
    return None if begin == end else Fraction(area(found, begin, end), end - begin)


def borders_of(begin: int, end: int, count: int) -> Column:
    """Borders of ``count`` windows that divide the time from ``begin`` to ``end``, as equal as whole numbers allow.

    Args:
        begin: First instant.
        end: Last instant, after ``begin``.
        count: 1 or more, and no more than there are instants.

    Returns:
        Shape ``(count + 1,)``, strictly increasing.

    Raises:
        ValueError: The time cannot be divided so.
    """
    if not 1 <= count <= end - begin:
        raise ValueError(f"no {count} windows from {begin} to {end}")
    return np.array([begin + (end - begin) * place // count for place in range(count + 1)], dtype=np.int64)


def by_window(found: Steps, borders: Column) -> list[Fraction | None]:
    """The exact mean level of each window; None for one without width. Arguments and errors as of ``areas``."""
    cuts = np.asarray(borders, dtype=np.int64)
    widths = np.diff(cuts).tolist()
    return [Fraction(whole, width) if width else None for whole, width in zip(areas(found, cuts), widths, strict=True)]


def largest(found: Steps, begin: int, end: int) -> int:
    """The highest level at any instant from ``begin`` up to, but not including, ``end``; at ``begin`` if they meet."""
    inside = (found.instants > begin) & (found.instants < end)
    levels = found.levels[inside]
    return max(found.at(begin), int(levels.max())) if len(levels) else found.at(begin)


def utilisation(started_at: Column, ended_at: Column, begin: int, end: int, *, slots: int) -> Fraction | None:
    """The share of slot-time in which slots were busy.

    Args:
        started_at: When each piece of work began, shape ``(n,)``.
        ended_at: When it ended, at or after ``started_at``, shape ``(n,)``. Work that lasts beyond the window counts
            for the part inside.
        begin: First instant of the window.
        end: Last instant of the window.
        slots: How many can be busy at once, 1 or more.

    Returns:
        0..1 where never more than ``slots`` were busy; None where no time passes.

    Raises:
        ValueError: There is no slot, the window ends before it begins, or work ends before it starts.
    """
    if slots < 1:
        raise ValueError("a share of slot-time needs a slot")
    if end < begin:
        raise ValueError("a window does not end before it begins")
    if bool((ended_at < started_at).any()):
        raise ValueError("work does not end before it starts")
    if begin == end:
        return None
    spans = np.maximum(0, np.minimum(ended_at, end) - np.maximum(started_at, begin))
    return Fraction(sum(spans.tolist()), (end - begin) * slots)
