"""What a run leaves behind: its folder, file by file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from simroom.study.conclusion import Conclusion
from simroom.study.folder import LOG_FILE, SCENARIO_FILE, SERIES_FILE, SUMMARY_FILE, TIMING_FILE, run_folder
from simroom.study.rows import RowsFormat, write_rows
from simroom.study.series import series
from simroom.study.summary import Source, Timing, dumps, summary, timing
from simroom.study.table import Table


class Record(Struct, frozen=True):
    """A finished run, and all that is said of it.

    Attributes:
        table: The run.
        conclusion: What it comes to.
        source: Which scenario it was.
        spent: How long it took.
    """

    table: Table
    conclusion: Conclusion
    source: Source
    spent: Timing


def file_names(rows: RowsFormat) -> tuple[str, ...]:
    """The files of a run folder, most telling first."""
    deliveries = () if rows == "none" else (f"deliveries.{rows}",)
    return (SUMMARY_FILE, *deliveries, SERIES_FILE, SCENARIO_FILE, TIMING_FILE, LOG_FILE)


def write_record(record: Record, parent: Path, name: str, *, rows: RowsFormat, log: Callable[[], str]) -> None:
    """Write the run folder ``parent / name``, whole or not at all.

    Args:
        record: The run.
        parent: Where run folders go.
        name: Name of this one, from ``folder_name``.
        rows: How to write the rows of deliveries.
        log: Makes the content of the log; called last.

    Raises:
        FolderError: It cannot be written, or something that simroom did not make is in its place.
    """
    table = record.table
    with run_folder(parent, name) as folder:
        _write(folder / SUMMARY_FILE, dumps(summary(table, record.conclusion, record.source)))
        _write(folder / TIMING_FILE, dumps(timing(record.spent)))
        # With the seed that it had here, so that the file alone says how to see this run again.
        ran = table.run.scenario.model_copy(update={"seed": table.run.seed})
        _write(folder / SCENARIO_FILE, ran.effective(parent / name))
        _write(folder / SERIES_FILE, dumps(series(table)))
        if rows != "none":
            write_rows(table, folder / f"deliveries.{rows}", rows)
        _write(folder / LOG_FILE, log())


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
