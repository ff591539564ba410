"""Playback at each recipient: results play one after another, in order of arrival, and none is cut short.

That is a queue with one place of service for each recipient (Lindley): a result starts to play when it has arrived
and the one before it has ended, ``start[i] = max(arrived[i], start[i-1] + length[i-1])``. Unrolled, with the lengths
before it summed up as ``before``: ``start[i] = before[i] + max(arrived[j] - before[j] for j <= i)``, a running
maximum, which numpy computes for all recipients at once in whole numbers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Column = npt.NDArray[np.int64]

_ROOM: Final = 1 << 62
"""Keys below this bound add and subtract without leaving 64 bits."""


class Playback(Struct, frozen=True):
    """What the recipients heard, one value for each delivery, in the order in which the deliveries were given.

    Attributes:
        started_at: Instant at which the result began to play, shape ``(n,)``.
        queue: Results at that recipient that had arrived and not begun to play, just after this one arrived, itself
            included where it has to wait; shape ``(n,)``.
    """

    started_at: Column
    queue: Column

    @property
    def queue_max(self) -> int | None:
        """The longest queue of any recipient; None where nothing was delivered."""
        return int(self.queue.max()) if len(self.queue) else None


def playback(recipient: Column, arrived_at: Column, length: Column) -> Playback:
    """Play every delivery at its recipient.

    Args:
        recipient: Who got it, any whole numbers, shape ``(n,)``.
        arrived_at: When it arrived, shape ``(n,)``. Two that arrive at one instant play in the order given.
        length: How long it plays, 0 or more, in the unit of ``arrived_at``, shape ``(n,)``.

    Returns:
        Starts and queues in the order of the arguments.
    """
    started_at = np.empty(len(recipient), dtype=np.int64)
    queue = np.empty(len(recipient), dtype=np.int64)
    order = np.lexsort((arrived_at, recipient))
    group = np.cumsum(np.diff(recipient[order], prepend=recipient[order][:1]) != 0, dtype=np.int64)
    for part in _parts(group, arrived_at[order], length[order]):
        rows = order[part]
        started_at[rows], queue[rows] = _play(group[part] - group[part][0], arrived_at[rows], length[rows])
    return Playback(started_at, queue)


def _parts(group: Column, arrived_at: Column, length: Column) -> list[slice]:
    """Cut the sorted rows, between recipients, so that the keys of each part fit into 64 bits (nearly always one)."""
    n = len(group)
    if n == 0:
        return []
    width = int(arrived_at.max()) - int(arrived_at.min()) + int(length.sum()) + 1
    groups = max(1, _ROOM // width)
    edges = np.searchsorted(group, np.arange(0, int(group[-1]) + 1, groups)).tolist()
    return [slice(start, end) for start, end in zip(edges, [*edges[1:], n], strict=True)]


def _play(group: Column, arrived_at: Column, length: Column) -> tuple[Column, Column]:
    """Starts and queues of rows sorted by recipient (numbered from 0 without gaps) and arrival."""
    first = np.flatnonzero(np.diff(group, prepend=-1))
    before = np.cumsum(length) - length
    before -= before[first][group]
    origin = int(arrived_at.min())
    width = int(arrived_at.max()) - origin + int(length.sum()) + 1
    # Each recipient's keys lie in a band of their own, above all earlier ones: a running maximum over everything is
    # then one within each recipient. ``slack`` keeps every key of a band at or above the band's floor.
    slack = int(before.max())
    floor = group * width
    highest = np.maximum.accumulate(arrived_at - origin - before + slack + floor)
    started_at = highest - floor - slack + origin + before
    # Starts never decrease at one recipient, so those begun by an arrival are found by bisection in the bands.
    begun = np.searchsorted(started_at - origin + floor, arrived_at - origin + floor, side="right")
    rank = np.arange(1, len(group) + 1, dtype=np.int64)
    # Of rows that arrive together the earlier ones may be found begun "after" their own rank: then nobody waits.
    return started_at, np.maximum(rank - begun, 0)
