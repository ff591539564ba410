"""From measured jobs to a kind of node: how long its stages take, how it starts, and how its GPU shares itself out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from msgspec import Struct

from simroom.scenario.datafile import DataFileError
from simroom.scenario.units import format_duration
from simroom.stats.calibration import (
    CalibrationError,
    ColdStart,
    Concurrency,
    StageFit,
    first_jobs,
    fit_cold_start,
    fit_concurrency,
    fit_stage,
)
from simroom.study.joblog import STAGES, JobLog

WHOLE: Final = "processing_time"
_MILLISECOND: Final = 1_000
_SECOND: Final = 1_000_000


class Stage(Struct, frozen=True):
    """What was found of one stage.

    Attributes:
        name: ``asr``, ``nmt`` or ``tts``; ``processing_time`` where only whole jobs were measured.
        fit: In microseconds; ``outliers`` are lines of the file.
        cold: None: the log does not say which jobs were the first of their node.
        lengths: Lengths of the speech that it was fitted to, microseconds, for a picture; likewise ``times``.
    """

    name: str
    fit: StageFit
    cold: ColdStart | None
    lengths: tuple[float, ...]
    times: tuple[float, ...]


class Calibration(Struct, frozen=True):
    """What a log comes to.

    Attributes:
        jobs: Rows of the log.
        stages: In the order of a job.
        concurrency: None: the log has no bursts.
        ignored: Columns of which nothing is known.
        notes: What a reader should know, one sentence each.
    """

    jobs: int
    stages: tuple[Stage, ...]
    concurrency: Concurrency | None
    ignored: tuple[str, ...]
    notes: tuple[str, ...]


def calibrated(path: Path, log: JobLog) -> Calibration:
    """Fit a kind of node to a log.

    Args:
        path: Where it is from, for complaints.
        log: The measured jobs.

    Raises:
        DataFileError: The rows do not allow it; the line says which.
    """
    notes: list[str] = []
    names: list[str] = [stage for stage in STAGES if stage in log.spans]
    if not names:
        names = [WHOLE]
        notes.append("only whole jobs were measured: all of it is counted as asr")
    elif len(names) < len(STAGES):
        missing = ", ".join(stage for stage in STAGES if stage not in names)
        notes.append(f"nothing was measured of {missing}: taken as no time at all")
    starts = "started_at" in log.spans and "node" in log.names
    if not starts:
        notes.append("without the columns node and started_at_ms, first jobs are not told from the others")
    stages = tuple(_stage(path, log, name, starts=starts) for name in names)
    concurrency = None
    if "burst" in log.names:
        concurrency = _concurrency(path, log, names)
    else:
        notes.append("without a column burst, how jobs share the GPU is not known: serial is taken")
    return Calibration(len(log.lines), stages, concurrency, log.ignored, tuple(notes))


def _stage(path: Path, log: JobLog, name: str, *, starts: bool) -> Stage:
    audio, times = log.spans["audio"], log.spans[name]
    rows = [row for row in range(len(times)) if not math.isnan(times[row]) and not math.isnan(audio[row])]
    lengths = [audio[row] for row in rows]
    spans = [times[row] for row in rows]
    lines = [log.lines[row] for row in rows]
    cold: ColdStart | None = None
    try:
        if starts:
            nodes = [log.names["node"][row] for row in rows]
            firsts = first_jobs(nodes, [log.spans["started_at"][row] for row in rows])
            fit, cold = fit_cold_start(lengths, spans, firsts)
        else:
            fit = fit_stage(lengths, spans)
    except CalibrationError as error:
        raise _at(path, name, error, lines) from error
    fit = StageFit(
        fit.fixed,
        fit.rtf,
        fit.fixed_error,
        fit.rtf_error,
        fit.spread,
        fit.spread_error,
        fit.r_squared,
        fit.n,
        outliers=tuple(lines[number - 1] for number in fit.outliers),
    )
    return Stage(name, fit, cold, tuple(lengths), tuple(spans))


def _concurrency(path: Path, log: JobLog, names: list[str]) -> Concurrency | None:
    bursts = log.names["burst"]
    rows = [row for row, burst in enumerate(bursts) if burst]
    column = log.spans.get(WHOLE)
    if column is None:
        column = tuple(float(total) for total in np.sum([log.spans[name] for name in names], axis=0))
    rows = [row for row in rows if not math.isnan(column[row])]
    try:
        return fit_concurrency([bursts[row] for row in rows], [column[row] for row in rows])
    except CalibrationError as error:
        raise _at(path, "burst", error, [log.lines[row] for row in rows]) from error


def _at(path: Path, name: str, error: CalibrationError, lines: list[int]) -> DataFileError:
    rows = [lines[row - 1] for row in error.rows if 0 < row <= len(lines)]
    return DataFileError(path, rows[0] if rows else 0, f"{name}: {error.problem}", "rows that a node can be fitted to")


def node_data(found: Calibration) -> dict[str, Any]:
    """The node as a scenario's ``nodes`` write it."""
    service: dict[str, Any] = {stage: {"fixed": "0s"} for stage in STAGES}
    cold: dict[str, str] = {}
    for stage in found.stages:
        name = "asr" if stage.name == WHOLE else stage.name
        service[name] = {
            "fixed": format_duration(_rounded(stage.fit.fixed)),
            "rtf": round(max(0.0, stage.fit.rtf), 4),
            "spread": round(stage.fit.spread, 3),
        }
        if stage.cold is not None and stage.cold.is_clear:
            cold[name] = format_duration(_rounded(stage.cold.time))
    node: dict[str, Any] = {"name": "fitted"}
    best = None if found.concurrency is None else found.concurrency.best
    if best is None or best.model == "serial":
        node["gpu"] = {"model": "serial", "streams": 1 if best is None else best.streams}
    elif best.model == "shared":
        node["gpu"] = {"model": "shared"}
    else:
        node["gpu"] = {"model": "batching"}
        fixed, per_job = format_duration(_rounded(best.fixed)), format_duration(_rounded(best.per_job))
        node["service"] = {"batching": {"fixed": fixed, "per_job": per_job}}
    node.setdefault("service", service)
    if cold:
        node["cold_start"] = {stage: cold.get(stage, "0s") for stage in STAGES}
    return node


def _rounded(span: float) -> int:
    """Whole microseconds that read well: to a tenth of a millisecond."""
    return max(0, round(span / 100)) * 100
