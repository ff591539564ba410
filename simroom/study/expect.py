"""Expectations: what a scenario says a run must show, read before the run and judged after it.

``delivery_latency{language=ja}.p99 < 4s``: a measure, what of it is meant (tags, all of which hold), the statistic, a
comparison and a bound in the measure's unit. A measure, statistic or tag that does not exist is a problem of the
scenario, found before anything runs. A tag value that the run does not have, or nothing to measure, fails.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Final, Literal

from msgspec import Struct

from simroom.oracle.verdict import HOWS, INVARIANTS, KINDS
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.scenario.schema import Expectation as Stated
from simroom.scenario.units import UnfitError, parse_duration
from simroom.study.measures import MEASURES, REASONS, Measure, Unit, Value
from simroom.study.steadiness import CROWDED, Steadiness
from simroom.study.table import CAUSES, MODES, Table, UnknownTagError

Operator = Literal["<", "<=", ">", ">=", "==", "!="]

_COMPARE: Final[dict[str, Callable[[Fraction, Fraction], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_EXAMPLE: Final = "an expectation such as 'delivery_latency{language=ja}.p95 < 2.5s' or 'violations == 0'"
_PARTS: Final = re.compile(
    r"^\s*(?P<name>[^\s{}<>=!]+)\s*(?:\{(?P<tags>[^{}]*)\}\s*(?P<rest>\.[^\s{}<>=!]+)?)?"
    r"\s*(?P<op>[<>=!]+)\s*(?P<bound>\S(?:.*\S)?)\s*$"
)
_LONGEST: Final = 500
_NUMBER: Final = re.compile(r"^[0-9]{1,18}(?:\.[0-9]{1,9})?$")
_FIXED: Final[dict[str, tuple[str, ...]]] = {
    "mode": MODES,
    "reason": REASONS,
    "invariant": tuple(INVARIANTS),
    "kind": tuple(KINDS),
    "how": tuple(HOWS),
    "cause": tuple(CAUSES),
}
"""Tags whose values are the same for every run."""
_UNIT_WORDS: Final[dict[Unit, str]] = {
    "time": "a time with its unit (ms, s, min), for example 2.5s",
    "share": "a share, for example 85% or 0.85",
    "count": "a whole number without a unit, for example 0",
    "ratio": "a number without a unit, for example 1.5",
    "rate": "a rate per second, for example 10/s",
}


class Expectation(Struct, frozen=True):
    """One expectation that makes sense.

    Attributes:
        text: As its writer put it.
        line: Line of the scenario file, counted from 1; None where it comes from elsewhere.
        column: Column there, counted from 1; None likewise.
        measure: What is measured.
        tags: What of it is meant, by tag; empty: all.
        stat: The statistic; None for a measure that is one value.
        operator: The comparison, the measured value on its left.
        bound: Whole microseconds for times, 0..1 for shares, per second for rates.
    """

    text: str
    line: int | None
    column: int | None
    measure: Measure
    tags: dict[str, str]
    stat: str | None
    operator: Operator
    bound: Fraction

    @property
    def unit(self) -> Unit:
        """Unit of the value and the bound."""
        return self.measure.unit_of(self.stat)


class Outcome(Struct, frozen=True):
    """What became of an expectation.

    Attributes:
        expectation: The expectation.
        passed: Whether it holds.
        value: What was measured; None where there was nothing to measure.
        reason: Why it fails, where that is more than the value; else None.
    """

    expectation: Expectation
    passed: bool
    value: Value | None
    reason: str | None = None


class Problem(Struct, frozen=True):
    """An expectation that makes no sense.

    Attributes:
        line: Line of the scenario file, counted from 1; None where it comes from elsewhere.
        column: Column there, counted from 1; None likewise.
        text: As its writer put it.
        error: What was found and what was expected.
    """

    line: int | None
    column: int | None
    text: str
    error: UnfitError


# --- reading -----------------------------------------------------------------------------------------------------


def read(text: str, line: int | None = None, column: int | None = None) -> Expectation:
    """Read one expectation.

    Args:
        text: For example ``nodes.utilisation{node=desktop}.max < 85%``.
        line: Where it stands, kept for the report.
        column: Likewise.

    Raises:
        UnfitError: It makes no sense: what was found, what was expected, and what was perhaps meant.
    """
    parts = _PARTS.match(text) if len(text) <= _LONGEST else None
    if parts is None:
        raise UnfitError(quoted(text), _EXAMPLE)
    name = parts["name"] + (parts["rest"] or "")
    measure, stat = _measure_and_stat(name, tagged=parts["tags"] is not None)
    tags = _tags(parts["tags"], measure)
    if parts["op"] not in _COMPARE:
        hints = {"=": "==", "=<": "<=", "=>": ">=", "<>": "!=", "===": "=="}
        raise UnfitError(quoted(parts["op"]), "one of < <= > >= == !=", hints.get(parts["op"]))
    bound = _bound(parts["bound"], measure.unit_of(stat))
    compare: Operator = parts["op"]  # type: ignore[assignment]  # it is a key of _COMPARE
    return Expectation(text.strip(), line, column, measure, tags, stat, compare, bound)


def read_all(stated: Iterable[Stated]) -> tuple[tuple[Expectation, ...], tuple[Problem, ...]]:
    """Read all expectations of a scenario.

    Returns:
        Those that make sense, and what is wrong with the others; both in the order of the scenario.
    """
    sound: list[Expectation] = []
    problems: list[Problem] = []
    for one in stated:
        # Places count from 1; 0 is how the scenario says that there is none.
        line, column = one.line or None, one.column or None
        try:
            sound.append(read(one.text, line, column))
        except UnfitError as error:
            problems.append(Problem(line, column, one.text, error))
    return tuple(sound), tuple(problems)


def _measure_and_stat(name: str, *, tagged: bool) -> tuple[Measure, str | None]:
    """Split ``nodes.utilisation.max``: names have dots of their own, so the whole name is tried first."""
    measure, stat = MEASURES.get(name), None
    if measure is None and "." in name:
        stem, stat = name.rsplit(".", 1)
        measure = MEASURES.get(stem)
        if measure is not None and not measure.stats:
            raise UnfitError(quoted(name), f"{stem} without a statistic, since it is one value", stem)
    if measure is None:
        valid = [*MEASURES, *(f"{known.name}.{stat}" for known in MEASURES.values() for stat in known.stats)]
        raise UnfitError(quoted(name), "a measure", nearest(name, valid))
    if not measure.stats:
        return measure, None
    dotted = ", ".join(f".{known}" for known in measure.stats)
    if stat is None:
        example = f"{name}{{...}}.{measure.stats[-1]}" if tagged else f"{name}.{measure.stats[-1]}"
        raise UnfitError(quoted(name), f"a statistic after it (one of {dotted})", example)
    if stat not in measure.stats:
        close = nearest(stat, measure.stats)
        raise UnfitError(quoted(f".{stat}"), f"a statistic of {measure.name}: one of {dotted}", close and f".{close}")
    return measure, stat


def _tags(text: str | None, measure: Measure) -> dict[str, str]:
    tags: dict[str, str] = {}
    for pair in text.split(",") if text is not None else ():
        tag, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not tag or not value:
            raise UnfitError(quoted(pair.strip()), "a tag and its value, for example language=ja")
        value = value.strip("'\"")
        if tag not in measure.tags:
            valid = ", ".join(measure.tags) if measure.tags else "none"
            raise UnfitError(quoted(tag), f"a tag that {measure.name} has ({valid})", nearest(tag, measure.tags))
        if tag in tags:
            raise UnfitError(quoted(pair.strip()), f"each tag once ({tag} is {quoted(tags[tag])} already)")
        _check_tag_value(tag, value)
        tags[tag] = value
    return tags


def _check_tag_value(tag: str, value: str) -> None:
    """Refuse what no run could have. Languages and groups are for the run to say."""
    if tag == "room_size" and not re.fullmatch(r"[0-9]{1,9}", value):
        raise UnfitError(quoted(value), "a room size, a whole number of members")
    fixed = _FIXED.get(tag)
    if fixed is not None and value not in fixed:
        raise UnfitError(quoted(value), f"a known {tag}, one of {', '.join(fixed)}", nearest(value, fixed))


def _bound(text: str, unit: Unit) -> Fraction:
    if unit == "time":
        try:
            return Fraction(parse_duration(text))
        except UnfitError as error:
            raise UnfitError(error.found, _UNIT_WORDS[unit], error.hint) from None
    suffixes = {"share": "%", "rate": "/s"}
    suffix = suffixes.get(unit, "")
    number = text.removesuffix(suffix).rstrip() if suffix else text
    whole_number_wanted = unit == "count" and "." in number
    unit_missing = unit == "rate" and not text.endswith("/s")
    if not _NUMBER.match(number) or whole_number_wanted or unit_missing:
        hint = f"{text}/s" if unit_missing and _NUMBER.match(text) else None
        raise UnfitError(quoted(text), _UNIT_WORDS[unit], hint)
    bound = Fraction(number)
    if unit != "share":
        return bound
    if text.endswith("%"):
        bound /= 100
    if bound > 1:
        hint = f"{text}%" if not text.endswith("%") and bound <= 100 else None
        raise UnfitError(quoted(text), "a share of at most 100%", hint)
    return bound


# --- judging -----------------------------------------------------------------------------------------------------


def judge(expectations: Iterable[Expectation], table: Table, steady: Steadiness | None = None) -> tuple[Outcome, ...]:
    """Judge each expectation, in order; where ``steady`` says that the run was overloaded, it has no latency."""
    overloaded = steady if steady is not None and steady.is_overloaded else None
    return tuple(_judged(expectation, table, overloaded) for expectation in expectations)


def _judged(expectation: Expectation, table: Table, overloaded: Steadiness | None) -> Outcome:
    try:
        value = expectation.measure.compute(table, expectation.tags)[expectation.stat]
    except UnknownTagError as unknown:
        known = ", ".join(unknown.known) or "none"
        reason = f"this run has no {unknown.tag} {quoted(unknown.value)}; it has {known}"
        return Outcome(expectation, passed=False, value=None, reason=reason)
    if overloaded is not None and expectation.measure.name in CROWDED and expectation.stat != "n":
        return Outcome(expectation, passed=False, value=None, reason=f"overloaded: {overloaded.why}")
    if value is None:
        return Outcome(expectation, passed=False, value=None, reason="no samples: there was nothing to measure")
    passed = _COMPARE[expectation.operator](Fraction(value), expectation.bound)
    return Outcome(expectation, passed=passed, value=value)
