"""What became of each job: where it ran and whom its result reached, in the order in which the scheduler met them.

This is what two runs are compared by. A job is known by who spoke, when that speech ended and the language: what people
say depends on the seed alone, so with the same luck two schedulers meet the same speech, however they number it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import NONE, Column, JobEnd
from simroom.study.table import Table
from simroom.study.words import stopwatch

RECIPIENTS_TOLD: Final = 8
_ENDS: Final = {int(end): end.name.lower() for end in JobEnd}


class Route(Struct, frozen=True):
    """What became of one job. Instants count from the scenario's time 0, whole microseconds.

    Attributes:
        speaker: Who spoke.
        spoken_at: When the speech ended, as planned.
        index: Its index, as the speaker counts.
        language: Into which.
        at: When the scheduler accepted the utterance; if it never did, when the speech ended.
        node: Of the attempt that was answered, else of the last one; None: it was never placed.
        attempts: How many there were.
        placed_at: When that attempt was dispatched; None: it was never placed, or it is not known.
        end: How it ended, or ``living``.
        ended_at: When; None: it has not.
        recipients: Whom the result reached, in order of their names.
        arrived_at: When it reached each of them.
    """

    speaker: str
    spoken_at: int
    index: int
    language: str
    at: int
    node: str | None
    attempts: int
    placed_at: int | None
    end: str
    ended_at: int | None
    recipients: tuple[str, ...]
    arrived_at: tuple[int, ...]

    @property
    def key(self) -> tuple[int, str, str]:
        """What it is the job of; several have the same only where something was said or made twice."""
        return self.spoken_at, self.speaker, self.language

    @property
    def told(self) -> tuple[str, str, str]:
        """Which job it is, where it ran and whom it reached, in words, with no instant that the scheduler decides."""
        tried = f" at attempt {self.attempts}" if self.attempts > 1 else ""
        where = f"on {self.node}{tried}" if self.node is not None else "on no node"
        return f"{stopwatch(self.at)} {self.speaker} #{self.index} → {self.language}", where, self.reached

    @property
    def line(self) -> str:
        """The same in one line."""
        return ", ".join(self.told)

    @property
    def reached(self) -> str:
        """Whom it reached, in words."""
        if not self.recipients:
            return f"to nobody ({self.end})"
        room = self.speaker.rpartition("/")[0]
        names = [name.removeprefix(f"{room}/") if room else name for name in self.recipients]
        shown = ", ".join(names[:RECIPIENTS_TOLD])
        rest = len(names) - RECIPIENTS_TOLD
        told = f"to {shown}" if rest <= 0 else f"to {shown} and {rest:,} more"
        return told if self.end == "delivered" else f"{told} ({self.end})"


def routes(table: Table, most: int | None = None) -> Iterator[Route]:
    """The jobs of a run, in order of acceptance, then speaker, index and language.

    Args:
        table: The run.
        most: So many of them, the first ones; None: all.
    """
    jobs, ledger, zero = table.jobs, table.run.ledger, table.run.time_zero
    utterance = jobs["utterance"]
    speaker = table.utterances["speaker"][utterance]
    index = table.utterances["utterance_index"][utterance]
    received = table.utterances["received_at"][utterance]
    at = np.where(received == NONE, table.utterances["ended_at"][utterance], received)
    order = np.lexsort(
        (_rank(ledger.languages.names)[jobs["tgt_lang"]], index, _rank(ledger.sessions.names)[speaker], at)
    )[:most]
    spoken_at = table.utterances["ended_at"][utterance] - zero
    by_job = np.argsort(table.deliveries["job"], kind="stable")
    starts = np.searchsorted(table.deliveries["job"][by_job], np.arange(len(utterance) + 1))
    for row in order.tolist():
        reached = by_job[starts[row] : starts[row + 1]]
        names = [ledger.sessions.names[number] for number in table.deliveries["recipient"][reached].tolist()]
        arrivals = sorted(zip(names, table.deliveries["arrived_at"][reached].tolist(), strict=True))
        node, placed, ended = (int(jobs[name][row]) for name in ("node", "dispatched_at", "ended_at"))
        yield Route(
            speaker=ledger.sessions.names[int(speaker[row])],
            spoken_at=int(spoken_at[row]),
            index=int(index[row]),
            language=ledger.languages.names[int(jobs["tgt_lang"][row])],
            at=int(at[row]) - zero,
            node=None if node == NONE else ledger.nodes.names[node],
            attempts=int(jobs["attempts"][row]),
            placed_at=None if placed == NONE else placed - zero,
            end=_ENDS[int(jobs["end"][row])],
            ended_at=None if ended == NONE else ended - zero,
            recipients=tuple(name for name, _ in arrivals),
            arrived_at=tuple(instant - zero for _, instant in arrivals),
        )


def _rank(names: Sequence[str]) -> Column:
    """For each name its place in the alphabet."""
    rank = np.zeros(len(names) + 1, dtype=np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return rank
