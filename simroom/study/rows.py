"""One CSV row for each delivery, and one for each job that reached nobody: the run in full, for other tools.

Rows come in two stretches: deliveries in order of arrival, then jobs that reached nobody, in order of their end (living
ones last). Instants (``*_at_us``) count from the scenario's time 0 and are negative during its lead-in; spans are
``*_time_us``; both whole microseconds. An empty field is a value that does not exist. Names are made safe for a
terminal and for a spreadsheet: a name that it would take for a formula gets a ``'`` before it.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from simroom.oracle.ledger import NONE, Column, JobEnd
from simroom.scenario.printable import printable
from simroom.study.table import Table

RowsFormat = Literal["csv", "csv.gz", "none"]

COLUMNS: Final = {
    "job": "number of the job in the run, from 0, in order of ending",
    "speaker": "name of the session that spoke",
    "room": "name of the room; empty outside rooms",
    "utterance_index": "index of the utterance, as its speaker counts",
    "src_lang": "language spoken",
    "tgt_lang": "language of the job",
    "node": "node of the attempt that was answered, else of the last one; empty if the job was never placed",
    "attempts": "attempts made; 0: never placed",
    "end": "how the job ended, or living",
    "recipient": "name of the session that got the result; empty where nobody did",
    "measured": "1 if the utterance ended after the warm-up, else 0",
    "speech_started_at_us": "planned start of the speech",
    "speech_ended_at_us": "planned end of the speech",
    "job_ended_at_us": "when the job ended (delivered: when the scheduler sent the result)",
    "arrived_at_us": "when the result reached the recipient",
    "delivery_latency_us": "arrived_at less speech_ended_at; the seven spans that follow add up to it",
    "uplink_time_us": "planned end of the speech to acceptance by the scheduler",
    "waiting_time_us": "acceptance to the start of service",
    "asr_time_us": "speech recognition",
    "nmt_time_us": "translation",
    "tts_time_us": "speech synthesis",
    "hold_time_us": "held by the scheduler for older utterances",
    "downlink_time_us": "from the node to the scheduler and on to the recipient",
    "playback_started_at_us": "when the recipient began to hear it, playing one result after another",
}
"""The columns, in order, and what each holds."""

_CHUNK: Final = 4_096
"""Rows formatted at once: enough to be fast, few enough to keep memory flat."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What, full-width forms included, makes a spreadsheet take a field for a formula, when it stands first."""


def csv_name(name: str) -> str:
    """A name as a CSV field: printable, no formula, quoted where it must be."""
    text = printable(name)
    if text.lstrip().startswith(_FORMULA) or name.startswith(_FORMULA):
        text = "'" + text
    if any(character in text for character in ',"\n\r') or text != text.strip():
        text = '"' + text.replace('"', '""') + '"'
    return text


def write_rows(table: Table, path: Path, kind: RowsFormat) -> None:
    """Write the rows to ``path``, in UTF-8 with newline ends; equal runs give equal bytes, also compressed.

    Args:
        table: The run.
        path: The file to make.
        kind: ``csv``, or ``csv.gz`` (gzip, fastest level); ``none`` writes nothing.

    Raises:
        OSError: The file cannot be written.
    """
    if kind == "none":
        return
    with path.open("xb") as raw:
        if kind == "csv":
            _write_chunks(table, raw)
            return
        # No name and no time in the header: they are not part of what happened.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
            _write_chunks(table, packed)


def _write_chunks(table: Table, file: io.BufferedIOBase | gzip.GzipFile | Any) -> None:
    for chunk in chunks(table):
        file.write(chunk.encode())


def chunks(table: Table) -> Iterator[str]:
    """The header, then the rows, some thousands at a time."""
    yield ",".join(COLUMNS) + "\n"
    rows = _Rows(table)
    line = ",".join(["%s"] * len(COLUMNS)) + "\n"
    for start in range(0, len(rows.job), _CHUNK):
        columns = rows.columns(slice(start, start + _CHUNK))
        count = len(columns[0])
        # One template for the whole chunk, filled from one flat list, is twice as fast as one a row.
        flat: list[Any] = [None] * (count * len(columns))
        for place, column in enumerate(columns):
            flat[place :: len(columns)] = column
        yield line * count % tuple(flat)


class _Rows:
    """The rows as columns, made a stretch at a time."""

    def __init__(self, table: Table) -> None:
        ledger = table.run.ledger
        self.table = table
        self.zero = table.run.time_zero
        self.sessions = _names(ledger.sessions.names)
        self.rooms = _names(ledger.rooms.names)
        self.nodes = _names(ledger.nodes.names)
        self.languages = _names(ledger.languages.names)
        self.ends = np.array([end.name.lower() for end in JobEnd], dtype=object)
        reached = np.zeros(len(table.jobs["end"]), dtype=np.bool_)
        reached[table.deliveries["job"]] = True
        nobody = np.flatnonzero(~reached)
        self.job: Column = np.concatenate((table.deliveries["job"], nobody))
        self.delivery: Column = np.concatenate((np.arange(len(table.deliveries["job"])), np.full(len(nobody), NONE)))

    def columns(self, part: slice) -> list[list[Any]]:
        """The columns of some rows, in the order of ``COLUMNS``; names as text, numbers as int, absent as ''."""
        table = self.table
        row, delivery = self.job[part], self.delivery[part]
        job = {name: column[row] for name, column in table.jobs.items()}
        utterance = {name: column[job["utterance"]] for name, column in table.utterances.items()}
        reached = delivery != NONE
        arrived_at = self._of_delivery(table.deliveries["arrived_at"], delivery)
        recipient = self._of_delivery(table.deliveries["recipient"], delivery)
        heard_at = self._of_delivery(table.playback.started_at, delivery)
        ended_at, received_at = utterance["ended_at"], utterance["received_at"]
        accepted, started = received_at != NONE, job["started_at"] != NONE
        answered, ended = job["answered_at"] != NONE, job["ended_at"] != NONE
        staged = {name: job[name] != NONE for name in ("asr_time", "nmt_time", "tts_time")}
        served_at = job["started_at"] + job["asr_time"] + job["nmt_time"] + job["tts_time"]
        served = started & staged["asr_time"] & staged["nmt_time"] & staged["tts_time"]
        downlink = job["answered_at"] - served_at + arrived_at - job["ended_at"]
        always = np.ones(len(row), dtype=np.bool_)
        return [
            row.tolist(),
            self.sessions[utterance["speaker"]].tolist(),
            self.rooms[utterance["room"]].tolist(),
            utterance["utterance_index"].tolist(),
            self.languages[utterance["src_lang"]].tolist(),
            self.languages[job["tgt_lang"]].tolist(),
            self.nodes[job["node"]].tolist(),
            job["attempts"].tolist(),
            self.ends[job["end"]].tolist(),
            self.sessions[recipient].tolist(),
            table.measured_utterances[job["utterance"]].astype(np.int64).tolist(),
            _present(utterance["started_at"] - self.zero, always),
            _present(ended_at - self.zero, always),
            _present(job["ended_at"] - self.zero, ended),
            _present(arrived_at - self.zero, reached),
            _present(arrived_at - ended_at, reached),
            _present(received_at - ended_at, accepted),
            _present(job["started_at"] - received_at, accepted & started),
            *(_present(job[name], present) for name, present in staged.items()),
            _present(job["ended_at"] - job["answered_at"], answered & ended),
            _present(downlink, served & answered & ended & reached),
            _present(heard_at - self.zero, reached),
        ]

    @staticmethod
    def _of_delivery(column: Column, delivery: Column) -> Column:
        """The column at each delivery, ``NONE`` where there is none."""
        values = np.full(len(delivery), NONE, dtype=np.int64)
        reached = delivery != NONE
        values[reached] = column[delivery[reached]]
        return values


def _names(names: list[str]) -> npt.NDArray[np.object_]:
    """Fields by number, and a last place, empty, for ``NONE``."""
    return np.array([*(csv_name(name) for name in names), ""], dtype=object)


def _present(values: Column, present: npt.NDArray[np.bool_]) -> list[Any]:
    shown: list[Any] = values.tolist()
    for absent in np.flatnonzero(~present).tolist():
        shown[absent] = ""
    return shown
