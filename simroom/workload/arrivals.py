"""Open arrivals: the instants at which something comes, whether or not what came before was answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from simroom.scenario import speech as wanted
from simroom.workload.distributions import Sampler, constant, exponential, gamma
from simroom.workload.streams import Stream

_SECOND: Final = 1_000_000


def gaps_of(model: wanted.Poisson | wanted.GammaArrivals | wanted.Regular) -> Sampler:
    """The distribution of the time between two arrivals that a scenario asks for; shared by all its sessions."""
    match model:
        case wanted.Poisson():
            return exponential(_SECOND / model.rate)
        case wanted.GammaArrivals():
            return gamma(_SECOND / model.rate, model.cv)
        case wanted.Regular():
            return constant(model.every)


def renewals(stream: Stream, gaps: Sampler, *, started_at: int = 0) -> Iterator[int]:
    """Arrivals with independent gaps, for ever: exponential ones are a Poisson process.

    Every gap is computed from all 64 bits, then rounded to the microsecond. The first arrival is a gap after
    ``started_at``; with bursty gaps (coefficient of variation above 1) the start is therefore denser than what
    follows.

    Args:
        stream: These arrivals' own chance.
        gaps: Time between two arrivals, microseconds.
        started_at: Microseconds.

    Yields:
        Instants, microseconds, never decreasing.
    """
    now = started_at
    while True:
        now += gaps.exact(stream.bits())
        yield now


def traced(instants: Sequence[int], *, scale: float = 1.0, started_at: int = 0, repeat: bool = False) -> Iterator[int]:
    """Arrivals as they were recorded.

    Args:
        instants: Recorded arrivals, microseconds, never decreasing; the first one becomes ``started_at``.
        scale: Factor on the rate: at 2 everything happens in half the time.
        started_at: Microseconds.
        repeat: Begin again when the recording is over, a mean gap after its last arrival, so that the rate stays;
            else stop. A recording that has no length is not repeated.

    Yields:
        Instants, microseconds, never decreasing.

    Raises:
        ValueError: An instant is before the one in front of it, or ``scale`` is not above 0.
    """
    if not scale > 0:
        raise ValueError(f"scale must be above 0, not {scale}")
    for at in range(1, len(instants)):
        if instants[at] < instants[at - 1]:
            raise ValueError(f"arrival {at + 1} of the trace is before arrival {at}")
    return _replayed(instants, scale, started_at, repeat=repeat)


def _replayed(instants: Sequence[int], scale: float, started_at: int, *, repeat: bool) -> Iterator[int]:
    if not instants:
        return
    first, length = instants[0], instants[-1] - instants[0]
    # n arrivals have n - 1 gaps between them; the nth leads to the next round.
    period = length + length / max(1, len(instants) - 1)
    rounds = 0
    while True:
        base = rounds * period - first
        for instant in instants:
            yield started_at + round((base + instant) / scale)
        rounds += 1
        if not repeat or not length:
            return


def dealt(instants: Sequence[int], index: int, count: int) -> Sequence[int]:
    """The arrivals of one of ``count`` sessions among which a trace is dealt in turn.

    Args:
        instants: The whole trace.
        index: Which session, ``0..count-1``.
        count: How many there are.
    """
    return instants[index::count]
