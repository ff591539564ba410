"""How evenly groups are served: Jain's index and the ratio of the worst to the best, over mean latencies.

Jain, Chiu & Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource Allocation in Shared Computer
Systems", DEC-TR-301, 1984: ``(sum of x)**2 / (n * sum of x**2)`` for n groups. It is 1 where all are alike, and
``k / n`` where k groups share everything evenly and the others have nothing; it does not depend on the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from simroom.stats.quantiles import total

Column = npt.NDArray[np.int64]


class Fairness(Struct, frozen=True):
    """How alike the mean latencies of groups are.

    Attributes:
        groups: Number of groups that have samples, at least 1.
        jain: Jain's index of the means, ``1 / groups``..1.
        ratio: Largest mean / smallest mean, at least 1; None where the smallest is 0 and the largest is not.
        best: The group with the smallest mean; of several, the one with the smallest number.
        worst: The group with the largest mean, likewise.
    """

    groups: int
    jain: Fraction
    ratio: Fraction | None
    best: int
    worst: int


def jain_index(values: Sequence[Fraction | int]) -> Fraction | None:
    """Jain's index of values that are 0 or above.

    Args:
        values: One for each group.

    Returns:
        ``1 / n``..1; 1 where all are 0 (they are alike); None where there are none.

    Raises:
        ValueError: A value is negative.
    """
    if not values:
        return None
    exact = [Fraction(value) for value in values]
    if min(exact) < 0:
        raise ValueError("Jain's index is of values that are 0 or above")
    squares = sum((value * value for value in exact), Fraction(0))
    if squares == 0:
        return Fraction(1)
    whole = sum(exact, Fraction(0))
    return whole * whole / (len(exact) * squares)


def group_means(group: Column, samples: Column) -> dict[int, Fraction]:
    """The exact mean of each group, in ascending order of the groups' numbers.

    Args:
        group: Which group each sample belongs to, any whole numbers, shape ``(n,)``.
        samples: Whole numbers, shape ``(n,)``.

    Returns:
        A mean for each group that has a sample.

    Raises:
        ValueError: The two do not have the same length.
    """
    if len(group) != len(samples):
        raise ValueError(f"{len(samples)} samples cannot belong to {len(group)} groups")
    order = np.argsort(group, kind="stable")
    names, starts = np.unique(group[order], return_index=True)
    parts = np.split(samples[order], starts[1:])
    return {int(name): Fraction(total(part), len(part)) for name, part in zip(names.tolist(), parts, strict=False)}


def fairness(group: Column, samples: Column) -> Fairness | None:
    """How evenly groups (languages, rooms, room sizes) are served, over the mean of each one's samples.

    Args:
        group: Which group each sample belongs to, any whole numbers, shape ``(n,)``.
        samples: Latencies in whole microseconds, 0 or above, shape ``(n,)``.

    Returns:
        The comparison of the groups that have samples; None where none has.

    Raises:
        ValueError: A mean is negative, or the two do not have the same length.
    """
    means = group_means(group, samples)
    index = jain_index(list(means.values()))
    if index is None:
        return None
    best = min(means, key=lambda name: (means[name], name))
    worst = min(means, key=lambda name: (-means[name], name))
    if means[best] > 0:
        ratio: Fraction | None = means[worst] / means[best]
    else:
        ratio = Fraction(1) if means[worst] == 0 else None
    return Fairness(len(means), index, ratio, best, worst)
