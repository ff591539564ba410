"""Whether runs were steady: did they keep up with what came in, was the start left out, and were they long enough?

All is read off the ledger afterwards: from the number of jobs in the system over time, and from the delivery latencies
in order of when the speech ended. A run that did not keep up has no latency of its own: the longer it runs, the longer
they get. Runs that are over before the system has forgotten how it began show the beginning, not the system; that takes
several to tell, since what one run has of its own looks like memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, exp, inf, sqrt
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from simroom.oracle.ledger import NONE, JobEnd
from simroom.scenario.schema import Scenario
from simroom.stats.special import regularised_beta
from simroom.stats.stability import LEVEL, Stability, stability
from simroom.stats.timeweighted import Steps, present
from simroom.stats.warmup import suggested
from simroom.study.table import Table

Series = npt.NDArray[np.float64]
Word = Literal["stable", "backlogged", "overloaded", "unknown"]
"""``unknown``: nothing was measured, or for less than 20 microseconds."""

WORDS: Final[tuple[Word, ...]] = ("stable", "backlogged", "overloaded", "unknown")
WINDOWS: Final = 200
"""Parts of a run whose mean latencies make the series in which the end of the start-up is looked for."""
CROWDED: Final = ("delivery_latency", "waiting_time", "hold_time", "playback_lag")
"""Measures that have no value of their own where jobs pile up: they grow with the length of the run."""
BLOCKS: Final = 10
"""Parts of what is left, from whose spread it is seen how far means of so many neighbours stray by themselves."""
DISTANCE: Final = 4.781
"""So many standard errors apart, a start is taken for one: Student's t of 9 degrees of freedom at .9995. For a given
cut that were one false alarm in a thousand; MSER-5 looks for the cut that stands out most. In M/M/1 queues that are in
their steady state from the first instant, at loads of .5 to .95, that makes one in ten to one in forty; to go by the
suggestion alone, one in three to one in eight."""
LONG_MEMORY: Final = 0.5
"""Correlation of the numbers of jobs in one part of a run and the next from which the run is too short. A system that
forgets exponentially has it where the part is 1.13 times as long as its memory; starting empty, a run of ten such parts
has a mean that is some 9 % too low."""
SWING: Final = 0.1
"""Standard deviation of the numbers of jobs as a share of their mean, below which they are as good as constant."""
CHANCE: Final = 0.1
"""More than the share of runs just at their capacity that are taken for overloaded (8.8 %, see ``stats.stability``)."""
TOO_MANY: Final = 0.01
"""So improbable a number of replications taken for overloaded is no chance any more."""


class WarmUp(Struct, frozen=True):
    """Where the start-up seems to end, and what the scenario says.

    Attributes:
        stated: The scenario's ``warm_up``, whole microseconds from time 0.
        suggested: Where the rule would cut, likewise; None where there is too little to say.
        distance: How far the mean latency between the two is from that of the rest, in standard errors; None where
            nothing lies between them, or too little behind.
        method: Name of the rule.
    """

    stated: int
    suggested: int | None
    distance: float | None
    method: str = "MSER-5"

    @property
    def is_too_short(self) -> bool:
        """Whether the rule would cut more, and what it would cut differs by more than chance from what is left."""
        return self.distance is not None and abs(self.distance) > DISTANCE

    @property
    def warning(self) -> str | None:
        """What to say where it is too short; None: nothing."""
        if not self.is_too_short or self.suggested is None:
            return None
        return (
            f"a warm-up of {_said(self.stated)} is shorter than the {_said(self.suggested)} that {self.method} suggests"
        )


class Steadiness(Struct, frozen=True):
    """What there is to say of one run.

    Attributes:
        word: Whether it kept up.
        rests_on: The figures behind the word; None where there are none.
        warm_up: Whether its start was left out.
        unfinished: Jobs of the measured window that had not ended when the run did.
    """

    word: Word
    rests_on: Stability | None
    warm_up: WarmUp
    unfinished: int

    @property
    def is_overloaded(self) -> bool:
        """Whether latencies say how long the run was, and nothing else."""
        return self.word == "overloaded"

    @property
    def why(self) -> str | None:
        """What an overload or a backlog shows in, in words; None: there is neither."""
        if self.rests_on is None or self.word not in ("overloaded", "backlogged"):
            return None
        end, usual = (f"{jobs:,.0f}" for jobs in (self.rests_on.end, self.rests_on.usual))
        if self.word == "backlogged":
            return f"{end} jobs in the system at the end, {usual} as a rule"
        share = self.rests_on.growth_share
        of_all = "" if share is None else f", {share * 100:.2g} % of those that came"
        return f"jobs in the system grew by {self.rests_on.growth:,.0f} to {end} at the end{of_all}"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the run must not overlook, most important first."""
        told = []
        if self.word == "overloaded":
            told.append(f"OVERLOADED: {self.why}; latencies say how long the run was")
        elif self.word == "backlogged":
            told.append(f"BACKLOGGED: {self.why}")
        if self.warm_up.warning is not None:
            told.append(self.warm_up.warning)
        return tuple(told)


def steadiness(table: Table) -> Steadiness:
    """Judge a run."""
    found = stability(jobs_over_time(table), *table.window)
    measured, scenario = table.measured("job"), table.run.scenario
    return Steadiness(
        word="unknown" if found is None or not measured.any() else found.verdict,
        rests_on=found,
        warm_up=warm_up(latencies_over_time(table), scenario.duration, scenario.warm_up),
        unfinished=int((measured & (table.jobs["end"] == JobEnd.LIVING)).sum()),
    )


def jobs_over_time(table: Table) -> Steps:
    """The number of jobs in the system: from the acceptance of their utterance to their end, held ones included."""
    rows = table.jobs["utterance"]
    received_at = table.utterances["received_at"][rows]
    # A scheduler of somebody's own may make a job of what it never accepted.
    came_at = np.where(received_at == NONE, table.utterances["ended_at"][rows], received_at)
    ended_at = table.jobs["ended_at"]
    beyond = max(table.window[1], table.run.ended_at) + 1
    return present(came_at, np.maximum(came_at, np.where(ended_at == NONE, beyond, ended_at)))


# --- how long it remembers ---------------------------------------------------------------------------------------


def memory(strayed: Series) -> float | None:
    """How much the numbers of jobs in one part of a run say about those in the next.

    Args:
        strayed: By how much the number of jobs strays from its mean, as a share of that, for each run and part of it;
            shape ``(runs, parts)``.

    Returns:
        Their correlation, -1..1; None where they hardly stray.
    """
    if strayed.size == 0 or float(np.sqrt((strayed**2).mean())) < SWING:
        return None
    one, following = strayed[:, :-1], strayed[:, 1:]
    size = sqrt(float((one**2).sum()) * float((following**2).sum()))
    return float((one * following).sum()) / size if size > 0 else None


def times_as_long(correlation: float) -> int:
    """How many times as long, at least, runs must be whose parts have this correlation, above ``LONG_MEMORY``.

    Of a system that forgets exponentially, neighbouring parts that are ``x`` times as long as its memory have the
    correlation ``(1 - exp(-x))**2 / (2 (x - 1 + exp(-x)))``. Runs too short to show the slowest of what it remembers
    make it look smaller than it is.
    """
    low, high = 1e-3, 2.0
    for _ in range(30):
        middle = (low + high) / 2
        forgotten = 1 - exp(-middle)
        low, high = (middle, high) if forgotten**2 / (2 * (middle - forgotten)) > correlation else (low, middle)
    return ceil(1.13 / high)


def _around_common_means(each: Sequence[Stability]) -> Series:
    """How tenths of runs stray from what those tenths are on average: what all have in common is no memory."""
    tenths = np.array([one.means for one in each]).reshape(len(each), -1, 2).mean(axis=2)
    strayed: Series = (tenths - tenths.mean(axis=0)) / tenths.mean() if tenths.mean() > 0 else np.zeros_like(tenths)
    # The mean of few runs strays with them.
    return strayed * sqrt(len(each) / (len(each) - 1))


def _has_a_plot(scenario: Scenario) -> bool:
    """Whether something happens in it once, so that it is not the same system throughout."""
    return bool(scenario.faults or scenario.script)


# --- where the start-up ends -------------------------------------------------------------------------------------


def latencies_over_time(table: Table) -> Series:
    """Mean delivery latency, in microseconds, of the utterances that ended in each part of the run, from time 0 on.

    Returns:
        Shape ``(WINDOWS,)``; NaN where nothing was delivered of the utterances of a part.
    """
    zero, duration = table.run.time_zero, table.run.scenario.duration
    since = table.utterances["ended_at"][table.utterance_of_delivery] - zero
    inside = (since >= 0) & (since < duration)
    part = since[inside] * WINDOWS // duration
    count = np.bincount(part, minlength=WINDOWS)
    total = np.bincount(part, weights=table.delivery_latency[inside].astype(np.float64), minlength=WINDOWS)
    found: Series = np.full(WINDOWS, np.nan)
    np.divide(total, count, out=found, where=count > 0)
    return found


def mean_series(replications: Sequence[Series]) -> Series:
    """The mean of several series, part by part, of those that have a value there; NaN where none has.

    Chance is flattened by it, and the start-up, which all of them have, is left (Welch 1983).
    """
    rows = np.array(replications, dtype=np.float64)
    there = ~np.isnan(rows)
    count = there.sum(axis=0)
    found: Series = np.full(rows.shape[1], np.nan)
    np.divide(np.where(there, rows, 0.0).sum(axis=0), count, out=found, where=count > 0)
    return found


def warm_up(series: Series, duration: int, stated: int) -> WarmUp:
    """Where MSER-5 would end the warm-up.

    Args:
        series: From ``latencies_over_time``, or ``mean_series`` of several.
        duration: The scenario's, whole microseconds.
        stated: The scenario's warm-up, likewise.
    """
    there = np.flatnonzero(~np.isnan(series))
    found = suggested(series[there])
    if not found.is_enough:
        return WarmUp(stated, None, None)
    first = int(there[found.cut]) if found.cut else 0
    # The end of the part before, rounded up, so that cutting there cuts all of it.
    cut = -(-first * duration // len(series))
    between = series[-(-stated * len(series) // duration) : first]
    return WarmUp(stated, cut, _distance(between[~np.isnan(between)], series[there[found.cut :]]))


def _said(span: int) -> str:
    """A span as one says it, to the second where it has one: ``2 min 10 s``, ``0 s``, ``0.25 s``."""
    if 0 < span < 1_000_000:
        return f"{span / 1_000_000:g} s"
    minutes, seconds = divmod(round(span / 1_000_000), 60)
    hours, minutes = divmod(minutes, 60)
    named = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{number:,} {unit}" for number, unit in named if number) or "0 s"


def _distance(first: Series, rest: Series) -> float | None:
    """How far the mean of the first values is from that of the rest, in standard errors.

    Neighbours are alike, so the spread is taken from means of ``BLOCKS`` blocks of the rest, and not from its values.
    """
    length = len(rest) // BLOCKS
    if len(first) == 0 or length == 0:
        return None
    blocks = rest[: length * BLOCKS].reshape(BLOCKS, length).mean(axis=1)
    apart = float(first.mean() - rest.mean())
    error = float(blocks.std(ddof=1)) * sqrt(length / len(first) + length / len(rest))
    if error == 0:
        return 0.0 if apart == 0 else inf if apart > 0 else -inf
    return apart / error


# --- several replications ----------------------------------------------------------------------------------------


class StudySteadiness(Struct, frozen=True):
    """What there is to say of all replications together.

    Attributes:
        word: ``overloaded`` where that is no chance (see ``together``), ``unknown`` where nothing is known of any, else
            ``stable``, or ``backlogged`` where more than half were that or worse.
        counts: Replications by their own word, in the order of ``WORDS``.
        warm_up: Of the mean series.
        memory: Correlation of the numbers of jobs in one tenth of the measured window and the next, of how they stray
            from their means over the replications, -1..1; None where there is none, with a single replication, and
            where the scenario has faults or a script, and with them a beginning and an end.
    """

    word: Word
    counts: dict[Word, int]
    warm_up: WarmUp
    memory: float | None

    @property
    def is_overloaded(self) -> bool:
        """Whether latencies say how long the runs were, and nothing else."""
        return self.word == "overloaded"

    @property
    def is_too_short(self) -> bool:
        """Whether replications show how they began more than how the system is."""
        return self.memory is not None and self.memory > LONG_MEMORY


def together(
    each: Sequence[Steadiness], series: Sequence[Series], scenario: Scenario, *, level: float = LEVEL
) -> StudySteadiness:
    """Judge replications together.

    One run in twenty at the edge of its capacity is taken for overloaded by chance; of twenty runs, one is. So that a
    study raises a false alarm no more often than a single run, a replication counts if it is overloaded at ``level``
    divided by their number; or if so many are at ``level`` that it is no chance in runs just at their capacity.

    Args:
        each: Of each replication.
        series: ``latencies_over_time`` of each.
        scenario: What was run.
        level: Of the test for growth.
    """
    counts: dict[Word, int] = {word: sum(one.word == word for one in each) for word in WORDS}
    overloaded = [one.rests_on for one in each if one.is_overloaded and one.rests_on is not None]
    certain = any(found.p_value < level / len(each) for found in overloaded)
    word: Word = "stable"
    if certain or (len(overloaded) > 1 and _at_least(len(overloaded), len(each)) < TOO_MANY):
        word = "overloaded"
    elif counts["unknown"] == len(each):
        word = "unknown"
    elif 2 * (counts["backlogged"] + counts["overloaded"]) > len(each):
        word = "backlogged"
    whole = mean_series(series) if series else np.full(WINDOWS, np.nan)
    known = [one.rests_on for one in each if one.rests_on is not None]
    remembered = memory(_around_common_means(known)) if len(known) > 1 and not _has_a_plot(scenario) else None
    return StudySteadiness(word, counts, warm_up(whole, scenario.duration, scenario.warm_up), remembered)


def _at_least(hits: int, n: int) -> float:
    """Probability that so many of ``n`` or more are taken for overloaded by ``CHANCE``: a binomial tail."""
    return regularised_beta(CHANCE, hits, n - hits + 1)
