"""What a study leaves behind: its summary, its replications row by row, and the folder that holds them.

The same scenario, seed and version of simroom give the same bytes, however many processes were at work. How long it
took is in ``timing.json`` and the log. Times are whole microseconds in keys and columns that end in ``_us``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from simroom import __version__
from simroom.oracle.verdict import INVARIANTS
from simroom.stats.intervals import CONFIDENCE
from simroom.study.folder import LOG_FILE, SCENARIO_FILE, SUMMARY_FILE, TIMING_FILE, run_folder
from simroom.study.judging import Judged, StudyConclusion
from simroom.study.measures import Unit
from simroom.study.replicate import Estimate, Study
from simroom.study.replication import Breach, Replication
from simroom.study.rows import csv_name
from simroom.study.steadiness import StudySteadiness, WarmUp
from simroom.study.summary import SCHEMA_VERSION, Source, dumps

REPLICATIONS_FILE: Final = "replications.csv"
FILES: Final = (SUMMARY_FILE, REPLICATIONS_FILE, SCENARIO_FILE, TIMING_FILE, LOG_FILE)
"""The files of a study's folder, most telling first."""

_PLACES: Final = 6
_HEAD: Final = (
    "replication",
    "seed",
    "verdict",
    "stability",
    "violations",
    "unfinished_jobs",
    "trace_hash",
    "routing_hash",
    "decision_hash",
)


class StudyRecord(Struct, frozen=True):
    """A finished study, and all that is said of it.

    Attributes:
        study: The study.
        conclusion: What it comes to.
        source: Which scenario it was.
        jobs: Processes that were at work.
        wall_seconds: From its start to its end.
    """

    study: Study
    conclusion: StudyConclusion
    source: Source
    jobs: int
    wall_seconds: float


def write_study(record: StudyRecord, parent: Path, name: str, *, log: Callable[[], str]) -> None:
    """Write the study's folder ``parent / name``, whole or not at all.

    Args:
        record: The study.
        parent: Where run folders go.
        name: Name of this one, from ``folder_name``.
        log: Makes the content of the log; called last.

    Raises:
        FolderError: It cannot be written, or something that simroom did not make is in its place.
    """
    study = record.study
    with run_folder(parent, name) as folder:
        _write(folder / SUMMARY_FILE, dumps(study_summary(record)))
        _write(folder / REPLICATIONS_FILE, "".join(replication_rows(study)))
        _write(folder / TIMING_FILE, dumps(study_timing(record)))
        ran = study.scenario.model_copy(update={"seed": study.seed})
        _write(folder / SCENARIO_FILE, ran.effective(parent / name))
        _write(folder / LOG_FILE, log())


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


# --- summary.json ------------------------------------------------------------------------------------------------


def study_summary(record: StudyRecord) -> dict[str, Any]:
    """The content of ``summary.json``, in the order in which it is written."""
    study, conclusion, source = record.study, record.conclusion, record.source
    asked, precision = study.asked, study.precision
    return {
        "schema_version": SCHEMA_VERSION,
        "simroom": __version__,
        "kind": "study",
        "verdict": conclusion.word,
        "partial": study.interrupted,
        "bug": study.scenario.bug,
        "reasons": list(conclusion.reasons),
        "warnings": list(conclusion.warnings),
        "scenario": {"name": source.name, "file": source.file, "hash": source.hash},
        "seed": study.seed,
        "replications": {
            "count": len(study.replications),
            "asked": asked.count,
            "at_most": asked.count if asked.precision is None else asked.count_max,
        },
        "confidence": CONFIDENCE,
        "precision": None
        if precision is None
        else {
            "asked": precision.asked,
            "of": list(precision.names),
            "reached": precision.reached,
            "worst": precision.worst,
            "worst_precision": _rounded(precision.worst_precision),
            "further_replications": precision.further,
        },
        "stability": _steadiness(study.steadiness),
        "violations": {
            "total": sum(one.violation_count for one in study.replications),
            "by_kind": _added([one.counts for one in study.replications]),
        },
        "invariants": {
            key: {"name": name, "judged": sum(one.judgements.get(key, 0) for one in study.replications)}
            for key, name in INVARIANTS.items()
        },
        "estimates": {name: _estimate(one) for name, one in study.estimates.items()},
        "expectations": [_judged(outcome) for outcome in conclusion.outcomes],
        "each": [_replication(one) for one in study.replications],
    }


def _added(counts: list[dict[str, int]]) -> dict[str, int]:
    kinds = sorted({kind for one in counts for kind in one})
    return {kind: sum(one.get(kind, 0) for one in counts) for kind in kinds}


def _steadiness(steady: StudySteadiness) -> dict[str, Any]:
    return {
        "verdict": steady.word,
        "replications": dict(steady.counts),
        "memory": _rounded(steady.memory),
        "is_too_short": steady.is_too_short,
        "warm_up": warm_up_content(steady.warm_up),
    }


def warm_up_content(found: WarmUp) -> dict[str, Any]:
    """The warm-up as a summary has it, of a study or of a single run."""
    return {
        "stated_us": found.stated,
        "suggested_us": found.suggested,
        "method": found.method,
        "is_too_short": found.is_too_short,
        "distance": _rounded(found.distance),
    }


def _estimate(one: Estimate) -> dict[str, Any]:
    """A figure; of an overloaded system a latency has neither value nor interval, but what it is at least."""
    found: dict[str, Any] = {"unit": "us" if one.unit == "time" else one.unit, "n": one.n}
    if one.at_least is not None:
        return {**found, _key("at_least", one.unit): _plain(one.at_least, one.unit)}
    around = one.interval
    return {
        **found,
        _key("value", one.unit): _plain(one.value, one.unit),
        _key("low", one.unit): _plain(None if around is None else around.low, one.unit),
        _key("high", one.unit): _plain(None if around is None else around.high, one.unit),
        _key("half_width", one.unit): _plain(None if around is None else around.half_width, one.unit),
    }


def _key(name: str, unit: Unit) -> str:
    return f"{name}_us" if unit == "time" else name


def _plain(value: float | None, unit: Unit) -> int | float | None:
    """A value as JSON has it: whole microseconds, whole numbers as such, others to six decimals."""
    if value is None or not math.isfinite(value):
        return None
    if unit == "time":
        return round(value * 1_000_000)
    return int(value) if value == int(value) else round(value, _PLACES)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, _PLACES)


def _judged(outcome: Judged) -> dict[str, Any]:
    expectation = outcome.expectation
    return {
        "text": expectation.text,
        "line": expectation.line,
        "column": expectation.column,
        "decision": outcome.decision,
        "passed": outcome.decision == "holds",
        "judged": "in each replication" if outcome.for_each else "on the interval",
        **_estimate(outcome.estimate),
        "reason": outcome.reason,
        "seed": outcome.seed,
        "further_replications": outcome.further,
    }


def _replication(one: Replication) -> dict[str, Any]:
    rests_on = one.stability.rests_on
    return {
        "replication": one.number,
        "seed": one.seed,
        "verdict": one.word,
        "reasons": list(one.reasons),
        "warnings": list(one.warnings),
        "stability": one.stability.word,
        "growth_jobs": None if rests_on is None else _rounded(rests_on.growth),
        "growth_p_value": None if rests_on is None else _rounded(rests_on.p_value),
        "unfinished_jobs": one.stability.unfinished,
        "violations": {
            "total": one.violation_count,
            "by_kind": dict(sorted(one.counts.items())),
            "first": [_breach(breach) for breach in one.violations],
        },
        "events": one.events,
        "trace_hash": one.trace_hash,
        "routing_hash": one.routing_hash,
        "decision_hash": one.decision_hash,
    }


def _breach(breach: Breach) -> dict[str, Any]:
    return {
        "invariant": breach.invariant,
        "kind": breach.kind,
        "at_us": breach.at,
        "what": breach.what,
        "speaker": breach.speaker,
        "utterance_index": breach.utterance_index,
        "language": breach.language,
    }


# --- the other files ---------------------------------------------------------------------------------------------


def replication_rows(study: Study) -> Iterator[str]:
    """The lines of ``replications.csv``: a header, then each replication; empty where there is no value.

    Latencies of a replication in which jobs piled up say how long it was; its ``stability`` says so.
    """
    estimates = study.estimates.values()
    yield ",".join((*_HEAD, *(csv_name(_key(one.name, one.unit)) for one in estimates))) + "\n"
    for replication in study.replications:
        fields: list[object] = [
            replication.number,
            replication.seed,
            replication.word,
            replication.stability.word,
            replication.violation_count,
            replication.stability.unfinished,
            replication.trace_hash,
            replication.routing_hash,
            replication.decision_hash,
        ]
        fields += [_plain(replication.values.get(one.name), one.unit) for one in estimates]
        yield ",".join("" if field is None else str(field) for field in fields) + "\n"


def study_timing(record: StudyRecord) -> dict[str, Any]:
    """The content of ``timing.json``."""
    replications = record.study.replications
    simulated = sum(one.simulated_time for one in replications) / 1e6
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "study",
        "wall_seconds": round(record.wall_seconds, 3),
        "simulated_seconds": round(simulated, 3),
        "speed": None if record.wall_seconds <= 0 else round(simulated / record.wall_seconds, 1),
        "jobs": record.jobs,
        "replications": [
            {"replication": one.number, "wall_seconds": round(one.wall_seconds, 3)} for one in replications
        ],
    }
