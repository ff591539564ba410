"""A run folder read back: which run it was, what became of each job, and its figures, for comparing with another."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from simroom.scenario.printable import printable
from simroom.study.folder import SCENARIO_FILE, SUMMARY_FILE
from simroom.study.measures import Unit
from simroom.study.reported import in_base_units
from simroom.study.routes import Route
from simroom.study.rows import COLUMNS
from simroom.study.study_record import REPLICATIONS_FILE

LARGEST_SUMMARY: Final = 256 * 1024 * 1024
ROWS_MAX: Final = 5_000_000
_ROWS: Final = ("deliveries.csv", "deliveries.csv.gz")
_SECOND: Final = 1_000_000


class RecordError(Exception):
    """A folder is no run folder, or it is damaged; the message says which and why."""


class Recorded(Struct, frozen=True):
    """A run, or a study of several, as it was recorded.

    Attributes:
        folder: Where it is.
        version: Of the simroom that recorded it.
        digest: Hash of its scenario.
        name: Title of its scenario; None: it has none.
        seed: Of its first replication.
        verdict: What it came to.
        violations: How many there were.
        trace_hash: Of everything that happened in the first replication.
        partial: It was interrupted.
        scheduler: ``package.module:factory``; None: simroom's, or it does not say.
        values: By seed of each replication, figures by name, in base units; None: no samples.
        has_rows: Whether its deliveries were kept.
    """

    folder: Path
    version: str
    digest: str
    name: str | None
    seed: int
    verdict: str
    violations: int
    trace_hash: str
    partial: bool
    scheduler: str | None
    values: Mapping[int, Mapping[str, float | None]]
    has_rows: bool

    @property
    def scenario(self) -> Path:
        """The file of its scenario, as it was run."""
        return self.folder / SCENARIO_FILE


def recorded(folder: Path) -> Recorded:
    """Read a run folder.

    Raises:
        RecordError: It is none, or it is damaged.
    """
    shown = printable(str(folder))
    try:
        with (folder / SUMMARY_FILE).open("rb") as file:
            content = json.loads(file.read(LARGEST_SUMMARY))
    except FileNotFoundError as error:
        raise RecordError(f"{shown} is no run folder: it has no {SUMMARY_FILE}") from error
    except OSError as error:
        raise RecordError(f"{shown}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{shown}: its {SUMMARY_FILE} is not JSON") from error
    try:
        return _recorded(folder, content)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OSError, csv.Error) as error:
        raise RecordError(f"{shown}: it is no folder of a run, or a damaged one") from error


def _recorded(folder: Path, content: Any) -> Recorded:
    study = content.get("kind") == "study"
    if content.get("kind") not in (None, "run", "study"):
        raise RecordError(f"{printable(str(folder))} is no folder of a run, but of a {printable(str(content['kind']))}")
    seed = int(content["seed"])
    first = content["each"][0] if study else content
    scheduler = content.get("scheduler")
    return Recorded(
        folder=folder,
        version=str(content["simroom"]),
        digest=str(content["scenario"]["hash"]),
        name=content["scenario"]["name"],
        seed=seed,
        verdict=str(content["verdict"]),
        violations=int(content["violations"]["total"]),
        trace_hash=str(first["trace_hash"]),
        partial=content.get("partial") is True,
        scheduler=scheduler if isinstance(scheduler, str) else None,
        values=_of_study(folder / REPLICATIONS_FILE) if study else {seed: _figures(content)},
        has_rows=any((folder / name).is_file() for name in _ROWS),
    )


# --- figures -----------------------------------------------------------------------------------------------------


def _figures(content: Mapping[str, Any]) -> dict[str, float | None]:
    """The figures of a single run, called as expectations call them."""
    counts = content["counts"]
    found: dict[str, float | None] = {
        "utterances": counts["utterances"],
        "violations": content["violations"]["total"],
    }
    for level in ("jobs", "deliveries"):
        found[level] = counts[level]["total"]
        found |= {f"{level}.{kind}": number for kind, number in counts[level].items() if kind != "total"}
    for name, values in content["measures"].items():
        if not isinstance(values, dict):
            found[name] = values
            continue
        for stat, value in values.items():
            unit: Unit = "time" if stat.endswith("_us") else "ratio"
            found[f"{name}.{stat.removesuffix('_us')}"] = in_base_units(value, unit)
    return {name: None if value is None else float(value) for name, value in found.items()}


def _of_study(path: Path) -> dict[int, dict[str, float | None]]:
    """The figures of each replication, by its seed."""
    found: dict[int, dict[str, float | None]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found[int(row["seed"])] = dict(_figure(name, text) for name, text in row.items() if name not in _NO_FIGURES)
    return found


_NO_FIGURES: Final = frozenset(
    (
        "replication",
        "seed",
        "verdict",
        "stability",
        "trace_hash",
        "routing_hash",
        "decision_hash",
    )
)


def _figure(name: str, text: str) -> tuple[str, float | None]:
    value = float(text) if text else None
    if name.endswith("_us"):
        return name.removesuffix("_us"), None if value is None else value / _SECOND
    return name, value


# --- rows --------------------------------------------------------------------------------------------------------


def recorded_routes(folder: Path) -> list[Route]:
    """What became of each job of a run, from its rows.

    Names are as the rows have them, safe for a terminal and for a spreadsheet.

    Raises:
        RecordError: There are no rows, or they are damaged.
    """
    path = next((folder / name for name in _ROWS if (folder / name).is_file()), None)
    shown = printable(str(folder))
    if path is None:
        raise RecordError(f"{shown} has no deliveries: it was run with --rows none, or is a study")
    try:
        with path.open("rb") as raw:
            unpacked: Any = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            return list(_routes(csv.DictReader(io.TextIOWrapper(unpacked, encoding="utf-8", newline=""))))
    except (OSError, EOFError, csv.Error, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{shown}: {path.name} is damaged: {printable(str(error))[:200]}") from error


def _routes(rows: csv.DictReader[str]) -> Iterator[Route]:
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise ValueError(f"it has no column {missing[0]}")
    jobs: dict[str, list[dict[str, str]]] = {}
    for count, row in enumerate(rows, 1):
        if count > ROWS_MAX:
            raise ValueError(f"it has more than {ROWS_MAX:,} rows")
        jobs.setdefault(row["job"], []).append(row)
    found = [_route(of_job) for of_job in jobs.values()]
    yield from sorted(found, key=lambda one: (one.at, one.speaker, one.index, one.language))


def _route(rows: list[dict[str, str]]) -> Route:
    """A job, from its rows: one for each delivery, or one with no recipient."""
    first = rows[0]
    spoken_at = int(first["speech_ended_at_us"])
    uplink = first["uplink_time_us"]
    arrivals = sorted((row["recipient"], int(row["arrived_at_us"])) for row in rows if row["recipient"])
    return Route(
        speaker=first["speaker"],
        spoken_at=spoken_at,
        index=int(first["utterance_index"]),
        language=first["tgt_lang"],
        at=spoken_at + int(uplink) if uplink else spoken_at,
        node=first["node"] or None,
        attempts=int(first["attempts"]),
        placed_at=None,
        end=first["end"],
        ended_at=int(first["job_ended_at_us"]) if first["job_ended_at_us"] else None,
        recipients=tuple(name for name, _ in arrivals),
        arrived_at=tuple(at for _, at in arrivals),
    )
