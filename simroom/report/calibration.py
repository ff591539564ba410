"""What a log of measured jobs comes to: the fit with its errors, a picture of it, and the node as a file writes it."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from simroom.report.figures import time
from simroom.scenario.emit import dump
from simroom.scenario.printable import printable
from simroom.study.calibrate import Calibration, Stage, node_data

_COLUMNS = 60
_LINES = 12
_SHOWN = 0.98
"""Share of the jobs in the picture."""
OUTLIERS_TOLD = 8


def report(found: Calibration, name: str) -> list[RenderableType]:
    """The whole report.

    Args:
        found: What was found.
        name: Of the log.
    """
    parts: list[RenderableType] = [
        Text(f" {found.jobs:,} jobs of {printable(name)}", style="bold"),
        Text(),
        _fits(found),
    ]
    parts += [Text(f" · {note}") for note in found.notes]
    if found.ignored:
        parts.append(Text(f" · ignored: {', '.join(map(printable, found.ignored))}"))
    for stage in found.stages:
        if stage.fit.outliers:
            lines = ", ".join(map(str, stage.fit.outliers[:OUTLIERS_TOLD]))
            more = "" if len(stage.fit.outliers) <= OUTLIERS_TOLD else " ..."
            parts.append(Text(f" · {stage.name}: {len(stage.fit.outliers)} outliers, in lines {lines}{more}"))
    for stage in found.stages:
        parts += [Text(), Text(f" {stage.name}: time against length of the speech", style="bold"), _picture(stage)]
    if found.concurrency is not None:
        parts += [Text(), _curves(found)]
    return [*parts, Text(), Text(dump({"nodes": [node_data(found)]}).rstrip(), no_wrap=True, overflow="ignore")]


def _fits(found: Calibration) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 1))
    for name in ("stage", "fixed", "±", "x length", "±", "spread", "±", "cold", "R2", "n"):
        grid.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for stage in found.stages:
        fit, cold = stage.fit, stage.cold
        grid.add_row(
            stage.name,
            time(round(fit.fixed)),
            time(round(fit.fixed_error)),
            f"{fit.rtf:.4f}",
            f"{fit.rtf_error:.4f}",
            f"{fit.spread:.3f}",
            f"{fit.spread_error:.3f}",
            "-" if cold is None else time(round(cold.time)) if cold.is_clear else "none",
            "-" if fit.r_squared is None else f"{fit.r_squared:.3f}",
            f"{fit.n:,}",
        )
    return grid


def _curves(found: Calibration) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 1))
    for name in ("jobs at once", "streams", "fixed", "per job", "error", ""):
        grid.add_column(name, justify="left" if name in ("jobs at once", "") else "right")
    assert found.concurrency is not None
    for curve in found.concurrency.curves:
        grid.add_row(
            curve.model,
            str(curve.streams) if curve.model == "serial" else "-",
            time(round(curve.fixed)),
            time(round(curve.per_job)),
            f"{curve.error:.1%}",
            "fits best" if curve is found.concurrency.best else "",
        )
    return grid


def _picture(stage: Stage) -> Text:
    """The jobs as points, and the fit as a line."""
    # Cold starts would press everything else flat: what is beyond the picture is not shown.
    longest, most = max(stage.lengths) or 1.0, sorted(stage.times)[int(len(stage.times) * _SHOWN)]
    cells = [[" "] * _COLUMNS for _ in range(_LINES)]

    def put(length: float, span: float, mark: str) -> None:
        column = min(_COLUMNS - 1, int(length / longest * (_COLUMNS - 1)))
        line = min(_LINES - 1, int(span / most * (_LINES - 1)))
        cells[_LINES - 1 - line][column] = mark

    for length, span in zip(stage.lengths, stage.times, strict=True):
        if span <= most:
            put(length, span, "·")
    for column in range(_COLUMNS):
        length = longest * column / (_COLUMNS - 1)
        span = stage.fit.mean_time(length)
        if 0 <= span <= most:
            put(length, span, "─")
    left = max(len(time(round(most))), 4)
    lines = [
        f" {time(round(most)) if number == 0 else '0 s' if number == _LINES - 1 else '':>{left}} │{''.join(row)}"
        for number, row in enumerate(cells)
    ]
    lines.append(" " * (left + 2) + "└" + "─" * _COLUMNS)
    lines.append(" " * (left + 3) + "0 s" + f"{time(round(longest)):>{_COLUMNS - 3}}")
    return Text("\n".join(lines), no_wrap=True, overflow="ignore")


def content(found: Calibration) -> dict[str, Any]:
    """The same for machines; spans in microseconds."""
    return {
        "schema_version": 1,
        "jobs": found.jobs,
        "stages": [
            {
                "stage": stage.name,
                "fixed_us": stage.fit.fixed,
                "fixed_error_us": stage.fit.fixed_error,
                "rtf": stage.fit.rtf,
                "rtf_error": stage.fit.rtf_error,
                "spread": stage.fit.spread,
                "spread_error": stage.fit.spread_error,
                "r_squared": stage.fit.r_squared,
                "n": stage.fit.n,
                "outlier_lines": list(stage.fit.outliers),
                "cold_start_us": None if stage.cold is None else stage.cold.time,
                "cold_start_is_clear": None if stage.cold is None else stage.cold.is_clear,
            }
            for stage in found.stages
        ],
        "gpu": None
        if found.concurrency is None
        else {"best": found.concurrency.best.model, "streams": found.concurrency.best.streams},
        "ignored": list(found.ignored),
        "notes": list(found.notes),
        "node": node_data(found),
    }
