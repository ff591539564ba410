"""Student's t without tables, held against tables, closed forms and the finite sums that there are for it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simroom.stats.special import inverse_beta, log_beta, normal_quantile, regularised_beta, student_t, student_t_tail

SHARES = [0.6, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999, 0.9995]


def central_share(t: float, dof: int) -> float:
    """Share of Student's t within t of nought, for whole degrees of freedom (Abramowitz & Stegun 26.7.3, 26.7.4)."""
    angle = math.atan2(t, math.sqrt(dof))
    cos, term, total = math.cos(angle), 1.0, 0.0
    if dof % 2:
        term = cos
        for k in range(1, dof - 1, 2):
            total += term
            term *= cos * cos * (k + 1) / (k + 2)
        return 2 / math.pi * (angle + math.sin(angle) * total)
    for k in range(0, dof - 1, 2):
        total += term
        term *= cos * cos * (k + 1) / (k + 2)
    return math.sin(angle) * total


@pytest.mark.parametrize(
    ("dof", "published"),
    [
        (1, (3.078, 6.314, 12.706, 31.821, 63.657)),
        (2, (1.886, 2.920, 4.303, 6.965, 9.925)),
        (3, (1.638, 2.353, 3.182, 4.541, 5.841)),
        (5, (1.476, 2.015, 2.571, 3.365, 4.032)),
        (9, (1.383, 1.833, 2.262, 2.821, 3.250)),
        (10, (1.372, 1.812, 2.228, 2.764, 3.169)),
        (19, (1.328, 1.729, 2.093, 2.539, 2.861)),
        (29, (1.311, 1.699, 2.045, 2.462, 2.756)),
        (30, (1.310, 1.697, 2.042, 2.457, 2.750)),
        (40, (1.303, 1.684, 2.021, 2.423, 2.704)),
        (60, (1.296, 1.671, 2.000, 2.390, 2.660)),
        (120, (1.289, 1.658, 1.980, 2.358, 2.617)),
        (math.inf, (1.282, 1.645, 1.960, 2.326, 2.576)),
    ],
)
def test_quantiles_are_those_of_the_published_table(dof: float, published: tuple[float, ...]) -> None:
    """The table in the back of every textbook (NIST/SEMATECH e-Handbook 1.3.6.7.2)."""
    found = [round(student_t(share, dof), 3) for share in (0.9, 0.95, 0.975, 0.99, 0.995)]
    assert found == list(published)


@pytest.mark.parametrize(
    ("dof", "published"),
    [
        (1, 12.7062047361747),
        (2, 4.30265272974946),
        (5, 2.57058183563631),
        (19, 2.09302405440831),
        (30, 2.04227245630124),
        (99, 1.98421695158642),
        (math.inf, 1.95996398454005),
    ],
)
def test_quantiles_have_all_the_digits_that_r_prints(dof: float, published: float) -> None:
    assert student_t(0.975, dof) == pytest.approx(published, rel=1e-13)


@pytest.mark.parametrize("share", SHARES)
def test_quantiles_are_exact_where_there_is_a_closed_form(share: float) -> None:
    assert student_t(share, 1) == pytest.approx(math.tan(math.pi * (share - 0.5)), rel=1e-12)
    product = 4 * share * (1 - share)
    assert student_t(share, 2) == pytest.approx((2 * share - 1) / math.sqrt(2 * share * (1 - share)), rel=1e-12)
    quartic = math.cos(math.acos(math.sqrt(product)) / 3) / math.sqrt(product)
    assert student_t(share, 4) == pytest.approx(2 * math.sqrt(quartic - 1), rel=1e-11)


@pytest.mark.parametrize("dof", [*range(1, 40), 77, 100, 399])
def test_quantiles_agree_with_the_finite_sums_to_a_billionth(dof: int) -> None:
    for share in SHARES:
        t = student_t(share, dof)
        density = math.exp(-(dof + 1) / 2 * math.log1p(t * t / dof) - log_beta(0.5, dof / 2)) / math.sqrt(dof)
        error = (central_share(t, dof) / 2 + 0.5 - share) / density
        assert abs(error) <= 1e-10 * t
        assert student_t(1 - share, dof) == pytest.approx(-t, rel=1e-9)
        assert student_t_tail(t, dof) == pytest.approx(1 - share, rel=1e-11)


@given(st.floats(0.0005, 0.9995), st.floats(0.3, 1e7))
def test_the_tail_beyond_a_quantile_is_what_was_asked_for(share: float, dof: float) -> None:
    assert student_t_tail(student_t(share, dof), dof) == pytest.approx(1 - share, rel=1e-8)


def test_quantiles_pass_smoothly_into_the_normal_distribution() -> None:
    below, above = student_t(0.975, 99_999.999), student_t(0.975, 100_000.001)
    assert abs(below - above) < 1e-11
    assert above > student_t(0.975, 1e9) > student_t(0.975, math.inf) == normal_quantile(0.975)


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0.2, 500), st.floats(0.2, 500))
def test_the_inverse_of_the_beta_function_inverts_it(share: float, a: float, b: float) -> None:
    x = inverse_beta(share, a, b)
    if 1e-300 < x < 1 - 1e-9:  # closer to 1 doubles are too far apart
        assert regularised_beta(x, a, b) == pytest.approx(share, rel=1e-6, abs=1e-12)


def test_beta_distributions_that_are_known_otherwise() -> None:
    assert regularised_beta(0.3, 1, 1) == pytest.approx(0.3, rel=1e-15)
    assert regularised_beta(0.3, 3, 1) == pytest.approx(0.027, rel=1e-14)
    assert regularised_beta(0.5, 7.25, 7.25) == pytest.approx(0.5, rel=1e-14)
    # I_p(k, n - k + 1) is the chance of k or more successes out of n.
    chance = sum(math.comb(12, k) * 0.2**k * 0.8 ** (12 - k) for k in range(4, 13))
    assert regularised_beta(0.2, 4, 9) == pytest.approx(chance, rel=1e-14)
    assert (inverse_beta(0, 2, 3), inverse_beta(1, 2, 3)) == (0, 1)
    assert log_beta(0.5, 1e6) == pytest.approx(0.5 * math.log(math.pi / 1e6) + 1 / 8e6, rel=1e-14)


@pytest.mark.parametrize(
    ("share", "dof"), [(0, 5), (1, 5), (-0.1, 5), (math.nan, 5), (0.9, 0), (0.9, -1), (0.9, math.nan)]
)
def test_quantiles_that_do_not_exist_are_refused(share: float, dof: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        student_t(share, dof)


def test_arguments_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match="incomplete beta"):
        regularised_beta(1.1, 1, 1)
    with pytest.raises(ValueError, match="incomplete beta"):
        regularised_beta(0.5, 0, 1)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        inverse_beta(-0.1, 1, 1)
    with pytest.raises(ValueError, match="above 0"):
        student_t_tail(1, 0)
    with pytest.raises(ValueError, match="above 0"):
        normal_quantile(1)
