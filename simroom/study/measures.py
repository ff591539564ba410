"""Every measure of a run: its name, unit, formula, what it can be selected by, and how it is computed.

The registry is what expectations are checked against before a run, what they are judged by after it, and what the
summary lists. Counts are of the whole run, the warm-up included; samples of time are of the utterances that ended
after the warm-up, however late their results came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final, Literal

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import Column, JobEnd
from simroom.stats.quantiles import Spread, spread
from simroom.study.queues import blocked_times, fairness, mean_and_most, offered_load
from simroom.study.table import CAUSES, PARTS, Level, Table, Tags
from simroom.study.waste import wasted

Unit = Literal["time", "share", "count", "ratio", "rate"]
"""``time``: whole microseconds. ``share``: 0..1. ``count``: a whole number. ``ratio``: a plain number. ``rate``: per
second."""

Value = int | Fraction
"""Times and counts are whole; shares, ratios and rates exact fractions, rounded only where they are shown."""

Values = Mapping[str | None, Value | None]
"""Values by statistic, with the key None for a measure that is one value; None where there is nothing to measure."""

SPREAD_STATS: Final = ("n", "mean", "p50", "p90", "p95", "p99", "max")
JOB_TAGS: Final = ("language", "room", "room_size", "node", "mode")
UTTERANCE_TAGS: Final = ("room", "room_size", "mode")
DELIVERY_KINDS: Final = ("missing", "extra", "duplicate", "out_of_order", "leaked")
REASONS: Final = (
    "OFFLINE",
    "STATUS_NOT_READY",
    "NOT_IN_PUBLIC_POOL",
    "GPU_UNAVAILABLE",
    "MODEL_NOT_AVAILABLE",
    "CAPACITY_EXCEEDED",
    "RESOURCE_THRESHOLD_EXCEEDED",
)
"""The exclude reasons, in the order of the filters."""

TAG_MEANINGS: Final = {
    "language": "target language of the job",
    "room": "room group of the scenario",
    "room_size": "members of the room",
    "node": "node group of the scenario",
    "mode": "room or single (the speaker was in no room, or alone)",
    "reason": "exclude reason",
    "cause": "why it came to nothing: " + ", ".join(CAUSES),
    "invariant": "key of an invariant",
    "kind": "kind of violation",
    "how": "what is wrong with an answer",
}


class Measure(Struct, frozen=True):
    """One measure.

    Attributes:
        name: What it is called everywhere; may have dots.
        unit: Unit of its values (of the statistic ``n``: a count).
        formula: What it is, in words.
        stats: Its statistics; empty where it is one value.
        tags: What it can be selected by.
        compute: From a table and a selection to its values.
    """

    name: str
    unit: Unit
    formula: str
    stats: tuple[str, ...]
    tags: tuple[str, ...]
    compute: Callable[[Table, Tags], Values]

    def unit_of(self, stat: str | None) -> Unit:
        """Unit of one of its statistics."""
        return "count" if stat == "n" else self.unit


def by_stat(values: Spread | None) -> Values:
    """A spread of microseconds as values by statistic; the mean is rounded to whole microseconds."""
    if values is None:
        return {"n": 0, **dict.fromkeys(SPREAD_STATS[1:])}
    return {stat: round(getattr(values, stat)) for stat in SPREAD_STATS}


def delivery_spread(table: Table, tags: Tags, column: Column, *, explained: bool = False) -> Spread | None:
    """Spread of a column of the deliveries, after the warm-up; None where nothing is left."""
    chosen = table.measured("delivery") & table.mask("delivery", tags)
    if explained:
        chosen = chosen & table.explained
    return spread(column[chosen])


# --- counts ------------------------------------------------------------------------------------------------------


def _count(level: Level) -> Callable[[Table, Tags], Values]:
    def compute(table: Table, tags: Tags) -> Values:
        return {None: int(table.mask(level, tags).sum())}

    return compute


def _ended(end: JobEnd) -> Callable[[Table, Tags], Values]:
    def compute(table: Table, tags: Tags) -> Values:
        return {None: int((table.mask("job", tags) & (table.jobs["end"] == end)).sum())}

    return compute


def _breaches(kind: str) -> Callable[[Table, Tags], Values]:
    def compute(table: Table, _tags: Tags) -> Values:
        return {None: table.run.verdict.counts.get(kind, 0)}

    return compute


def _violations(table: Table, tags: Tags) -> Values:
    verdict = table.run.verdict
    wanted = {tag: table.spelled(tag, value) for tag, value in tags.items()}
    if "invariant" in wanted:
        counts = (
            count
            for (invariant, kind), count in verdict.breaches.items()
            if invariant == wanted["invariant"] and kind == wanted.get("kind", kind)
        )
        return {None: sum(counts)}
    return {None: verdict.counts.get(wanted["kind"], 0) if "kind" in wanted else verdict.violation_count}


def _wrong_deliveries(table: Table, _tags: Tags) -> Values:
    return {None: table.run.verdict.wrong_deliveries}


def _wrong_answers(table: Table, tags: Tags) -> Values:
    by_how = table.run.verdict.wrong_answers
    chosen = [by_how.get(table.spelled("how", tags["how"]), {})] if "how" in tags else by_how.values()
    return {None: sum(sum(by_node.values()) for by_node in chosen)}


def _rejected(table: Table, tags: Tags) -> Values:
    refusals = table.run.verdict.refusals
    if "reason" not in tags:
        return {None: sum(refusals.values())}
    # A reason that nobody was refused for is a count of nought; one that does not exist is a slip of the pen.
    reason = tags["reason"]
    return {None: refusals.get(reason, 0) if reason in REASONS else refusals[table.spelled("reason", reason)]}


def _node_count(table: Table, tags: Tags) -> Values:
    return {None: len(_nodes(table, tags))}


# --- ratios ------------------------------------------------------------------------------------------------------


def _per(above: Level, below: Level) -> Callable[[Table, Tags], Values]:
    def compute(table: Table, tags: Tags) -> Values:
        count = int(table.mask(below, tags).sum())
        return {None: Fraction(int(table.mask(above, tags).sum()), count) if count else None}

    return compute


def _jobs_in(state: str) -> Callable[[Table, Tags], Values]:
    def compute(table: Table, tags: Tags) -> Values:
        average, most = mean_and_most(table, state, table.mask("job", tags))
        return {"mean": average, "max": most}

    return compute


def _offered_load(table: Table, tags: Tags) -> Values:
    return {None: offered_load(table, table.mask("job", tags))}


def _fairness(by: str) -> Callable[[Table, Tags], Values]:
    def compute(table: Table, tags: Tags) -> Values:
        return {None: fairness(table, by, table.measured("delivery") & table.mask("delivery", tags))}

    return compute


def _wasted_time(table: Table, tags: Tags) -> Values:
    causes = [table.spelled("cause", tags["cause"])] if "cause" in tags else list(CAUSES)
    every = table.mask("job", {})
    if not len(every):
        return {None: None}
    return {None: sum(wasted(table, cause, every) for cause in causes)}


def _blocked(table: Table, _tags: Tags) -> Values:
    return by_stat(spread(blocked_times(table)))


def _throughput(table: Table, tags: Tags) -> Values:
    start, end = table.window
    arrived_at = table.deliveries["arrived_at"]
    count = int((table.mask("delivery", tags) & (arrived_at >= start) & (arrived_at < end)).sum())
    return {None: Fraction(count * 1_000_000, end - start) if end > start else None}


def _nodes(table: Table, tags: Tags) -> list[int]:
    group = table.spelled("node", tags["node"]) if "node" in tags else None
    return [number for number, use in enumerate(table.run.nodes) if group is None or use.group == group]


def utilisations(table: Table, tags: Tags) -> list[Fraction]:
    """Busy share of the streams of each chosen node over the measured window, in order; empty without a window."""
    uses = [table.run.nodes[number] for number in _nodes(table, tags)]
    if table.window_time == 0:
        return []
    return [Fraction(use.busy_time, table.window_time * use.streams) for use in uses if use.streams > 0]


def _utilisation(table: Table, tags: Tags) -> Values:
    shares = utilisations(table, tags)
    if not shares:
        return dict.fromkeys(("mean", "min", "max"))
    return {"mean": sum(shares, Fraction(0)) / len(shares), "min": min(shares), "max": max(shares)}


# --- times -------------------------------------------------------------------------------------------------------


def _delivery_latency(table: Table, tags: Tags) -> Values:
    return by_stat(delivery_spread(table, tags, table.delivery_latency))


def _part(name: str) -> Callable[[Table, Tags], Values]:
    def compute(table: Table, tags: Tags) -> Values:
        return by_stat(delivery_spread(table, tags, table.parts[name], explained=True))

    return compute


def service_time(table: Table) -> Column:
    """The three stages together, for each delivery."""
    return table.parts["asr_time"] + table.parts["nmt_time"] + table.parts["tts_time"]


def _service_time(table: Table, tags: Tags) -> Values:
    return by_stat(delivery_spread(table, tags, service_time(table), explained=True))


def _fan_out_skew(table: Table, tags: Tags) -> Values:
    job, skew = table.fan_outs
    chosen = (table.measured("job") & table.mask("job", tags))[job]
    return by_stat(spread(skew[chosen]))


def _playback_lag(table: Table, tags: Tags) -> Values:
    return by_stat(delivery_spread(table, tags, table.playback_lag))


def _playback_queue(table: Table, tags: Tags) -> Values:
    queue = table.playback.queue[table.measured("delivery") & table.mask("delivery", tags)]
    return {"max": int(np.max(queue)) if len(queue) else None}


# --- the registry ------------------------------------------------------------------------------------------------

_PART_FORMULAS: Final = {
    "uplink_time": "planned end of the speech -> acceptance by the scheduler",
    "waiting_time": "acceptance -> a node starts on it: the way to the node and every wait before service",
    "asr_time": "speech recognition, of the attempt that was answered",
    "nmt_time": "translation, of the attempt that was answered",
    "tts_time": "speech synthesis, of the attempt that was answered",
    "hold_time": "the answer came -> the scheduler let it go: held for older utterances of its speaker and language",
    "downlink_time": "from the node to the scheduler, and from the scheduler to the recipient",
}


_STATE_FORMULAS: Final = {
    "in_system": "jobs accepted and not ended",
    "waiting": "jobs accepted and not yet given to the node whose answer counted",
    "in_flight": "jobs given to that node and not answered",
    "held": "jobs answered and held for older ones",
}


def _counts() -> list[Measure]:
    ends = [end for end in JobEnd if end is not JobEnd.LIVING]
    return [
        Measure(
            "utterances", "count", "utterances that their speakers finished", (), UTTERANCE_TAGS, _count("utterance")
        ),
        Measure("jobs", "count", "jobs made, living ones included", (), JOB_TAGS, _count("job")),
        *(
            Measure(
                f"jobs.{end.name.lower()}", "count", f"jobs that ended as {end.name.lower()}", (), JOB_TAGS, _ended(end)
            )
            for end in ends
        ),
        Measure("jobs.living", "count", "jobs not ended when the run was", (), JOB_TAGS, _ended(JobEnd.LIVING)),
        Measure("deliveries", "count", "results that reached a recipient", (), JOB_TAGS, _count("delivery")),
        *(
            Measure(f"deliveries.{kind}", "count", f"deliveries that the oracle found {kind}", (), (), _breaches(kind))
            for kind in DELIVERY_KINDS
        ),
        Measure(
            "deliveries.wrong",
            "count",
            "deliveries of what a node had answered wrongly: no violation, as the scheduler cannot know",
            (),
            (),
            _wrong_deliveries,
        ),
        Measure(
            "violations",
            "count",
            "breaches of the invariants, of every kind",
            (),
            ("invariant", "kind"),
            _violations,
        ),
        Measure("wrong_answers", "count", "answers of nodes that counted and were wrong", (), ("how",), _wrong_answers),
        Measure(
            "rejected", "count", "jobs that no node could take, first or later attempt", (), ("reason",), _rejected
        ),
        Measure("nodes.count", "count", "nodes of the scenario", (), ("node",), _node_count),
    ]


def _ratios() -> list[Measure]:
    return [
        Measure("jobs_per_utterance", "ratio", "jobs / utterances", (), UTTERANCE_TAGS, _per("job", "utterance")),
        Measure("deliveries_per_job", "ratio", "deliveries / jobs", (), JOB_TAGS, _per("delivery", "job")),
        Measure(
            "throughput",
            "rate",
            "deliveries that arrived in the measured window / its length",
            (),
            JOB_TAGS,
            _throughput,
        ),
        Measure(
            "offered_load",
            "ratio",
            "service asked for by the jobs accepted in the measured window / its length, erlangs; jobs never answered"
            " count with the mean of the others",
            (),
            JOB_TAGS,
            _offered_load,
        ),
        *(
            Measure(
                f"jobs.{state}",
                "ratio",
                f"{formula}, time-weighted over the measured window",
                ("mean", "max"),
                JOB_TAGS,
                _jobs_in(state),
            )
            for state, formula in _STATE_FORMULAS.items()
        ),
        Measure(
            "fairness.rooms",
            "ratio",
            "Jain's index of the rooms' mean delivery latencies: (sum of x)^2 / (n x sum of x^2); 1: all alike",
            (),
            JOB_TAGS,
            _fairness("rooms"),
        ),
        Measure(
            "fairness.languages",
            "ratio",
            "Jain's index of the target languages' mean delivery latencies",
            (),
            JOB_TAGS,
            _fairness("languages"),
        ),
        Measure(
            "nodes.utilisation",
            "share",
            "busy time of a node's streams / (measured window x streams), over the nodes",
            ("mean", "min", "max"),
            ("node",),
            _utilisation,
        ),
    ]


def _times() -> list[Measure]:
    def time(name: str, formula: str, compute: Callable[[Table, Tags], Values]) -> Measure:
        return Measure(name, "time", formula, SPREAD_STATS, JOB_TAGS, compute)

    return [
        time("delivery_latency", "planned end of the speech -> arrival at the recipient", _delivery_latency),
        *(time(name, _PART_FORMULAS[name], _part(name)) for name in PARTS),
        time("service_time", "asr_time + nmt_time + tts_time", _service_time),
        time(
            "fan_out_skew",
            "last less first arrival of one result, of those with two recipients or more",
            _fan_out_skew,
        ),
        time(
            "playback_lag",
            "planned end of the speech -> start of playback, each listener playing one result after another",
            _playback_lag,
        ),
        Measure(
            "wasted_time",
            "time",
            "service that came to nothing, over the whole run",
            (),
            ("cause",),
            _wasted_time,
        ),
        Measure(
            "speaker_blocked_time",
            "time",
            "for each speaker, how long in the measured window a result of theirs was held behind an older one",
            SPREAD_STATS,
            (),
            _blocked,
        ),
        Measure(
            "playback_queue",
            "count",
            "results at one listener that have arrived and not begun to play",
            ("max",),
            JOB_TAGS,
            _playback_queue,
        ),
    ]


MEASURES: Final[Mapping[str, Measure]] = {measure.name: measure for measure in (*_counts(), *_ratios(), *_times())}
"""All measures by name, in the order in which the summary lists them."""


def measured(table: Table, name: str, stat: str | None = None, tags: Tags | None = None) -> Value | None:
    """One value of a measure; None where there is nothing to measure.

    Raises:
        KeyError: There is no such measure, or it has no such statistic.
        UnknownTagError: The run has no such tag value.
    """
    return MEASURES[name].compute(table, tags or {})[stat]
