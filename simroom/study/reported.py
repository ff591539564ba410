"""The figures of a replication: which there are, what each is called, and their values in base units.

A figure is a measure, what is selected of it, and a statistic, called as an expectation would write it:
``delivery_latency{language=ja}.p99``. Times are in seconds, shares 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from simroom.oracle.ledger import Column
from simroom.stats.quantiles import SHARES
from simroom.study.expect import Expectation
from simroom.study.measures import MEASURES, Measure, Unit, Value, service_time
from simroom.study.queues import blocked_times
from simroom.study.steadiness import CROWDED
from simroom.study.table import PARTS, Table, UnknownTagError

HEADLINE: Final = "delivery_latency"
LANGUAGES_MAX: Final = 20
"""So many languages have figures of their own where no expectation asks for more."""
_SECOND: Final = 1_000_000


class Figure(Struct, frozen=True):
    """One figure.

    Attributes:
        measure: Name of the measure.
        tags: What is selected, as pairs, in the order in which the measure has them; empty: all.
        stat: The statistic; None for a measure that is one value.
    """

    measure: str
    tags: tuple[tuple[str, str], ...] = ()
    stat: str | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        chosen = "{" + ",".join(f"{tag}={value}" for tag, value in self.tags) + "}" if self.tags else ""
        return self.measure + chosen + (f".{self.stat}" if self.stat is not None else "")

    @property
    def whole(self) -> Figure:
        """The same without its statistic: what the samples are of."""
        return Figure(self.measure, self.tags)

    @property
    def unit(self) -> Unit:
        """Unit of its values."""
        return MEASURES[self.measure].unit_of(self.stat)

    @property
    def is_percentile(self) -> bool:
        """Whether it is a percentile of samples."""
        return self.stat in SHARES

    @property
    def is_crowded(self) -> bool:
        """Whether it has no value of its own where jobs pile up; how many samples there are is what it is."""
        return self.measure in CROWDED and self.stat != "n"

    @property
    def is_largest(self) -> bool:
        """Whether it is the largest of the samples; of nodes it is not, whose shares are no samples."""
        return self.stat == "max" and self.unit != "share"


def of_expectation(expectation: Expectation) -> Figure:
    """What an expectation is about."""
    return figure(expectation.measure, expectation.tags, expectation.stat)


def figure(measure: Measure, tags: dict[str, str], stat: str | None) -> Figure:
    """A figure whose tags are in the measure's order."""
    return Figure(measure.name, tuple((tag, tags[tag]) for tag in measure.tags if tag in tags), stat)


def all_figures(expectations: Iterable[Expectation], languages: Sequence[str]) -> tuple[Figure, ...]:
    """Every figure that is reported, each once: every measure, the headline by language, what is expected.

    Args:
        expectations: For each its figure, and how many samples that has.
        languages: Those of which the headline has figures of its own, the first ``LANGUAGES_MAX``.
    """
    found = [Figure(name, (), stat) for name, measure in MEASURES.items() for stat in measure.stats or (None,)]
    for one in by_language(languages):
        found += [Figure(one.measure, one.tags, stat) for stat in MEASURES[HEADLINE].stats]
    for expectation in expectations:
        one = of_expectation(expectation)
        if one.is_percentile:
            found.append(Figure(one.measure, one.tags, "n"))
        found.append(one)
    return tuple(dict.fromkeys(found))


def by_language(languages: Sequence[str]) -> tuple[Figure, ...]:
    """The headline of each of the first languages, without a statistic."""
    return tuple(Figure(HEADLINE, (("language", language),)) for language in languages[:LANGUAGES_MAX])


def values_of(table: Table, wanted: Iterable[Figure]) -> tuple[dict[str, float | None], dict[str, str]]:
    """Compute figures.

    Returns:
        Their values by name, None where there is nothing to measure; and by name why, where a selection names
        something that the run does not have.
    """
    values: dict[str, float | None] = {}
    absent: dict[str, str] = {}
    # All statistics of a measure come at once.
    computed: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str | None, Value | None] | str] = {}
    for one in wanted:
        key = one.measure, one.tags
        if key not in computed:
            try:
                computed[key] = dict(MEASURES[one.measure].compute(table, dict(one.tags)))
            except UnknownTagError as unknown:
                known = ", ".join(unknown.known) or "none"
                computed[key] = f"no {unknown.tag} {unknown.value!r}; there is {known}"
        found = computed[key]
        if isinstance(found, str):
            values[one.name], absent[one.name] = None, found
        else:
            values[one.name] = in_base_units(found[one.stat], one.unit)
    return values, absent


def in_base_units(value: Value | None, unit: Unit) -> float | None:
    """A value as a plain number: seconds, 0..1, a count, per second."""
    if value is None:
        return None
    return float(value) / _SECOND if unit == "time" else float(value)


def samples_of(table: Table, one: Figure) -> Column | None:
    """The samples that percentiles are of, whole microseconds, in any order.

    Args:
        table: The run.
        one: A figure of a measure that has percentiles; its statistic does not matter.

    Returns:
        None where it selects what the run does not have.
    """
    try:
        if one.measure == "fan_out_skew":
            job, skew = table.fan_outs
            return skew[(table.measured("job") & table.mask("job", dict(one.tags)))[job]]
        if one.measure == "speaker_blocked_time":
            return blocked_times(table)
        chosen = table.measured("delivery") & table.mask("delivery", dict(one.tags))
    except UnknownTagError:
        return None
    if one.measure in PARTS or one.measure == "service_time":
        column = service_time(table) if one.measure == "service_time" else table.parts[one.measure]
        return column[chosen & table.explained]
    return (table.delivery_latency if one.measure == "delivery_latency" else table.playback_lag)[chosen]
