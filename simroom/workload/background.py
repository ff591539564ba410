"""What other programs take of a GPU, as a function of time that is constant between two changes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final, Protocol

from simroom.scenario import nodes as wanted

HIGHEST: Final = 0.99
"""No background takes more of a GPU than this share: jobs must get on, however slowly."""
PIECE_COUNT: Final = 64
"""A wave is a staircase of so many pieces in each period, each at the height of its middle."""


class Background(Protocol):
    """A load over time, piecewise constant."""

    def load_at(self, now: int) -> float:
        """Share of the GPU that is taken at ``now`` (microseconds, 0 or above): ``0..HIGHEST``."""
        ...

    def next_change(self, now: int) -> int | None:
        """The first instant after ``now`` at which the load may be another; None: never again."""
        ...


class SteadyBackground:
    """Always the same share.

    Args:
        load: 0 or above, below 1; what is above `HIGHEST` is cut.
    """

    __slots__ = ("_load",)

    def __init__(self, load: float) -> None:
        self._load = _cut(load)

    def load_at(self, now: int) -> float:  # noqa: ARG002 - the same at any time
        """See `Background`."""
        return self._load

    def next_change(self, now: int) -> int | None:  # noqa: ARG002 - the same at any time
        """See `Background`."""
        return None


class SteppedBackground:
    """Changes at stated instants: steps written by hand, or the rows of a trace.

    Args:
        changes: ``(at, load)`` in order of ``at`` (microseconds); of several at one instant the last one counts.
            Before the first the load is 0, the last one stays. Loads are cut to ``0..HIGHEST``.

    Raises:
        ValueError: An instant is before the one in front of it.
    """

    __slots__ = ("_instants", "_loads")

    def __init__(self, changes: Sequence[tuple[int, float]]) -> None:
        self._instants = [at for at, _ in changes]
        self._loads = [0.0, *(_cut(load) for _, load in changes)]
        for position in range(1, len(changes)):
            if self._instants[position] < self._instants[position - 1]:
                raise ValueError(f"change {position + 1} is before change {position}")

    def load_at(self, now: int) -> float:
        """See `Background`."""
        return self._loads[bisect_right(self._instants, now)]

    def next_change(self, now: int) -> int | None:
        """See `Background`."""
        position = bisect_right(self._instants, now)
        return self._instants[position] if position < len(self._instants) else None


class WaveBackground:
    """A sine, in 64 steps a period: exact in its mean where nothing is cut, within 5 % of the amplitude anywhere.

    Args:
        mean: Mean share; the wave passes it, rising, at time 0.
        amplitude: How far above and below. What leaves ``0..HIGHEST`` is cut.
        period: From one peak to the next, microseconds above 0.
    """

    __slots__ = ("_loads", "_period")

    def __init__(self, mean: float, amplitude: float, period: int) -> None:
        if period <= 0:
            raise ValueError(f"a wave's period must be above 0, not {period}")
        self._period = period
        # Rounded, so that the last digit of one machine's sine decides nothing.
        self._loads = [
            _cut(round(mean + amplitude * math.sin(2 * math.pi * (piece + 0.5) / PIECE_COUNT), 9))
            for piece in range(PIECE_COUNT)
        ]

    def load_at(self, now: int) -> float:
        """See `Background`."""
        return self._loads[now * PIECE_COUNT // self._period % PIECE_COUNT]

    def next_change(self, now: int) -> int | None:
        """See `Background`."""
        following = now * PIECE_COUNT // self._period + 1
        return -(-following * self._period // PIECE_COUNT)


def background_of(model: wanted.Background, trace: Sequence[tuple[int, float]] | None = None) -> Background:
    """Make the background load that a scenario asks for.

    Args:
        model: What the scenario says.
        trace: The rows of its file, ``(at, load)`` in order of time; needed where it names one, else not looked at.

    Raises:
        ValueError: The model names a file and ``trace`` is None, or the rows are not in order.
    """
    match model:
        case wanted.SteadyLoad():
            return SteadyBackground(model.load)
        case wanted.WaveLoad():
            return WaveBackground(model.mean, model.amplitude, model.period)
        case wanted.StepsLoad():
            return SteppedBackground([(step.at, step.load) for step in model.steps])
        case wanted.TraceLoad():
            if trace is None:
                raise ValueError(f"the rows of {model.file} are needed")
            return SteppedBackground(trace)


def _cut(load: float) -> float:
    return min(max(load, 0.0), HIGHEST)
