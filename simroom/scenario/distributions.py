"""Spans of time that vary: one small frozen model for each distribution a scenario can name.

Durations are whole microseconds. The models only say what is wanted; drawing from them is the workload's job.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from simroom.scenario.fields import Duration, Number, OneOf, PositiveDuration, as_list, expand_one_of, kinds_of
from simroom.scenario.printable import quoted
from simroom.scenario.units import UnfitError, format_duration, parse_duration

_P95: Final = 1.6448536269514722
"""Standard normal quantile of .95."""
_P99: Final = 2.3263478740408408
"""Standard normal quantile of .99."""


class Constant(OneOf):
    """Always the same span."""

    bare: ClassVar[str | None] = "span"
    alone: ClassVar[bool] = True
    kind: Literal["constant"] = "constant"
    span: Duration
    """The span."""

    @property
    def mean(self) -> float:
        """Mean, microseconds."""
        return float(self.span)


class Uniform(OneOf):
    """Any span between two, all equally likely."""

    kind: Literal["uniform"] = "uniform"
    low: Duration = Field(alias="from")
    """Shortest span."""
    high: Duration = Field(alias="to")
    """Longest span."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise UnfitError(
                f"from {format_duration(self.low)} to {format_duration(self.high)}",
                "`from` at most `to`",
                f"from: {format_duration(self.high)}, to: {format_duration(self.low)}",
            )
        return self

    @property
    def mean(self) -> float:
        """Mean, microseconds."""
        return (self.low + self.high) / 2


class Exponential(OneOf):
    """Memoryless: short spans are likeliest, coefficient of variation 1."""

    kind: Literal["exponential"] = "exponential"
    mean: PositiveDuration
    """Mean."""


class Lognormal(OneOf):
    """The logarithm is normal; held as median and sigma, whichever way the file says it.

    A file gives ``median`` or ``mean``, and one of ``sigma`` (of the logarithm), ``cv`` (coefficient of variation),
    ``p95`` or ``p99``.
    """

    kind: Literal["lognormal"] = "lognormal"
    median: PositiveDuration
    """Median."""
    sigma: Annotated[Number, Field(ge=0, le=10)]
    """Standard deviation of the natural logarithm."""

    @model_validator(mode="before")
    @classmethod
    def _as_median_and_sigma(cls, value: Any) -> Any:
        return _canonical_lognormal(value) if isinstance(value, dict) else value

    @property
    def mu(self) -> float:
        """Mean of the natural logarithm of the span in microseconds."""
        return math.log(self.median)

    @property
    def mean(self) -> float:
        """Mean, microseconds."""
        return self.median * math.exp(self.sigma**2 / 2)


def _canonical_lognormal(given: dict[str, Any]) -> dict[str, Any]:
    rest = {key: given[key] for key in given if key not in ("mean", "cv", "p95", "p99")}
    centres = [key for key in ("median", "mean") if key in given]
    widths = [key for key in ("sigma", "cv", "p95", "p99") if key in given]
    if len(centres) != 1:
        raise UnfitError(" and ".join(centres) or "neither", "one of `median` and `mean`")
    if len(widths) != 1:
        raise UnfitError(" and ".join(widths) or "none of them", "one of `sigma`, `cv`, `p95` and `p99`")
    if "median" in given and "sigma" in given:
        return rest
    centre = _positive(given, centres[0])
    width = widths[0]
    if width in ("p95", "p99"):
        tail, quantile = _positive(given, width), _P95 if width == "p95" else _P99
        sigma = _sigma_from_tail(centre, tail, quantile, centres[0], width)
    else:
        number = given[width]
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 100:
            raise UnfitError(quoted(number), "a number between 0 and 100").under(width)
        sigma = float(number) if width == "sigma" else math.sqrt(math.log1p(number * number))
    median = centre if centres[0] == "median" else max(1, round(centre * math.exp(-(min(sigma, 10.0) ** 2) / 2)))
    return {**rest, "median": format_duration(median), "sigma": sigma}


def _positive(given: dict[str, Any], key: str) -> int:
    try:
        span = parse_duration(given[key])
    except UnfitError as error:
        raise error.under(key) from None
    if span <= 0:
        raise UnfitError(format_duration(span), "more than 0s").under(key)
    return span


def _sigma_from_tail(centre: int, tail: int, quantile: float, centre_name: str, tail_name: str) -> float:
    """Sigma such that the quantile is ``tail``; with a mean, the smaller of the two solutions."""
    ratio = math.log(tail / centre)
    if centre_name == "median":
        if ratio < 0:
            raise UnfitError(
                f"{tail_name} {format_duration(tail)} and median {format_duration(centre)}",
                f"`{tail_name}` at least the median",
            )
        return ratio / quantile
    # mean m = median·exp(s²/2) and tail t = median·exp(q·s): ln(t/m) = q·s - s²/2, which has its maximum q²/2 at s = q.
    under = quantile * quantile - 2 * ratio
    if ratio < 0 or under < 0:
        most = format_duration(round(centre * math.exp(quantile * quantile / 2)))
        raise UnfitError(
            f"{tail_name} {format_duration(tail)} and mean {format_duration(centre)}",
            f"`{tail_name}` between the mean and {most}, the most that a lognormal of this mean can have",
        )
    return quantile - math.sqrt(under)


class Gamma(OneOf):
    """Gamma: a coefficient of variation below 1 is steadier than chance, above 1 burstier."""

    kind: Literal["gamma"] = "gamma"
    mean: PositiveDuration
    """Mean."""
    cv: Annotated[Number, Field(gt=0, le=100)]
    """Coefficient of variation."""


class Hyperexponential(OneOf):
    """Two exponentials mixed, with balanced means: coefficient of variation above 1."""

    kind: Literal["hyperexponential"] = "hyperexponential"
    mean: PositiveDuration
    """Mean."""
    cv: Annotated[Number, Field(ge=1, le=100)]
    """Coefficient of variation, 1 or more."""


class Empirical(OneOf):
    """One of the spans listed, all equally likely."""

    bare: ClassVar[str | None] = "spans"
    kind: Literal["empirical"] = "empirical"
    spans: Annotated[tuple[Duration, ...], BeforeValidator(as_list), Field(min_length=1, max_length=100_000)]
    """The spans; one that is to come twice as often is listed twice."""

    @property
    def mean(self) -> float:
        """Mean, microseconds."""
        return sum(self.spans) / len(self.spans)


DISTRIBUTION_KINDS: Final = kinds_of(Constant, Uniform, Exponential, Lognormal, Gamma, Hyperexponential, Empirical)
"""Every distribution there is, and the field that a single value fills."""
_WHAT: Final = "a duration, for example 250ms, or a distribution: " + ", ".join(DISTRIBUTION_KINDS)


def expand_distribution(value: object) -> object:
    """The long form of what a file says in place of a span."""
    if isinstance(value, BaseModel):
        return value
    if not isinstance(value, dict):
        return {"kind": "constant", "span": parse_duration_or_name(value)}
    return expand_one_of(value, DISTRIBUTION_KINDS, _WHAT)


def parse_duration_or_name(value: object) -> object:
    """Check a bare span early, so that the error names distributions too where a word was written."""
    if isinstance(value, str) and value in DISTRIBUTION_KINDS:
        raise UnfitError(f"'{value}'", f"what to do with it, for example {{{value}: {{mean: 250ms}}}}")
    if isinstance(value, (list, type(None))):
        raise UnfitError("a list" if isinstance(value, list) else "nothing", _WHAT)
    return value


Distribution = Annotated[
    Constant | Uniform | Exponential | Lognormal | Gamma | Hyperexponential | Empirical,
    Field(discriminator="kind"),
    BeforeValidator(expand_distribution),
]
"""A span that may vary; each has ``.mean`` in microseconds."""
OptionalDistribution = Distribution | None


def constant(span: int) -> Constant:
    """Always ``span`` microseconds."""
    return Constant.model_construct(kind="constant", span=span)


AMI_UTTERANCE: Final = Lognormal.model_construct(kind="lognormal", median=1_584_000, sigma=1.38)
"""Utterance lengths of 170 AMI meetings: lognormal, mu .46 (of seconds), sigma 1.38."""
