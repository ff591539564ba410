"""The chance behind a random scenario: words to draw with, and the temper that all of one scenario has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec import Struct

from simroom.scenario.units import format_duration
from simroom.workload.streams import Stream, stream_key

T = TypeVar("T")

MILLISECOND: Final = 1_000


class Temper(Struct, frozen=True):
    """What everything in one random scenario has in common.

    Attributes:
        grid: All times are on a grid of 10 ms, so that many things happen at one instant.
        nastiness: How likely everything unusual is, 0..1.
        duration: How long people speak, whole microseconds.
        paired: Some sessions are paired with a node.
        late: Results come late: short patience, and now and then a job that takes very long beside others.
        sound: The first nodes can do every job from the beginning on: where nothing works, nothing is found.
    """

    grid: bool
    nastiness: float
    duration: int
    paired: bool
    late: bool
    sound: bool


class Luck:
    """Draws for one part of a random scenario; parts do not disturb each other.

    Args:
        seed: The scenario's number.
        part: What the draws are for.
        temper: What the scenario has in common.
    """

    def __init__(self, seed: int, part: str, temper: Temper) -> None:
        self._seed = seed
        self._part = part
        self._stream = Stream(stream_key(seed, f"drawing/{part}"))
        self.temper = temper

    def part(self, name: str) -> Luck:
        """Draws for a part of this part."""
        return Luck(self._seed, f"{self._part}/{name}", self.temper)

    def likely(self, share: float) -> bool:
        """True in this share of the draws."""
        return self._stream.uniform() < share

    def nasty(self, share: float = 0.5) -> bool:
        """True in this share of the draws at a nastiness of one half, more or less often at others."""
        return self.likely(share * self.temper.nastiness * 2)

    def choice(self, options: Sequence[T]) -> T:
        """One of the options; what is listed twice comes twice as often."""
        return options[self._stream.below(len(options))]

    def sample(self, options: Sequence[T], count: int) -> list[T]:
        """Different ones of the options, in the order drawn."""
        left = list(options)
        return [left.pop(self._stream.below(len(left))) for _ in range(min(count, len(left)))]

    def whole(self, low: int, high: int) -> int:
        """A whole number, both bounds included."""
        return low + self._stream.below(high - low + 1)

    def instant(self) -> str:
        """An instant while people speak."""
        return self.span(0, self.temper.duration // MILLISECOND - 10)

    def early(self) -> str:
        """An instant while people speak, usually in the first third of it: there is time for what comes of it."""
        return self.span(0, self.temper.duration // MILLISECOND // 3) if self.likely(0.8) else self.instant()

    def late(self) -> str:
        """An instant while people speak, usually in the second half of it: there was time for something before."""
        longest = self.temper.duration // MILLISECOND
        return self.span(longest // 2, longest - 10) if self.likely(0.8) else self.instant()

    def span(self, low: int, high: int) -> str:
        """A span from low to high milliseconds, with microseconds between; on the grid, whole hundredths of a second.

        On the grid it is often a multiple of half a second, for ties between things that are far apart.
        """
        if not self.temper.grid:
            return format_duration(self.whole(low * MILLISECOND, high * MILLISECOND))
        step = self.choice((10, 10, 500))
        least = -(-low // step)
        return format_duration(self.whole(least, max(least, high // step)) * step * MILLISECOND)

    def share(self, most: int) -> str:
        """A share of 1 % to ``most`` percent."""
        return f"{self.whole(1, most)}%"


def luck_of(seed: int, *, duration: int | None = None) -> Luck:
    """The luck of one random scenario.

    Args:
        seed: Its number, 0 or above.
        duration: How long people speak, whole microseconds; None: that is drawn too.
    """
    stream = Stream(stream_key(seed, "drawing/temper"))
    temper = Temper(
        grid=stream.uniform() < 0.3,
        nastiness=(0.1, 0.3, 0.7)[stream.below(3)],
        duration=duration or (10, 20, 30)[stream.below(3)] * 1_000_000,
        paired=stream.uniform() < 0.15,
        late=stream.uniform() < 0.3,
        sound=stream.uniform() < 0.85,
    )
    return Luck(seed, "", temper)
