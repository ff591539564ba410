"""The life of one utterance, told in time order: what happened, to whom, and by which rule.

What a recorder has kept is joined with the ledger, which says how each job ended and whom it reached when. Instants
count from the scenario's time 0 here; spans are whole microseconds.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import NONE, JobEnd
from simroom.scheduler.settings import Settings
from simroom.study.table import Table
from simroom.study.trail import Fact, Spoken, Trail, Verdicts

# In which order things of one instant are told.
SPEECH: Final = 0
MADE: Final = 1
FACTS: Final = 2
ENDS: Final = 3
ARRIVALS: Final = 4
BREACHES: Final = 5


class Step(Struct, frozen=True):
    """One thing that happened.

    Attributes:
        at: From time 0.
        about: Which job, as one would say it (``ja job-8``); empty: the utterance as a whole.
        what: One sentence.
        rule: The rule that decided; None: nothing was to be decided.
        verdicts: What the job found at every node; None: it did not look for one, or nobody could be asked.
        wrong: It breaks an invariant.
    """

    at: int
    about: str
    what: str
    rule: str | None = None
    verdicts: Verdicts | None = None
    wrong: bool = False


class Receipt(Struct, frozen=True):
    """A result reached somebody.

    Attributes:
        latency: From the planned end of the speech.
        parts: In the order of ``PARTS``; they add up to the latency. None: not every instant is known.
    """

    recipient: str
    language: str
    job_id: str | None
    arrived_at: int
    latency: int
    parts: dict[str, int] | None


class Absence(Struct, frozen=True):
    """Somebody was there and did not get a result.

    Attributes:
        wrong: They should have got it.
    """

    name: str
    language: str
    job_id: str | None
    why: str
    wrong: bool = False


class JobLife(Struct, frozen=True):
    """What became of one job.

    Attributes:
        job_id: None: the scheduler gave it none that was seen.
        row: In the ledger; None: the oracle knows of no such job.
        end: Lower-case name of its ``JobEnd``; None likewise.
        attempts: 0: it was never placed.
        node: Of the attempt that was answered first, else of the last one; None: it was never placed.
        answered_at: None: no node has answered it; ``ended_at`` None: it lived on.
    """

    job_id: str | None
    language: str
    row: int | None
    end: str | None
    attempts: int
    node: str | None
    answered_at: int | None
    ended_at: int | None

    @property
    def label(self) -> str:
        """The job as one would say it."""
        return self.language if self.job_id is None else f"{self.language} {self.job_id}"


class Life(Struct, frozen=True):
    """The life of one utterance.

    Attributes:
        room: None: it was spoken outside rooms, or alone in one.
        jobs: In the order in which they were made; those told about, if only some are.
        steps: In time order.
        receipts: In order of arrival; ``receipt_count``: how many there are.
        notes: What else is to be said of it.
    """

    speaker: str
    utterance_index: int
    room: str | None
    src_lang: str
    started_at: int
    ended_at: int
    jobs: tuple[JobLife, ...]
    steps: tuple[Step, ...]
    receipts: tuple[Receipt, ...]
    receipt_count: int
    absences: tuple[Absence, ...]
    notes: tuple[str, ...]


class Steps:
    """Gathers steps, and puts them in order of time, then rank, then the order in which they were added."""

    def __init__(self, time_zero: int) -> None:
        self._time_zero = time_zero
        self._steps: list[tuple[int, int, int, int, Step]] = []

    def add(
        self,
        at: int,
        rank: int,
        what: str,
        *,
        about: str = "",
        rule: str | None = None,
        verdicts: Verdicts | None = None,
        wrong: bool = False,
        place: int = 0,
    ) -> None:
        """Add a step at an instant on the engine's clock; ``place`` puts those of one rank in order."""
        step = Step(at - self._time_zero, about, what, rule, verdicts, wrong)
        self._steps.append((at, rank, place, len(self._steps), step))

    def in_order(self) -> tuple[Step, ...]:
        """All of them, in order."""
        return tuple(entry[-1] for entry in sorted(self._steps, key=lambda entry: entry[:-1]))


class Scene:
    """What every part of a life needs: the run, who speaks, and how people are called in it.

    Args:
        table: The run.
        row: Ledger row of the utterance.
        trail: What was kept of it; None: it never arrived.

    Attributes:
        facts: What was kept, in order.
        lanes: The speaker's utterances that share their order with this one, by ledger row, this one included: the
            same session, the same room or none.
    """

    def __init__(self, table: Table, row: int, trail: Trail | None) -> None:
        self.table = table
        self.run = table.run
        self.row = row
        self.trail = trail
        self.settings: Settings = self.run.scenario.scheduler.settings()
        self.time_zero = self.run.time_zero
        ledger = self.run.ledger
        self.speaker = ledger.sessions.names[int(table.utterances["speaker"][row])]
        self.index = int(table.utterances["utterance_index"][row])
        room = int(table.utterances["room"][row])
        self.room = None if room == NONE else ledger.rooms.names[room]
        self.src_lang = ledger.languages.names[int(table.utterances["src_lang"][row])]
        self._prefix = self.speaker.rpartition("/")[0] + "/" if "/" in self.speaker else None
        # What comes after the run's end (everybody may be made to leave then) is no part of it.
        self.facts: list[Fact] = [] if trail is None else [f for f in trail.facts if f.at <= self.run.ended_at]
        self.lanes: dict[int, Spoken] = {}
        if trail is not None:
            own = trail.spoken
            self.lanes = {
                spoken.row: spoken
                for spoken in (*trail.before, own, *trail.after)
                if spoken.session_id == own.session_id and spoken.room_id == own.room_id and spoken.row != NONE
            }
        self._job_rows = self._rows_of_jobs()
        self.jobs = self._jobs()

    def called(self, name: str) -> str:
        """What to call somebody here: members of the speaker's room by their own name."""
        if self._prefix is not None and name.startswith(self._prefix) and len(name) > len(self._prefix):
            return name[len(self._prefix) :]
        return name

    def all_called(self, names: tuple[str, ...] | list[str]) -> list[str]:
        """The same for several."""
        return [self.called(name) for name in names]

    def _jobs(self) -> tuple[JobLife, ...]:
        rows = {self.language_of(row): row for row in reversed(self.job_rows(self.row))}
        ids = {} if self.trail is None else self.trail.spoken.jobs
        languages = dict.fromkeys([*ids, *sorted(rows)])
        return tuple(self.job(language, ids.get(language), rows.get(language)) for language in languages)

    def _rows_of_jobs(self) -> dict[int, list[int]]:
        utterances = self.table.jobs["utterance"]
        rows: dict[int, list[int]] = {}
        for row in np.flatnonzero(np.isin(utterances, [self.row, *self.lanes])).tolist():
            rows.setdefault(int(utterances[row]), []).append(row)
        return rows

    def job_rows(self, utterance: int) -> list[int]:
        """Ledger rows of the jobs of this utterance or one of its ``lanes``, in the order in which they ended."""
        return self._job_rows.get(utterance, [])

    def language_of(self, job_row: int) -> str:
        """Target language of a job."""
        return self.run.ledger.languages.names[int(self.table.jobs["tgt_lang"][job_row])]

    def job(self, language: str, job_id: str | None, row: int | None) -> JobLife:
        """What the ledger says of a job."""
        if row is None:
            return JobLife(job_id, language, None, None, 0, None, None, None)
        values = {name: int(column[row]) for name, column in self.table.jobs.items()}
        node, answered_at, ended_at = values["node"], values["answered_at"], values["ended_at"]
        return JobLife(
            job_id=job_id,
            language=language,
            row=row,
            end=JobEnd(values["end"]).name.lower(),
            attempts=values["attempts"],
            node=None if node == NONE else self.run.ledger.nodes.names[node],
            answered_at=None if answered_at == NONE else answered_at - self.time_zero,
            ended_at=None if ended_at == NONE else ended_at - self.time_zero,
        )

    @property
    def over_at(self) -> int:
        """When the last of the jobs ended, on the engine's clock; the end of the run where one lives on."""
        ends = [self.run.ended_at if job.ended_at is None else job.ended_at + self.time_zero for job in self.jobs]
        return max(ends, default=self.run.ended_at)
