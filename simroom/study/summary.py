"""The content of ``summary.json``: everything a run comes to, as plain values in a stated order.

The same scenario, seed and version of simroom give the same bytes. How long the run took is of the machine, not of
the run, and goes to ``timing.json``. Times are whole microseconds in keys that end in ``_us``; shares are 0..1; None
(JSON ``null``) is a value that does not exist, never a number.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from simroom import __version__
from simroom.oracle.ledger import JobEnd
from simroom.oracle.verdict import INVARIANTS, Violation
from simroom.study.conclusion import Conclusion
from simroom.study.expect import Outcome
from simroom.study.measures import DELIVERY_KINDS, MEASURES, Measure, Value, Values
from simroom.study.steadiness import Steadiness
from simroom.study.table import PARTS, Table, Tags

if TYPE_CHECKING:
    from simroom.sim.tally import FaultUse

SCHEMA_VERSION: Final = 2
VIOLATIONS_SHOWN: Final = 100
"""Violations told one by one in the summary, and so many things that are stuck; all of them are counted."""

_PLACES: Final = 6
"""Decimals of shares, ratios and rates."""

_BEYOND_ASCII: Final = re.compile(r"[\x7f-\U0010ffff]")
_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of controls, formats (bidi, zero width), lone surrogates, and separators of lines."""


class Source(Struct, frozen=True):
    """Which scenario was run.

    Attributes:
        name: Title of the scenario, None where it has none.
        file: File name without its folder, which differs from machine to machine.
        hash: Hash of the effective scenario; equal hashes: the same scenario.
        scheduler: ``package.module:factory`` of a scheduler of the user's own; None: simroom's.
    """

    name: str | None
    file: str
    hash: str
    scheduler: str | None = None

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return PurePath(self.file).stem


class Timing(Struct, frozen=True):
    """How long a run took here: different every time.

    Attributes:
        wall_seconds: From the start of the simulation to its end.
        cpu_seconds: Processor time of it.
        simulated_time: From the scenario's time 0 to the end of the run, whole microseconds.
        events: Engine events.
    """

    wall_seconds: float
    cpu_seconds: float
    simulated_time: int
    events: int

    @property
    def speed(self) -> float | None:
        """Simulated time for each second of real time; None where no time passed."""
        return self.simulated_time / 1e6 / self.wall_seconds if self.wall_seconds > 0 else None


def summary(table: Table, conclusion: Conclusion, source: Source) -> dict[str, Any]:
    """The whole summary, in the order in which it is written."""
    run = table.run
    return {
        "schema_version": SCHEMA_VERSION,
        "simroom": __version__,
        "verdict": conclusion.word,
        "partial": run.interrupted,
        "undrained": run.undrained,
        "halted": run.halted,
        "bug": run.scenario.bug,
        "reasons": list(conclusion.reasons),
        "warnings": list(conclusion.warnings),
        "scenario": {"name": source.name, "file": source.file, "hash": source.hash},
        "scheduler": source.scheduler,
        "seed": run.seed,
        "trace_hash": run.trace_hash,
        "events": run.events,
        "time": {
            "duration_us": run.scenario.duration,
            "warm_up_us": run.scenario.warm_up,
            "lead_in_us": run.time_zero,
            "ended_at_us": run.ended_at - run.time_zero,
            "measured_window_us": table.window_time,
        },
        "stability": _steadiness(conclusion.steadiness),
        "counts": _counts(table),
        "violations": _violations(table),
        "invariants": {
            key: {"name": name, "judged": run.verdict.judgements.get(key, 0)} for key, name in INVARIANTS.items()
        },
        "stuck": list(run.verdict.stuck[:VIOLATIONS_SHOWN]),
        "unfinished": list(run.verdict.unfinished),
        "wrong_answers": {how: dict(by_node) for how, by_node in run.verdict.wrong_answers.items()},
        "faults": [_fault(use, run.time_zero) for use in run.faults],
        "measures": _measures(table),
        "by_language": _by(table, "language"),
        "by_room": _by(table, "room"),
        "by_room_size": _by(table, "room_size"),
        "by_mode": _by(table, "mode"),
        "nodes": _nodes(table),
        "expectations": [_outcome(outcome) for outcome in conclusion.outcomes],
    }


def timing(spent: Timing) -> dict[str, Any]:
    """The content of ``timing.json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "wall_seconds": round(spent.wall_seconds, 3),
        "cpu_seconds": round(spent.cpu_seconds, 3),
        "simulated_seconds": round(spent.simulated_time / 1e6, 3),
        "speed": None if spent.speed is None else round(spent.speed, 1),
        "events": spent.events,
    }


def dumps(content: Mapping[str, Any]) -> str:
    """JSON, indented, in the given order, with a newline at its end.

    Characters that could steer a terminal, and lone surrogates, are written as JSON escapes; all others as they are.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
    # Outside strings JSON is plain ASCII, so whatever is replaced here stands inside one, where an escape means the
    # same as the character.
    return _BEYOND_ASCII.sub(_json_escaped, text)


def _json_escaped(match: re.Match[str]) -> str:
    character = match.group()
    if unicodedata.category(character) not in _STEERING:
        return character
    if ord(character) <= 0xFFFF:
        return f"\\u{ord(character):04x}"
    return json.dumps(character)[1:-1]


# --- sections ----------------------------------------------------------------------------------------------------


def _steadiness(steady: Steadiness) -> dict[str, Any]:
    """Where it is ``overloaded``, latencies in ``measures`` are what they are at least."""
    found, warm_up = steady.rests_on, steady.warm_up
    return {
        "verdict": steady.word,
        "growth_jobs": None if found is None else round(found.growth, _PLACES),
        "growth_p_value": None if found is None else round(found.p_value, _PLACES),
        "unfinished_jobs": steady.unfinished,
        "warm_up": {
            "stated_us": warm_up.stated,
            "suggested_us": warm_up.suggested,
            "method": warm_up.method,
            "is_too_short": warm_up.is_too_short,
        },
    }


def _counts(table: Table) -> dict[str, Any]:
    verdict = table.run.verdict
    jobs = {"total": _count(table, "jobs")}
    jobs.update({end.name.lower(): _count(table, f"jobs.{end.name.lower()}") for end in JobEnd})
    deliveries = {"total": _count(table, "deliveries")}
    deliveries.update({kind: _count(table, f"deliveries.{kind}") for kind in (*DELIVERY_KINDS, "wrong")})
    return {
        "utterances": _count(table, "utterances"),
        "unspoken": table.run.unspoken,
        "jobs": jobs,
        "deliveries": deliveries,
        "rejected": dict(sorted(verdict.refusals.items())),
        "uncounted_results": dict(sorted(verdict.uncounted.items())),
    }


def _count(table: Table, name: str) -> Any:
    return plain(MEASURES[name].compute(table, {})[None])


def _violations(table: Table) -> dict[str, Any]:
    verdict, zero = table.run.verdict, table.run.time_zero
    shown = verdict.violations[:VIOLATIONS_SHOWN]
    return {
        "total": verdict.violation_count,
        "by_kind": dict(sorted(verdict.counts.items())),
        "by_invariant": _by_invariant(verdict.breaches),
        "told": len(shown),
        "first": [_violation(violation, zero) for violation in shown],
    }


def _by_invariant(breaches: Mapping[tuple[str, str], int]) -> dict[str, int]:
    """How often each invariant was breached, of those that were."""
    counts = {key: sum(count for (own, _), count in breaches.items() if own == key) for key in INVARIANTS}
    return {key: count for key, count in counts.items() if count}


def _fault(use: FaultUse, zero: int) -> dict[str, Any]:
    return {
        "label": use.label,
        "kind": use.kind,
        "fired": use.fired_count,
        "at_us": [at - zero for at in use.at],
        "until_us": [None if until is None else until - zero for until in use.until],
    }


def _violation(violation: Violation, zero: int) -> dict[str, Any]:
    return {
        "invariant": violation.invariant,
        "kind": violation.kind,
        "at_us": violation.at - zero,
        "what": violation.what,
        "room": violation.room,
        "speaker": violation.speaker,
        "utterance_index": violation.utterance_index,
        "language": violation.language,
        "recipients": list(violation.recipients),
        "job_id": violation.job_id,
        "node": violation.node,
    }


def _measures(table: Table) -> dict[str, Any]:
    """Every measure that is not in ``counts`` already."""
    return {
        name: _values(measure, measure.compute(table, {}))
        for name, measure in MEASURES.items()
        if measure.unit != "count" or measure.stats
    }


def _values(measure: Measure, values: Values) -> Any:
    if not measure.stats:
        return plain(values[None])
    suffix = "_us" if measure.unit == "time" else ""
    return {f"{stat}{suffix if measure.unit_of(stat) == 'time' else ''}": plain(values[stat]) for stat in measure.stats}


def _by(table: Table, tag: str) -> dict[str, Any]:
    """The same few things for each value of a tag."""
    return {value: _part(table, {tag: value}) for value in table.known(tag)}


def _part(table: Table, tags: Tags) -> dict[str, Any]:
    named = ("delivery_latency", *PARTS, "fan_out_skew", "playback_lag")
    counts = [name for name in ("utterances", "jobs", "deliveries") if set(tags) <= set(MEASURES[name].tags)]
    return {
        **{name: plain(MEASURES[name].compute(table, tags)[None]) for name in counts},
        **{name: _values(MEASURES[name], MEASURES[name].compute(table, tags)) for name in named},
    }


def _nodes(table: Table) -> dict[str, Any]:
    utilisation = MEASURES["nodes.utilisation"]
    window = table.window_time
    return {
        "count": len(table.run.nodes),
        "utilisation": _values(utilisation, utilisation.compute(table, {})),
        "by_group": {
            group: {
                "count": plain(MEASURES["nodes.count"].compute(table, {"node": group})[None]),
                "utilisation": _values(utilisation, utilisation.compute(table, {"node": group})),
            }
            for group in table.known("node")
        },
        "each": [
            {
                "name": use.name,
                "group": use.group,
                "slots": use.slots,
                "streams": use.streams,
                "jobs": use.jobs,
                "failed": use.failed,
                "busy_time_us": use.busy_time,
                "ready_time_us": use.ready_time,
                "utilisation": plain(Fraction(use.busy_time, window * use.streams)) if window * use.streams else None,
            }
            for use in table.run.nodes
        ],
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    expectation = outcome.expectation
    unit = expectation.unit
    return {
        "text": expectation.text,
        "line": expectation.line,
        "column": expectation.column,
        "passed": outcome.passed,
        "value_us" if unit == "time" else "value": plain(outcome.value),
        "unit": "us" if unit == "time" else unit,
        "reason": outcome.reason,
    }


def plain(value: Value | None) -> int | float | None:
    """A value as JSON has it: whole numbers exact, fractions to six decimals."""
    if value is None or isinstance(value, int):
        return value
    return round(float(value), _PLACES)
