"""The table of known answers: what each queue should give, what the simulated world gave, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from simroom.study.validation import OFF_BY_MAX, Path, Row

_STYLES: Final = {
    "passed": "bold white on green4",
    "failed": "bold white on red3",
    "interrupted": "bold black on yellow3",
}
_MARKS: Final = {"passed": "✓", "failed": "✗", "blunt": "?"}
COLUMNS: Final = ("queue", "truth", "simulated", "±", "s.e.", "off by", "jobs", "source")


def passed(paths: Sequence[Path], rows: Sequence[Row]) -> bool:
    """Whether all that was tried agrees, and sharply enough."""
    return all(path.difference is None for path in paths) and all(row.word == "passed" for row in rows)


def table(
    paths: Sequence[Path], rows: Sequence[Row], *, seconds: float, complete: bool, sabotage: str | None
) -> list[RenderableType]:
    """Everything that was found, the answer first.

    Args:
        paths: The exact checks.
        rows: The statistical ones.
        seconds: How long it took by the clock on the wall.
        complete: Whether all of it was done.
        sabotage: How the simulated world was spoilt, in words; None: it was not.
    """
    word = "interrupted" if not complete else "passed" if passed(paths, rows) else "failed"
    wrong = [path.name for path in paths if path.difference is not None]
    wrong += [row.case.name for row in rows if row.word == "failed"]
    blunt = sum(row.word == "blunt" for row in rows)
    head = Text(" ").append(f" {word.upper()} ", _STYLES[word])
    head.append(f"  {len(paths)} paths exactly, {len(rows)} queues by intervals · {seconds:.0f} s")
    parts: list[RenderableType] = [head]
    if sabotage is not None:
        parts.append(Text(f" ! spoilt on purpose: {sabotage}", style="bold"))
    parts += [Text(f" ! {name} differs from what is known", style="bold") for name in wrong]
    if blunt:
        parts.append(Text(f" ! {blunt} right as far as can be seen, and not sharp enough to say so", style="bold"))
    parts += [Text(), _paths(paths)] if paths else []
    parts += [Text(), _rows(rows)] if rows else []
    return [*parts, Text(f" passed: at most {OFF_BY_MAX:g} standard errors off, and those small enough", style="dim")]


def _paths(paths: Sequence[Path]) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 1))
    for name in ("", "path", "jobs", "reference", "difference"):
        grid.add_column(name, justify="right" if name == "jobs" else "left")
    for path in paths:
        mark = _MARKS["passed" if path.difference is None else "failed"]
        grid.add_row(mark, path.name, f"{path.jobs:,}", path.source, path.difference or "none")
    return grid


def _rows(rows: Sequence[Row]) -> Grid:
    grid = Grid(box=None, pad_edge=False, padding=(0, 1))
    for name in ("", *COLUMNS[:-1]):
        grid.add_column(name, justify="left" if name in ("", "queue") else "right", no_wrap=True)
    for row in rows:
        grid.add_row(_MARKS[row.word], *cells(row)[:-1])
    return grid


def cells(row: Row) -> tuple[str, ...]:
    """What the columns say of a queue."""
    case, found = row.case, row.found
    if found is None:
        return (case.name, f"{case.truth:.5g}", "-", "-", "-", "-", f"{row.jobs:,}", case.source)
    return (
        case.name,
        f"{case.truth:.5g}",
        f"{found.mean:.5g}",
        f"{found.half_width:.2g}",
        f"{found.standard_error / case.truth:.2%}",
        f"{row.off_by:.1f}",
        f"{row.jobs:,}",
        case.source,
    )


def markdown(rows: Sequence[Row]) -> str:
    """The statistical rows as a table for a page."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    return "\n".join([*lines, *("| " + " | ".join(cells(row)) + " |" for row in rows)]) + "\n"


def content(paths: Sequence[Path], rows: Sequence[Row], *, seed: int, complete: bool) -> dict[str, Any]:
    """The same for machines."""
    return {
        "schema_version": 1,
        "verdict": "passed" if complete and passed(paths, rows) else "failed" if complete else "interrupted",
        "seed": seed,
        "paths": [
            {"name": path.name, "source": path.source, "jobs": path.jobs, "difference": path.difference}
            for path in paths
        ],
        "queues": [
            {
                "name": row.case.name,
                "group": row.case.group,
                "statistic": row.case.statistic,
                "source": row.case.source,
                "truth": row.case.truth,
                "mean": None if row.found is None else row.found.mean,
                "half_width": None if row.found is None else row.found.half_width,
                "standard_error": None if row.found is None else row.found.standard_error,
                "replications": 0 if row.found is None else row.found.n,
                "jobs": row.jobs,
                "off_by": row.off_by if row.found is not None else None,
                "word": row.word,
            }
            for row in rows
        ],
    }
