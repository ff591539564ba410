"""What all faults have in common when they strike: their own chance, and when each is over."""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

from simroom.scenario.distributions import Distribution, OptionalDistribution
from simroom.sim.engine import Engine
from simroom.workload.distributions import Sampler
from simroom.workload.streams import mix, stream_key

Ends = list[int | None]
"""When it is over for each whom a fault has struck: an instant on the engine's clock; None: at once, or never."""

WHOM: Final = 1
UNTIL: Final = 2
NOTICED: Final = 3
LENGTH: Final = 4
UP: Final = 5
DOWN: Final = 6


class Spans(Protocol):
    """Where samplers come from."""

    def of(self, model: Distribution) -> Sampler:
        """The sampler of this distribution."""
        ...


class Strike(Struct, frozen=True):
    """One time at which a fault strikes.

    Attributes:
        key: All chance about it is made from these 64 bits.
        by_chance: Chance has chosen whom.
        scripted: It is a line of a script.
    """

    key: int
    by_chance: bool = False
    scripted: bool = False

    def luck(self, what: int, name: str) -> int:
        """64 bits to draw one thing about one of those who are struck."""
        return stream_key(mix(self.key, what), name)


class Clock:
    """When faults are over: at the latest when everything heals.

    Attributes:
        heal_at: When everything heals, on the engine's clock.
    """

    def __init__(self, engine: Engine, samplers: Spans, heal_at: int) -> None:
        self._engine = engine
        self._samplers = samplers
        self.heal_at = heal_at

    @property
    def now(self) -> int:
        """The present instant, on the engine's clock."""
        return self._engine.instant

    def draw(self, span: Distribution, bits: int) -> int:
        """A span, whole microseconds."""
        return self._samplers.of(span)(bits)

    def until(self, duration: OptionalDistribution, bits: int) -> int:
        """When it is over; without a duration when everything heals."""
        if duration is None:
            return max(self.now, self.heal_at)
        return max(self.now, min(self.now + self.draw(duration, bits), self.heal_at))

    def until_or_never(self, duration: OptionalDistribution, bits: int) -> int | None:
        """When it is over; None, without a duration: never."""
        return None if duration is None else self.until(duration, bits)
