"""Who speaks when in one room: a lazy model of talk with a handful of integers of state.

The talk is one chain of utterances. The one whose end is furthest off holds the floor; the next one either begins
after it, a silence later (exponential), or before it ends, anywhere in what is left of it. Never more than two
speak at once. With utterances of mean length m, an average time C from one start to the next, a probability p of
beginning early and a mean overlap w of those that do,

    C = m + silence·C - overlap·C,    silence·C = (1 - p)·gap,    overlap·C = p·w,

so that the shares of time fix everything but how early is early: the next one begins when a share ``u**tilt`` of
what is left of the floor holder's utterance is still to come, u uniform. `pace_of` solves for the tilt.

As in real meetings: half of the utterances begin before the last one ended (p is .5 as long as the shares allow it;
recordings of AMI, VoxConverse and NOTSOFAR-1 show .50 to .58); silences are exponential; AMI's shares give a tilt of
.78, a start nearly uniform over what is left, as its recordings have it. Unlike them: never a third speaker, and
lengths do not depend on where an utterance begins, so that fewer than in the recordings (a third instead of half)
also end before the floor holder does.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul, sub
from typing import Final

from simroom.workload.distributions import Sampler
from simroom.workload.streams import Stream

Turn = tuple[int, int, int]
"""Speaker (index into the weights), started_at, ended_at: an utterance, or a piece of one that was cut."""

_HALF_BITS: Final = 32
_HALF: Final = 1 << _HALF_BITS
_LOW: Final = _HALF - 1

_EARLY: Final = 0.5
"""Probability that the next utterance begins early, wherever the shares allow it."""
_EARLY_MOST: Final = 0.97
_TILT_LEAST: Final = 0.3
_TILT_MOST: Final = 8.0

# A rank-1 lattice (Korobov: multiplier 76 modulo 1021) over (what is left, next length, how early); its points are
# sorted anew at each step. Mean overlaps come out within 1 %, for lognormal lengths of sigma 2 within 4 %.
_POINT_COUNT: Final = 1021
_POINT_STEP: Final = 76
_ROOT_STEPS_MOST: Final = 40


@dataclass(frozen=True, slots=True)
class Pace:
    """How a kind of talk goes: everything rooms share, made by `pace_of`.

    Attributes:
        utterance: Length of an utterance before it is cut.
        longest: A voice detector cuts what is longer, microseconds; None: never.
        early: Probability that an utterance begins before the floor holder's ends.
        tilt: How early: the exponent of the share that is left; 1 is uniform, more is later.
        gap: Mean silence before an utterance that is not early, microseconds.
        solo_gap: Mean silence where only one can speak, microseconds.
        turn_time: Mean time from one start to the next with two speakers or more, microseconds.
    """

    utterance: Sampler
    longest: int | None
    early: float
    tilt: float
    gap: float
    solo_gap: float
    turn_time: float


def pace_of(utterance: Sampler, *, silence: float, overlap: float, longest: int | None = None) -> Pace:
    """Find the pace that gives these shares of time. Takes 5 to 40 ms: make one for all rooms alike.

    False position along one path, the same on every run: from rarely early and late in the utterance (p 0, tilt 8),
    over p .5 and ever earlier, to nearly always early and at once (p .97, tilt .3). The mean overlap at each point
    is found by following 1,021 lattice points through as many early starts in a row as matter.

    Args:
        utterance: Length of an utterance before it is cut; its mean is above 0.
        silence: Share of time in which nobody speaks, 0 or above.
        overlap: Share of time in which two speak, 0 or above. Together below 1.
        longest: Longest piece, microseconds above 0, as a voice detector would cut; None: no cut. Pieces follow
            each other without a gap, so the shares stay.

    Returns:
        A pace whose measured shares are within .015 of those asked for, over a long run of two speakers or more who
        all talk. Where only one can, the silence is as asked for and there is no overlap.

    Raises:
        ValueError: A share out of range, or more overlap than two speakers with these lengths can have.
    """
    if not (silence >= 0 and overlap >= 0 and silence + overlap < 1):
        raise ValueError(f"silence and overlap must be shares that leave time to speak, not {silence} and {overlap}")
    if utterance.mean <= 0:
        raise ValueError("utterances must last some time")
    if longest is not None and longest <= 0:
        raise ValueError(f"longest must be above 0, not {longest}")
    turn_time = utterance.mean / (1 - silence + overlap)
    early, tilt = _early_and_tilt(utterance, silence, overlap) if overlap > 0 else (0.0, 1.0)
    return Pace(
        utterance=utterance,
        longest=longest,
        early=early,
        tilt=tilt,
        gap=silence * turn_time / (1 - early),
        solo_gap=silence * utterance.mean / (1 - silence),
        turn_time=turn_time,
    )


def _early_and_tilt(utterance: Sampler, silence: float, overlap: float) -> tuple[float, float]:
    """The point of the path at which an utterance overlaps the one before by as much as the shares need."""
    lengths = [float(utterance(((2 * i + 1) << 64) // (2 * _POINT_COUNT))) for i in range(_POINT_COUNT)]
    wanted = overlap * utterance.mean / (1 - silence + overlap)

    def point(at: float) -> tuple[float, float]:
        if at < 1:
            return _EARLY * at, _TILT_MOST
        if at < 2:
            return _EARLY, _TILT_MOST * (_TILT_LEAST / _TILT_MOST) ** (at - 1)
        return _EARLY + (_EARLY_MOST - _EARLY) * (at - 2), _TILT_LEAST

    def excess(at: float) -> float:
        early, tilt = point(at)
        return early * _mean_overlap(lengths, early, tilt) - wanted

    low, under = 0.0, -wanted
    for high in (1.0, 2.0, 3.0):
        over = excess(high)
        if over >= 0:
            return point(_root(excess, (low, under), (high, over), accuracy=wanted / 500))
        low, under = high, over
    most = (under + wanted) * (1 - silence) / (utterance.mean - under - wanted)
    raise ValueError(
        f"two speakers with utterances like these and {silence:.0%} silence overlap {most:.1%} of the time at most"
    )


def _root(
    function: Callable[[float], float], under: tuple[float, float], over: tuple[float, float], *, accuracy: float
) -> float:
    """Where a rising function is 0, between two points (argument, value), by false position halved (Illinois)."""
    (low, below), (high, above) = under, over
    moved = 0
    middle = high
    for _ in range(_ROOT_STEPS_MOST):
        middle = high - above * (high - low) / (above - below) if above > below else low
        value = function(middle)
        if abs(value) <= accuracy:
            break
        if value > 0:
            high, above = middle, value
            below = below / 2 if moved > 0 else below
            moved = 1
        else:
            low, below = middle, value
            above = above / 2 if moved < 0 else above
            moved = -1
    return middle


def _mean_overlap(lengths: list[float], early: float, tilt: float) -> float:
    """Mean overlap of an early utterance, where ``early`` is the probability that one is.

    The nth early start in a row has probability (1 - early)·early**(n-1) among all early starts; what is left of the
    floor holder's utterance is a whole one before the first, and what is left of the longer one afterwards.

    Args:
        lengths: Utterance lengths at equally likely quantiles, ascending.
        early: 0..1.
        tilt: Above 0.
    """
    count = len(lengths)
    shares = [((i + 0.5) / count) ** tilt for i in range(count)]
    next_lengths = [lengths[i * _POINT_STEP % count] for i in range(count)]
    earliness = [shares[i * _POINT_STEP * _POINT_STEP % count] for i in range(count)]
    next_sum = math.fsum(next_lengths)
    left = lengths
    total, weight, overlap = 0.0, 1.0, 0.0
    while weight > 0.01:
        until_end = list(map(mul, left, earliness))
        left = sorted(map(abs, map(sub, until_end, next_lengths)))
        # min(a, b) is (a + b - |a - b|) / 2.
        overlap = (math.fsum(until_end) + next_sum - math.fsum(left)) / (2 * count)
        total += weight * (1 - early) * overlap
        weight *= early
    return total + weight * overlap


class TurnTaking:
    """The talk of one room, told turn by turn in order of ``ended_at``.

    Two turns may be told with the same ``ended_at``; a turn may begin before the one told before it did (that one
    began later and was shorter). One speaker never overlaps with themselves.

    Args:
        stream: This room's own chance; two draws a turn.
        weights: How likely each is to speak next, among those who can: 0 or above, in proportion. Somebody who
            holds the floor cannot overlap with themselves, so long-run shares are a little more even than these.
        pace: From `pace_of`; rooms alike share it.
        started_at: The talk begins with a silence from then, microseconds.
        present: Whether everybody is there at the start; else nobody is.

    Raises:
        ValueError: No weights, or one that is negative or not finite.
    """

    __slots__ = (
        "_alone_from",
        "_begun",
        "_early_below",
        "_longest",
        "_other",
        "_other_begun",
        "_other_until",
        "_pace",
        "_present",
        "_speaker",
        "_stream",
        "_sums",
        "_until",
        "_weights",
    )

    def __init__(
        self,
        stream: Stream,
        weights: Sequence[float],
        pace: Pace,
        *,
        started_at: int = 0,
        present: bool = True,
    ) -> None:
        self._stream = stream
        self._pace = pace
        self._early_below = round(pace.early * _HALF)
        self._longest = pace.longest or _HALF**2
        self._weights = _whole_weights(weights)
        self._present = (1 << len(self._weights)) - 1 if present else 0
        self._sums: list[int] | None = None
        # The floor holder: who, where what has not been told yet begins, its end.
        self._speaker = 0
        self._begun = self._until = started_at
        # Since when nobody else speaks; nothing new begins before.
        self._alone_from = started_at
        # The one before, as far as it has not been told yet; it ends at _alone_from at the latest.
        self._other = 0
        self._other_begun = self._other_until = started_at

    def set_present(self, speaker: int, *, present: bool) -> None:
        """Say that somebody has come or gone.

        Up to two turns have been thought out ahead and stay: who asks must drop or cut those of a speaker who is
        gone when they are due.

        Args:
            speaker: Index into the weights.
            present: Whether they can speak from now on.
        """
        bit = 1 << speaker
        self._present = self._present | bit if present else self._present & ~bit
        self._sums = None

    def next(self, now: int) -> Turn | None:
        """Tell the next turn to end. To be asked again when that one has ended, which is a room's only timer.

        Args:
            now: The present instant, microseconds, never decreasing; turns not yet thought out begin after it.

        Returns:
            The turn, or None: nobody who can speak is present. Then ask again when somebody is.
        """
        while True:
            if self._other_begun < self._other_until:
                ended_at = min(self._other_begun + self._longest, self._other_until)
                if self._begun + self._longest < ended_at:
                    return self._tell_floor()
                started_at = self._other_begun
                self._other_begun = ended_at
                return self._other, started_at, ended_at
            if self._begun + self._longest <= self._alone_from and self._begun < self._until:
                return self._tell_floor()
            if not self._think(now):
                # Nobody will overlap with what the floor holder has left to say.
                return self._tell_floor() if self._begun < self._until else None

    def _tell_floor(self) -> Turn:
        started_at = self._begun
        self._begun = ended_at = min(started_at + self._longest, self._until)
        return self._speaker, started_at, ended_at

    def _think(self, now: int) -> bool:
        """Draw the next utterance and give it the floor, or a place within the floor holder's; False: by nobody."""
        sums = self._sums
        if sums is None:  # somebody has come or gone since the last turn was thought out
            sums = self._sums = self._summed()
        can_speak = sums[-1]
        if not can_speak:
            return False
        pace = self._pace
        stream = self._stream
        length = pace.utterance(stream.bits()) or 1
        bits = stream.bits()
        chance = bits >> _HALF_BITS
        holder, until = self._speaker, self._until
        alone_from = self._alone_from if self._alone_from > now else now
        before = sums[holder - 1] if holder else 0
        holders_weight = sums[holder] - before
        others = can_speak - holders_weight
        early_below = self._early_below
        if chance < early_below:
            share = (chance + 0.5) / early_below
            early = others > 0 and alone_from < until
        else:
            share = (chance - early_below + 0.5) / (_HALF - early_below)
            early = False
        if early:
            started_at = until - int((until - alone_from) * share**pace.tilt)
            at = (bits & _LOW) * others >> _HALF_BITS
            if at >= before:
                at += holders_weight
        else:
            silence = int(-(pace.gap if others else pace.solo_gap) * math.log(share))
            started_at = (until if until > now else now) + silence
            at = (bits & _LOW) * can_speak >> _HALF_BITS
        self._place(bisect_right(sums, at), started_at, started_at + length, early=early)
        return True

    def _place(self, speaker: int, started_at: int, ended_at: int, *, early: bool) -> None:
        until = self._until
        if early and ended_at <= until:
            self._other, self._other_begun, self._other_until = speaker, started_at, ended_at
            self._alone_from = ended_at
            return
        self._other, self._other_begun, self._other_until = self._speaker, self._begun, until
        self._alone_from = until if early else started_at
        self._speaker, self._begun, self._until = speaker, started_at, ended_at

    def _summed(self) -> list[int]:
        present = self._present
        return list(accumulate(weight if present >> i & 1 else 0 for i, weight in enumerate(self._weights)))


def _whole_weights(weights: Sequence[float]) -> tuple[int, ...]:
    """Weights as integers below 2**32 in sum: as they are where that is so, else scaled, none above 0 lost."""
    if not weights or not all(math.isfinite(weight) and weight >= 0 for weight in weights):
        raise ValueError("weights are needed, each 0 or above")
    total = math.fsum(weights)
    if total < _HALF and all(weight == int(weight) for weight in weights):
        return tuple(int(weight) for weight in weights)
    return tuple(math.ceil(weight / total * (1 << 20)) for weight in weights)
