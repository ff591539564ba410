"""Samplers against closed forms: quantiles, moments with their tails, and the shape of what is drawn.

Nothing here flickers: moments are integrated, not sampled, and the sampled tests have fixed seeds.
"""

import math
from collections.abc import Callable
from statistics import NormalDist

import pytest

from simroom.scenario import distributions as wanted
from simroom.workload import distributions
from simroom.workload.distributions import (
    LONGEST,
    TABLE_SHIFT,
    TAIL_COUNT,
    Sampler,
    Samplers,
    constant,
    empirical,
    exponential,
    gamma,
    hyperexponential,
    lognormal,
    sampler_of,
    turned,
    uniform,
)
from simroom.workload.streams import Stream, stream_key

ALL = 1 << 64
BINS = 1 << 64 - TABLE_SHIFT
SECOND = 1_000_000
HOUR = 3_600 * SECOND

CONTINUOUS: dict[str, tuple[Callable[[], Sampler], float, float]] = {
    # mean in microseconds, squared coefficient of variation, both from closed forms
    "exponential": (lambda: exponential(SECOND), SECOND, 1.0),
    "lognormal, sigma .5": (lambda: lognormal(SECOND, 0.5), SECOND * math.exp(0.125), math.exp(0.25) - 1),
    "lognormal, sigma 1.4": (lambda: lognormal(SECOND, 1.4), SECOND * math.exp(0.98), math.exp(1.96) - 1),
    "lognormal, sigma 2": (lambda: lognormal(SECOND, 2), SECOND * math.exp(2), math.exp(4) - 1),
    "gamma, cv .1": (lambda: gamma(SECOND, 0.1), SECOND, 0.01),
    "gamma, cv .7": (lambda: gamma(SECOND, 0.7), SECOND, 0.49),
    "gamma, cv 2": (lambda: gamma(SECOND, 2), SECOND, 4.0),
    "gamma, cv 13": (lambda: gamma(SECOND, 13), SECOND, 169.0),
    "hyperexponential, cv 1": (lambda: hyperexponential(SECOND, 1), SECOND, 1.0),
    "hyperexponential, cv 3": (lambda: hyperexponential(SECOND, 3), SECOND, 9.0),
    "hyperexponential, cv 20": (lambda: hyperexponential(SECOND, 20), SECOND, 400.0),
}


def bits_exceeded_with(q: float) -> int:
    """The bits whose span is exceeded with probability q."""
    return ALL - max(1, round(q * 2.0**64))


def exceeded_with(bits: int) -> float:
    """The probability with which the span of these bits is exceeded: they stand for the middle of their cell."""
    return (ALL - bits - 0.5) * 2.0**-64


def exact_moments(sampler: Sampler) -> tuple[float, float]:
    """Mean and variance of what a sampler draws: its table summed, its tail integrated over log q."""
    low, high = math.log(2.0**-64), math.log((BINS - sampler.tail_from) / BINS)
    step = (high - low) / 4096
    mean = math.fsum(sampler.table) / BINS
    square = math.fsum(span * span for span in sampler.table) / BINS
    for i in range(4096):
        q = math.exp(low + (i + 0.5) * step)
        span = sampler(bits_exceeded_with(q))
        mean += span * q * step
        square += span * span * q * step
    return mean, square - mean * mean


@pytest.mark.parametrize("name", CONTINUOUS)
def test_mean_and_variance_are_those_of_the_closed_form(name: str) -> None:
    make, mean, cv2 = CONTINUOUS[name]
    sampler = make()
    assert sampler.mean == pytest.approx(mean, rel=1e-12)
    assert sampler.cv2 == pytest.approx(cv2, rel=1e-12)
    drawn_mean, drawn_variance = exact_moments(sampler)
    assert drawn_mean == pytest.approx(mean, rel=2e-5)
    assert drawn_variance == pytest.approx(cv2 * mean * mean, rel=1e-4)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_more_bits_never_give_a_shorter_span_and_the_table_meets_its_tail(name: str) -> None:
    sampler = CONTINUOUS[name][0]()
    edge = sampler.tail_from << TABLE_SHIFT
    step = 1 << TABLE_SHIFT - 3
    around = [sampler(edge + step * i) for i in range(-32, 33)]
    spread = [sampler(ALL // 5000 * i) for i in range(5001)]
    assert around == sorted(around)
    assert spread == sorted(spread)
    assert sampler.exact(0) <= sampler.exact(ALL // 2) < sampler.exact(ALL - 1)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_raw_pieces_draw_what_the_sampler_draws(name: str) -> None:
    sampler = CONTINUOUS[name][0]()
    table, tail_from, exact = sampler.table, sampler.tail_from, sampler.exact
    assert (len(table), tail_from) == (BINS - TAIL_COUNT, BINS - TAIL_COUNT)
    stream = Stream(stream_key(1, name))
    for _ in range(3000):
        bits = stream.bits()
        i = bits >> TABLE_SHIFT
        assert (table[i] if i < tail_from else exact(bits)) == sampler(bits)


@pytest.mark.parametrize("q", [0.9999, 0.99, 0.9, 0.5, 0.1, 0.01, 1e-4, 1e-9, 1e-15, 1e-18])
def test_lognormal_and_exponential_quantiles_are_exact_into_the_far_tail(q: float) -> None:
    bits = bits_exceeded_with(q)
    q = exceeded_with(bits)
    assert exponential(HOUR).exact(bits) == pytest.approx(-HOUR * math.log(q), abs=0.51, rel=1e-9)
    z = -NormalDist().inv_cdf(q)
    assert lognormal(HOUR, 1.4).exact(bits) == pytest.approx(HOUR * math.exp(1.4 * z), abs=0.51, rel=1e-9)


@pytest.mark.parametrize(
    ("degrees", "q", "quantile"),
    [
        # Chi-square quantiles as printed in every table; a chi-square is a gamma of shape degrees / 2, scale 2.
        (1, 0.05, 3.841458820694124),
        (1, 0.01, 6.634896601021213),
        (1, 0.001, 10.827566170662733),
        (5, 0.05, 11.070497693516351),
        (10, 0.05, 18.307038053275146),
        (10, 0.01, 23.209251158954356),
        (10, 0.95, 3.940299136119003),
        (100, 0.05, 124.34211340400407),
    ],
)
def test_gamma_quantiles_are_those_of_the_chi_square_tables(degrees: int, q: float, quantile: float) -> None:
    sampler = gamma(degrees * HOUR, math.sqrt(2 / degrees))
    assert sampler.exact(bits_exceeded_with(q)) == pytest.approx(quantile * HOUR, rel=2e-5)


def erlang_upper(shape: int, x: float) -> float:
    """Probability that an Erlang of whole shape and scale 1 exceeds x."""
    return math.exp(-x) * math.fsum(x**i / math.factorial(i) for i in range(shape))


@pytest.mark.parametrize("shape", [0.5, 1, 2, 3, 7, 40])
@pytest.mark.parametrize("q", [0.999, 0.9, 0.5, 0.1, 1e-3, 1e-6, 1e-12, 1e-18])
def test_gamma_quantiles_put_back_into_the_closed_form_give_their_probability(shape: float, q: float) -> None:
    bits = bits_exceeded_with(q)
    x = gamma(shape * HOUR, 1 / math.sqrt(shape)).exact(bits) / HOUR
    upper = math.erfc(math.sqrt(x)) if shape == 0.5 else erlang_upper(int(shape), x)
    density = math.exp((shape - 1) * math.log(x) - x - math.lgamma(shape))
    # How far the span is off, from how far the probability is.
    assert abs(upper - exceeded_with(bits)) / density < 2e-5 * x + 0.51 / HOUR


@pytest.mark.parametrize("cv", [1.0, 1.001, 1.5, 4.0, 13.0, 100.0])
@pytest.mark.parametrize("q", [0.999, 0.9, 0.5, 0.1, 1e-3, 1e-6, 1e-12, 1e-18])
def test_hyperexponential_quantiles_put_back_into_the_closed_form_give_their_probability(cv: float, q: float) -> None:
    often = (1 + math.sqrt((cv**2 - 1) / (cv**2 + 1))) / 2
    seldom = 1 / (cv**2 + 1) / (2 * often)
    mean = 10 * SECOND
    short, long = mean / (2 * often), mean / (2 * seldom)
    bits = bits_exceeded_with(q)
    x = hyperexponential(mean, cv).exact(bits)
    upper = often * math.exp(-x / short) + seldom * math.exp(-x / long)
    density = often / short * math.exp(-x / short) + seldom / long * math.exp(-x / long)
    assert abs(upper - exceeded_with(bits)) / density < 2e-5 * x + 0.51


@pytest.mark.parametrize("name", CONTINUOUS)
def test_what_a_stream_draws_has_the_distribution(name: str) -> None:
    """Kolmogorov and Smirnov with 20,000 draws; a correct program fails with odds of 1 in a million, seed by seed."""
    sampler = CONTINUOUS[name][0]()
    stream = Stream(stream_key(11, name))
    count = 20_000
    drawn = sorted(sampler(stream.bits()) for _ in range(count))
    expected = [sampler.exact((2 * i + 1) * ALL // (2 * 2000)) for i in range(2000)]
    worst = 0.0
    below = 0
    for i, span in enumerate(expected):
        while below < count and drawn[below] <= span:
            below += 1
        if span > 0 and i < 1999 and span < expected[i + 1]:
            worst = max(worst, abs(below / count - (i + 0.5) / 2000))
    # sqrt(ln(2e6) / 2) / sqrt(n), and half a cell of what is compared with.
    assert worst < math.sqrt(math.log(2e6) / 2 / count) + 1 / 4000


def test_a_constant_needs_no_table_and_no_luck() -> None:
    sampler = constant(250_000)
    assert {sampler(bits) for bits in (0, 1 << 63, ALL - 1)} == {250_000}
    assert (list(sampler.table), sampler.tail_from, sampler.mean, sampler.cv2) == ([], 0, 250_000.0, 0.0)
    assert (constant(0).mean, constant(0).cv2) == (0.0, 0.0)


def test_a_uniform_span_reaches_both_ends_and_has_its_moments() -> None:
    sampler = uniform(3, 8)
    drawn = [sampler(ALL // 6000 * i + ALL // 12000) for i in range(6000)]
    assert {span: drawn.count(span) for span in range(3, 9)} == dict.fromkeys(range(3, 9), 1000)
    assert sampler.mean == 5.5
    assert sampler.cv2 == pytest.approx(35 / 12 / 5.5**2)
    assert (sampler(0), sampler(ALL - 1)) == (3, 8)
    assert uniform(5, 5)(12345) == 5
    assert uniform(0, 0).cv2 == 0.0


def test_an_empirical_distribution_draws_each_of_its_spans_equally_often_and_in_order() -> None:
    sampler = empirical([40, 10, 10, 20])
    assert [sampler(ALL // 4 * i) for i in range(4)] == [10, 10, 20, 40]
    assert sampler(ALL - 1) == 40
    assert sampler.mean == 20
    assert sampler.cv2 == pytest.approx((400 + 100 + 100 + 0) / 4 / 400)


def test_a_lognormal_without_spread_is_constant() -> None:
    assert lognormal(SECOND, 0)(ALL - 1) == SECOND


def test_no_draw_is_beyond_the_longest_span() -> None:
    sampler = lognormal(HOUR, 10)
    assert sampler(ALL - 1) == LONGEST
    assert max(sampler.table) <= LONGEST
    assert constant(LONGEST + 1)(0) == LONGEST
    assert empirical([LONGEST * 2])(0) == LONGEST


def test_three_turns_of_the_same_bits_serve_four_samplers_independently() -> None:
    sampler = exponential(SECOND)
    stream = Stream(stream_key(5, "turned"))
    count = 4000
    rows = []
    for _ in range(count):
        bits = stream.bits()
        rows.append([sampler(bits), *(sampler(turned(bits, draws)) for draws in (1, 2, 3))])
    for i in range(4):
        # Means of exponentials: standard deviation 1/sqrt(n); 5 of them are 1 in 1.7 million.
        assert sum(row[i] for row in rows) / count / SECOND == pytest.approx(1, abs=5 / math.sqrt(count))
        for j in range(i):
            product = sum((row[i] / SECOND - 1) * (row[j] / SECOND - 1) for row in rows) / count
            assert abs(product) < 5 / math.sqrt(count)
    assert turned(ALL - 1, 2) == ALL - 1
    assert turned(1 << TABLE_SHIFT - 1, 1) == 1 << 63


@pytest.mark.parametrize(
    "make",
    [
        lambda: constant(-1),
        lambda: uniform(5, 4),
        lambda: uniform(-1, 4),
        lambda: exponential(0),
        lambda: exponential(math.inf),
        lambda: exponential(math.nan),
        lambda: lognormal(0, 1),
        lambda: lognormal(1, -1),
        lambda: gamma(1, 0),
        lambda: gamma(-1, 1),
        lambda: hyperexponential(1, 0.9),
        lambda: empirical([]),
        lambda: empirical([1, -1]),
    ],
)
def test_parameters_out_of_range_are_refused(make: Callable[[], Sampler]) -> None:
    with pytest.raises(ValueError, match=r"must be|needs"):
        make()


MODELS: dict[str, tuple[wanted.Distribution, float]] = {
    "constant": (wanted.Constant(span="250ms"), 250_000),
    "uniform": (wanted.Uniform(low="1s", high="2s"), 1_500_000),
    "exponential": (wanted.Exponential(mean="2s"), 2_000_000),
    "lognormal": (wanted.Lognormal(median="1s", sigma=1.4), SECOND * math.exp(0.98)),
    "gamma": (wanted.Gamma(mean="2s", cv=0.5), 2_000_000),
    "hyperexponential": (wanted.Hyperexponential(mean="2s", cv=2.0), 2_000_000),
    "empirical": (wanted.Empirical(spans=["1s", "3s"]), 2_000_000),
}


@pytest.mark.parametrize("kind", MODELS)
def test_every_distribution_of_a_scenario_has_its_sampler(kind: str) -> None:
    model, mean = MODELS[kind]
    sampler = sampler_of(model)
    assert sampler.mean == pytest.approx(mean)
    assert sampler(1 << 63) == getattr(distributions, kind)(
        *[getattr(model, name) for name in type(model).model_fields if name != "kind"]
    )(1 << 63)


def test_equal_distributions_of_one_run_share_their_sampler() -> None:
    samplers = Samplers()
    first = samplers.of(wanted.Gamma(mean="2s", cv=0.5))
    assert samplers.of(wanted.Gamma(mean="2000ms", cv=0.5)) is first
    assert samplers.of(wanted.Gamma(mean="2s", cv=0.6)) is not first
