"""Nearest-rank quantiles and the five-number summaries that every report shows.

The rule, stated once: the quantile of share ``p`` of ``n`` samples is the smallest sample that at least
``ceil(p * n)`` samples do not exceed. It is always one of the samples, so p50 <= p90 <= p95 <= p99 <= max whatever
the samples are, and whole microseconds stay whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Samples = npt.NDArray[np.int64]

SHARES: Final = {
    "p50": Fraction(50, 100),
    "p90": Fraction(90, 100),
    "p95": Fraction(95, 100),
    "p99": Fraction(99, 100),
}
"""The quantiles of a summary; exact shares, so that ``ceil(p * n)`` is never off by a rounding error."""


class Spread(Struct, frozen=True):
    """What a set of whole-number samples looks like, in the samples' own unit.

    Attributes:
        n: Number of samples, at least 1.
        mean: Exact mean of the samples.
        p50: Nearest-rank quantile; ``p90``, ``p95``, ``p99`` likewise.
        max: Largest sample.
    """

    n: int
    mean: Fraction
    p50: int
    p90: int
    p95: int
    p99: int
    max: int


def rank(share: Fraction, n: int) -> int:
    """The nearest rank, 1..n, of the quantile ``share`` (0..1) of ``n`` samples (at least 1)."""
    if n < 1:
        raise ValueError("a quantile needs at least one sample")
    if not 0 <= share <= 1:
        raise ValueError("the share of a quantile is 0..1")
    return max(1, -((-share.numerator * n) // share.denominator))


def quantiles(samples: Samples, shares: Sequence[Fraction]) -> list[int] | None:
    """Nearest-rank quantiles.

    Args:
        samples: Whole numbers, shape ``(n,)``, in any order; not changed.
        shares: Exact shares 0..1, in any order.

    Returns:
        One sample for each share, in the order of ``shares``; None where there are no samples.
    """
    n = len(samples)
    if n == 0:
        return None
    positions = [rank(share, n) - 1 for share in shares]
    # A partition puts the wanted ranks in place without sorting what lies between them.
    placed = np.partition(samples, sorted(set(positions)))
    return [int(placed[position]) for position in positions]


def spread(samples: Samples) -> Spread | None:
    """Count, mean, quantiles and maximum of whole-number samples; None where there are no samples."""
    n = len(samples)
    values = quantiles(samples, [*SHARES.values(), Fraction(1)])
    if values is None:
        return None
    return Spread(n, Fraction(total(samples), n), *values)


def total(samples: Samples) -> int:
    """The exact sum, also where it does not fit into 64 bits."""
    n = len(samples)
    if n == 0:
        return 0
    largest = max(abs(int(samples.max())), abs(int(samples.min())))
    if largest * n < 1 << 62:
        return int(samples.sum())
    return sum(samples.tolist())


def pooled(replications: Sequence[Samples]) -> Samples:
    """The samples of all replications together, of which quantiles are taken: never the mean of their quantiles."""
    return np.concatenate([np.empty(0, dtype=np.int64), *replications])


def pooled_quantile(replications: Sequence[Samples], share: Fraction) -> tuple[int, list[int | None]] | None:
    """A quantile of all samples, and how it moves as each replication is left out.

    Args:
        replications: The samples of each, shape ``(n,)`` with n from 0 on; not changed.
        share: Exact share, 0..1.

    Returns:
        The quantile of everything, and for each replication the quantile of all others (None where the others have no
        samples), from which ``intervals.jackknife`` makes an interval; None where there are no samples at all.
    """
    whole = quantiles(pooled(replications), [share])
    if whole is None:
        return None
    # With everything sorted once, what is left without one replication is sorted too: no sorting for each of them.
    samples = pooled(replications)
    owner = np.repeat(np.arange(len(replications)), [len(part) for part in replications])
    order = np.argsort(samples, kind="stable")
    samples, owner = samples[order], owner[order]
    without: list[int | None] = []
    for number, part in enumerate(replications):
        left = len(samples) - len(part)
        if left == 0:
            without.append(None)
            continue
        position = int(np.flatnonzero(owner != number)[rank(share, left) - 1])
        without.append(int(samples[position]))
    return whole[0], without
