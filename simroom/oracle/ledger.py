"""The ledger: one row for each utterance, job and delivery of a run, in columns of whole numbers.

Rows are in a stated order, so equal runs give equal bytes. Where a value does not exist (a job that
never reached a node) the column holds ``NONE``; readers get it through ``numpy`` and mask it.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from itertools import chain
from struct import Struct, pack
from typing import Final

import numpy as np
import numpy.typing as npt

NONE: Final = -1
Column = npt.NDArray[np.int64]


class JobEnd(IntEnum):
    """How a job ended: ``LOST`` with a scheduler that was restarted; ``LIVING`` only where a run stopped before."""

    DELIVERED = 0
    NO_RECIPIENT = 1
    FAILED = 2
    REJECTED = 3
    EXPIRED = 4
    DROPPED_LATE = 5
    LOST = 6
    LIVING = 7


TIES_MAX: Final = 1_000
"""With more arrivals at the same instant as another, all are sorted by the whole key."""
UTTERANCE_COLUMNS: Final = ("speaker", "room", "utterance_index", "src_lang", "started_at", "ended_at", "received_at")
JOB_COLUMNS: Final = (
    "utterance",
    "tgt_lang",
    "node",
    "attempts",
    "dispatched_at",
    "started_at",
    "asr_time",
    "nmt_time",
    "tts_time",
    "answered_at",
    "ended_at",
    "end",
    "recipients",
)
DELIVERY_COLUMNS: Final = ("job", "recipient", "arrived_at")

# A row packed at once goes into its column store three times as fast as number by number.
_UTTERANCE: Final = Struct(f"={len(UTTERANCE_COLUMNS) - 1}q").pack
_JOB: Final = Struct(f"={len(JOB_COLUMNS)}q").pack


class Names:
    """Numbers for names, in order of first use."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of ``name``, a fresh one at its first use."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number


class Ledger:
    """Columns of a run.

    ``speaker`` and ``recipient`` index ``sessions``; ``room``, ``node``, ``src_lang``, ``tgt_lang`` likewise; the
    names there are the scenario's (``standup-3/m2``), not ids. Instants are on the engine's clock. ``attempts`` is 0
    where the job was never placed; ``node``, ``dispatched_at``, ``started_at`` and the three stage times are those of
    the attempt that was answered first, else of the last one placed. ``room`` is ``NONE`` outside rooms, also for an
    utterance whose speaker was alone in a room.
    """

    def __init__(self) -> None:
        self.sessions = Names()
        self.rooms = Names()
        self.nodes = Names()
        self.languages = Names()
        self._utterances = array("q")
        self.received_at = array("q")
        """When the scheduler accepted each utterance; ``NONE``: it has not."""
        self._jobs = array("q")
        # Deliveries: those of one result stand together, so the job is noted once for all of them, with their number.
        self._jobs_of_results = array("q")
        self._result_sizes = array("q")
        self._recipients = array("q")
        self._arrived_at = array("q")
        self._utterance_count = 0
        self._job_count = 0

    def utterance(self, speaker: int, room: int, index: int, src_lang: int, started_at: int, ended_at: int) -> int:
        """Note an utterance that its speaker has finished; returns its row."""
        self._utterances.frombytes(_UTTERANCE(speaker, room, index, src_lang, started_at, ended_at))
        self.received_at.append(NONE)
        row = self._utterance_count
        self._utterance_count = row + 1
        return row

    def received(self, utterance: int, at: int) -> None:
        """Note that the scheduler has accepted the utterance."""
        self.received_at[utterance] = at

    def job(
        self,
        utterance: int,
        tgt_lang: int,
        node: int,
        attempts: int,
        dispatched_at: int,
        started_at: int,
        asr_time: int,
        nmt_time: int,
        tts_time: int,
        answered_at: int,
        ended_at: int,
        end: int,
        recipients: int,
    ) -> int:
        """Note a job as it ends; returns its row."""
        self._jobs.frombytes(
            _JOB(
                utterance,
                tgt_lang,
                node,
                attempts,
                dispatched_at,
                started_at,
                asr_time,
                nmt_time,
                tts_time,
                answered_at,
                ended_at,
                end,
                recipients,
            )
        )
        row = self._job_count
        self._job_count = row + 1
        return row

    def delivery(self, job: int, recipient: int, arrived_at: int) -> None:
        """Note that a result has reached a recipient."""
        self._jobs_of_results.append(job)
        self._result_sizes.append(1)
        self._recipients.append(recipient)
        self._arrived_at.append(arrived_at)

    def delivered(self, jobs: list[int], arrivals: list[tuple[tuple[int, ...], list[int]]]) -> int:
        """Note several jobs as they end, each with its deliveries.

        Args:
            jobs: Their rows, number after number.
            arrivals: For each job, its recipients and when its result reached each of them.

        Returns:
            How many deliveries there are.
        """
        first = self._job_count
        self._job_count = first + len(arrivals)
        self._jobs.frombytes(pack(f"={len(jobs)}q", *jobs))
        recipients, instants = zip(*arrivals, strict=True)
        before = len(self._arrived_at)
        self._jobs_of_results.extend(range(first, self._job_count))
        self._result_sizes.extend(map(len, recipients))
        self._recipients.extend(chain.from_iterable(recipients))
        self._arrived_at.extend(chain.from_iterable(instants))
        return len(self._arrived_at) - before

    def deliveries_of(self, job: int, recipients: list[int], instants: list[int]) -> None:
        """Note that a result has reached several recipients, each at its own instant."""
        self._jobs_of_results.append(job)
        self._result_sizes.append(len(recipients))
        self._recipients.extend(recipients)
        self._arrived_at.extend(instants)

    def last_arrival_at(self) -> int | None:
        """When the last delivery noted so far arrives; None: there is none."""
        return max(self._arrived_at) if self._arrived_at else None

    def end(self, at: int) -> None:
        """The run stops here: deliveries noted before their time that had not arrived by ``at`` are dropped."""
        columns = self._delivery_columns()
        arrived = columns["arrived_at"] <= at
        if not arrived.all():
            self._jobs_of_results, self._recipients, self._arrived_at = (
                array("q", column[arrived].tobytes()) for column in columns.values()
            )
            self._result_sizes = array("q", [1]) * len(self._arrived_at)

    @property
    def utterance_count(self) -> int:
        """Utterances noted so far."""
        return self._utterance_count

    @property
    def job_count(self) -> int:
        """Jobs that have ended so far."""
        return self._job_count

    @property
    def delivery_count(self) -> int:
        """Deliveries noted so far."""
        return len(self._arrived_at)

    def utterances(self) -> dict[str, Column]:
        """The utterance columns, each of shape ``(utterance_count,)``."""
        columns = _columns(self._utterances, UTTERANCE_COLUMNS[:-1])
        columns[UTTERANCE_COLUMNS[-1]] = np.array(self.received_at, dtype=np.int64)
        return columns

    def jobs(self) -> dict[str, Column]:
        """The job columns, each of shape ``(job_count,)``."""
        return _columns(self._jobs, JOB_COLUMNS)

    def deliveries(self) -> dict[str, Column]:
        """The delivery columns, each of shape ``(delivery_count,)``, in order of arrival, then job, then recipient.

        Arrivals may be noted before their time, where nothing can come between; the order does not tell.
        """
        columns = self._delivery_columns()
        order = _in_order(columns["arrived_at"], columns["job"], columns["recipient"])
        return {name: column[order] for name, column in columns.items()}

    def _delivery_columns(self) -> dict[str, Column]:
        """The delivery columns in the order in which they were noted."""
        jobs = np.repeat(np.array(self._jobs_of_results, dtype=np.int64), np.array(self._result_sizes, dtype=np.int64))
        columns = jobs, np.array(self._recipients, dtype=np.int64), np.array(self._arrived_at, dtype=np.int64)
        return dict(zip(DELIVERY_COLUMNS, columns, strict=True))


def _in_order(arrived_at: Column, job: Column, recipient: Column) -> Column:
    """The rows in order of arrival, then job, then recipient, as ``lexsort`` has them.

    Few arrivals share an instant, and sorting by one key takes a third of the time, so the few are put right by hand.
    """
    order = np.argsort(arrived_at, kind="stable")
    in_order = arrived_at[order]
    tied = np.flatnonzero(in_order[1:] == in_order[:-1])
    if len(tied) > TIES_MAX:
        return np.lexsort((recipient, job, arrived_at))
    for instant in dict.fromkeys(in_order[tied].tolist()):
        first, end = np.searchsorted(in_order, (instant, instant + 1))
        rows = order[first:end]
        order[first:end] = rows[np.lexsort((recipient[rows], job[rows]))]
    return order


def _columns(flat: array[int], names: tuple[str, ...]) -> dict[str, Column]:
    table = np.array(flat, dtype=np.int64).reshape(-1, len(names))
    return {name: np.ascontiguousarray(table[:, position]) for position, name in enumerate(names)}
