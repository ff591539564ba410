"""Student's t distribution to double precision, by the incomplete beta function: no tables, no approximations.

Sources: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.5 (incomplete beta), 26.7 (Student's t); the
continued fraction is DLMF 8.17.22, summed by Lentz's method.
"""

from __future__ import annotations

import math
from typing import Final

_TINY: Final = 1e-300
"""Stands for nought in Lentz's method, which divides by what it has just computed."""
_EPSILON: Final = 2.0**-53
_TERMS_MAX: Final = 100_000
"""The fraction needs about ``sqrt(max(a, b))`` terms: this suffices for any degrees of freedom below 10**9."""
_ASYMPTOTIC_FROM: Final = 20.0
_NEARLY_NORMAL_FROM: Final = 1e5
"""From here on two terms of a series in 1 / dof are closer than the beta function, whose argument is nearly 0 or 1."""


def log_beta(a: float, b: float) -> float:
    """The logarithm of the beta function ``B(a, b)``; both arguments above 0."""
    small, large = min(a, b), max(a, b)
    if small == 0.5 and large >= _ASYMPTOTIC_FROM:
        # ln Gamma(x + 1/2) - ln Gamma(x) by its asymptotic series: the difference of two large logarithms would lose
        # its digits. The first term left out is below 1e-15 from x = 20 on.
        x = large
        series = -1 / (8 * x) + 1 / (192 * x**3) - 1 / (640 * x**5) + 17 / (14336 * x**7)
        return 0.5 * math.log(math.pi) - 0.5 * math.log(x) - series
    return math.lgamma(small) + (math.lgamma(large) - math.lgamma(small + large))


def regularised_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function ``I_x(a, b)``: the share of a beta distribution at or below ``x``.

    Args:
        x: 0..1.
        a: Above 0.
        b: Above 0.

    Returns:
        A share, 0..1.

    Raises:
        ValueError: An argument is outside its range.
    """
    if not (0 <= x <= 1 and 0 < a < math.inf and 0 < b < math.inf):
        raise ValueError(f"no incomplete beta function at x={x}, a={a}, b={b}")
    if x in {0, 1}:
        return float(x)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - log_beta(a, b))
    # The fraction converges fast below the mean; above it, the other tail's does.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function."""
    c = 1.0
    d = 1 / _away_from_nought(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _TERMS_MAX):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_nought(1 + term * d)
            c = _away_from_nought(1 + term / c)
            value *= c * d
        if abs(c * d - 1) <= 2 * _EPSILON:
            return value
    raise ArithmeticError(f"the incomplete beta function does not converge at x={x}, a={a}, b={b}")


def _away_from_nought(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def inverse_beta(share: float, a: float, b: float) -> float:
    """The ``x`` with ``I_x(a, b) = share``, to the last digits that doubles have.

    Newton's method, held inside an interval that every step narrows.

    Args:
        share: 0..1.
        a: Above 0.
        b: Above 0.

    Returns:
        0..1.

    Raises:
        ValueError: An argument is outside its range.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share is 0..1, not {share}")
    if share in {0, 1}:
        return float(share)
    low, high, x = 0.0, 1.0, a / (a + b)
    for _ in range(2000):
        off = regularised_beta(x, a, b) - share
        if off == 0:
            return x
        if off > 0:
            high = x
        else:
            low = x
        density = math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - log_beta(a, b))
        step = x - off / density if density > 0 else low
        # A root far from the middle is found by halving first; where both ends are tiny, by halving the exponent.
        middle = math.sqrt(low * high) if low > 0 else high / 2
        following = step if low < step < high else middle
        if abs(following - x) <= 2 * _EPSILON * x or following in {low, high}:
            return following
        x = following
    return x


def student_t(share: float, dof: float) -> float:
    """Student's t quantile: ``share`` of the distribution is at or below it.

    Args:
        share: Above 0 and below 1; .975 for a two-sided interval of 95 %.
        dof: Degrees of freedom, above 0; infinity is the normal distribution.

    Returns:
        The quantile; relative error below 1e-11 for shares .001 to .999.

    Raises:
        ValueError: An argument is outside its range.
    """
    if not 0 < share < 1:
        raise ValueError(f"the share of a quantile of Student's t is above 0 and below 1, not {share}")
    if not dof > 0:
        raise ValueError(f"Student's t needs degrees of freedom above 0, not {dof}")
    if share == 0.5:
        return 0.0
    if share < 0.5:
        return -_upper_t(share, dof)
    return _upper_t(1 - share, dof)


def _upper_t(tail: float, dof: float) -> float:
    """The t that ``tail``, below a half, of the distribution exceeds."""
    if dof > _NEARLY_NORMAL_FROM:
        return _corrected_normal(tail, dof)
    half = dof / 2
    # t squared over (t squared + dof) is beta distributed. Whichever of it and its complement is below a half is
    # solved for, so that neither loses digits close to 1.
    if 2 * tail < regularised_beta(0.5, half, 0.5):
        rest = inverse_beta(2 * tail, half, 0.5)
        return math.sqrt(dof * (1 - rest) / rest)
    part = inverse_beta(1 - 2 * tail, 0.5, half)
    return math.sqrt(dof * part / (1 - part))


def _corrected_normal(tail: float, dof: float) -> float:
    """The upper quantile for very many degrees of freedom: the first terms of Cornish and Fisher (A&S 26.7.5)."""
    z = -normal_quantile(tail)
    return z + (z**3 + z) / (4 * dof) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * dof**2)


def normal_quantile(share: float) -> float:
    """The quantile of the standard normal distribution, for a share above 0 and below 1."""
    if not 0 < share < 1:
        raise ValueError(f"the share of a normal quantile is above 0 and below 1, not {share}")
    if share > 0.5:
        return -normal_quantile(1 - share)  # of the two tails, erfc keeps the digits of the smaller
    low, high = -40.0, 0.0
    while True:
        middle = (low + high) / 2
        if middle in {low, high}:
            return middle
        if 0.5 * math.erfc(-middle / math.sqrt(2)) < share:
            low = middle
        else:
            high = middle


def student_t_tail(t: float, dof: float) -> float:
    """The share of Student's t distribution above ``t``, 0..1; ``dof`` above 0."""
    if not dof > 0:
        raise ValueError(f"Student's t needs degrees of freedom above 0, not {dof}")
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    if t * t < dof:
        # Near the middle the small part of the beta distribution is the one below.
        upper = 0.5 - 0.5 * regularised_beta(t * t / (dof + t * t), 0.5, dof / 2)
    else:
        upper = 0.5 * regularised_beta(dof / (dof + t * t), dof / 2, 0.5)
    return upper if t >= 0 else 1 - upper
