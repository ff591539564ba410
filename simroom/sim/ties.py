"""A coarse clock: everything drawn is rounded up to a grid, so that much happens at the same instant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from simroom.scenario.distributions import Distribution
from simroom.workload.distributions import Sampler, Samplers
from simroom.workload.streams import Stream
from simroom.workload.turn_taking import Pace, Turn, TurnTaking

Who = TypeVar("Who")


def rounded_up(span: int, grid: int) -> int:
    """The first multiple of ``grid`` that is not below ``span``; both whole microseconds, ``grid`` 1 or more."""
    return -(-span // grid) * grid


class OnGrid(Sampler):
    """A sampler whose every draw is rounded up to a grid.

    Args:
        sampler: Whose draws.
        grid: Whole microseconds, 1 or more.
    """

    __slots__ = ("_grid", "_sampler")

    def __init__(self, sampler: Sampler, grid: int) -> None:
        super().__init__(sampler.mean, sampler.cv2, 0)
        self._sampler = sampler
        self._grid = grid

    def exact(self, bits: int) -> int:
        """The span that these 64 bits stand for."""
        return rounded_up(self._sampler.exact(bits), self._grid)


class SamplersOnGrid(Samplers):
    """Samplers whose every draw is rounded up to a grid.

    Args:
        grid: Whole microseconds, 1 or more.
    """

    __slots__ = ("_grid", "_on_grid")

    def __init__(self, grid: int) -> None:
        super().__init__()
        self._grid = grid
        self._on_grid: dict[Distribution, Sampler] = {}

    def of(self, model: Distribution) -> Sampler:
        """The sampler of this distribution, the same object for equal ones."""
        sampler = self._on_grid.get(model)
        if sampler is None:
            sampler = self._on_grid[model] = OnGrid(super().of(model), self._grid)
        return sampler


class TurnsOnGrid(TurnTaking):
    """Turn taking whose turns end on a grid; otherwise they are the same ones.

    Args:
        grid: Whole microseconds, 1 or more.
    """

    __slots__ = ("_grid",)

    def __init__(self, stream: Stream, weights: Sequence[float], pace: Pace, *, started_at: int, grid: int) -> None:
        super().__init__(stream, weights, pace, started_at=started_at, present=False)
        self._grid = grid

    def next(self, now: int) -> Turn | None:
        """The next turn to end, as ``TurnTaking.next``."""
        turn = super().next(now)
        return None if turn is None else (turn[0], turn[1], rounded_up(turn[2], self._grid))


def on_grid(spoken: Iterable[tuple[Who, int, int]], grid: int, until: int) -> Iterator[tuple[Who, int, int]]:
    """Stretches of speech with their ends rounded up, as far as they then end by ``until``; in their order."""
    for who, started_at, exact_end in spoken:
        ended_at = rounded_up(exact_end, grid)
        if ended_at <= until:
            yield who, started_at, ended_at
