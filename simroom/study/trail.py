"""What is kept of one utterance while a run goes by: the facts, each at its instant, in the order in which they came.

Instants are on the engine's clock. Everything is bounded, however large the fleet or the room is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from simroom.scheduler.nodes import ExcludeReason
from simroom.scheduler.selection import NodeVerdict
from simroom.study.presence import Change, Seat

NODES_SHOWN: Final = 8
"""Verdicts kept one by one; the others are counted by reason."""
TIED_SHOWN: Final = 4
SEATS_MAX: Final = 1_000
"""Members of a room that are kept by name."""
FACTS_MAX: Final = 2_000
AFTERWARDS: Final = 10_000_000
"""How long after its last job was over comings and goings are kept, to say of somebody that they came too late."""


class Verdicts(Struct, frozen=True):
    """What a job found at every node, as the scheduler itself says.

    Attributes:
        nodes: How many nodes there are.
        fit: How many of them pass every filter.
        reasons: The others by exclude reason, in the order of the filters.
        shown: The first ones in the order of registration, the one that got the job among them.
        fewest: Jobs of the least loaded one that fits; None: none fits.
        tied: Names of the first ones that fit and have so few; ``tied_count``: how many there are.
    """

    nodes: int
    fit: int
    reasons: dict[str, int]
    shown: tuple[NodeVerdict, ...]
    fewest: int | None
    tied: tuple[str, ...]
    tied_count: int


def verdicts_of(every: Sequence[NodeVerdict], chosen: str | None, later: dict[str, int], *, tracked: bool) -> Verdicts:
    """Sum up what a scheduler said right after a placing.

    Args:
        every: Its word on every node, in the order of registration.
        chosen: The node that got the job; None: none did.
        later: How many jobs each node got in the same call from this job on: they are not counted yet.
        tracked: The scheduler counts what it has placed, so those jobs are in its word.
    """
    before = [_before(verdict, later.get(verdict.node_id, 0) if tracked else 0, chosen) for verdict in every]
    fitting = [verdict for verdict in before if verdict.exclude_reason is None]
    fewest = min((verdict.jobs for verdict in fitting), default=None)
    tied = [verdict.node_id for verdict in fitting if verdict.jobs == fewest]
    counts = dict.fromkeys(ExcludeReason, 0)
    for verdict in before:
        if verdict.exclude_reason is not None:
            counts[verdict.exclude_reason] += 1
    shown = before[:NODES_SHOWN]
    if not any(verdict.chosen for verdict in shown):
        shown = [*before[: NODES_SHOWN - 1], *(verdict for verdict in before if verdict.chosen)][:NODES_SHOWN]
    return Verdicts(
        nodes=len(before),
        fit=len(fitting),
        reasons={reason.value: count for reason, count in counts.items() if count},
        shown=tuple(shown),
        fewest=fewest,
        tied=tuple(tied[:TIED_SHOWN]),
        tied_count=len(tied),
    )


def _before(verdict: NodeVerdict, later: int, chosen: str | None) -> NodeVerdict:
    jobs = max(0, verdict.jobs - later)
    reason = verdict.exclude_reason
    if reason is ExcludeReason.CAPACITY_EXCEEDED and later and jobs < verdict.slots:
        reason = None  # it was only full afterwards, and whoever gets a job passes what comes after capacity too
    return replace(verdict, jobs=jobs, exclude_reason=reason, chosen=verdict.node_id == chosen)


# --- facts -------------------------------------------------------------------------------------------------------


class Placing(Struct, frozen=True):
    """The scheduler looked for a node.

    Attributes:
        node: Who got the job; None: nobody did.
        attempt: Its number; None: it was not placed.
        code: What the speaker was told if it was refused; None: it was placed, or waits.
        hint: The exclude reason that the speaker was told; None: none.
        verdicts: None: the scheduler cannot be asked.
        paired: The node that the speaker is paired with; likewise ``sticky`` the last one of its session or room.
        after: The node that any job was placed on last before; None: none yet.
        tried: Nodes that were given the job before.
    """

    at: int
    job_id: str
    node: str | None
    attempt: int | None
    code: str | None
    hint: str | None
    verdicts: Verdicts | None
    paired: str | None
    sticky: str | None
    after: str | None
    tried: tuple[str, ...]


class Answer(Struct, frozen=True):
    """A node answered.

    Attributes:
        attempt: None: it did not say which.
        code: Why not; None: it succeeded, or does not say.
    """

    at: int
    job_id: str
    node: str
    attempt: int | None
    success: bool
    code: str | None


class Send(Struct, frozen=True):
    """The result was sent.

    Attributes:
        to: To whom, in order.
        kept: It goes to somebody who is back, for whom it was kept.
        seats: Who was in the room then; None: it is no room's.
    """

    at: int
    job_id: str
    to: tuple[str, ...]
    kept: bool
    seats: tuple[Seat, ...] | None


class Notice(Struct, frozen=True):
    """The speaker was told that the job has come to nothing."""

    at: int
    job_id: str
    code: str
    hint: str | None


class Cancel(Struct, frozen=True):
    """A node was told that an attempt is moot."""

    at: int
    job_id: str
    node: str
    attempt: int


class Loss(Struct, frozen=True):
    """A node that was given one of the jobs has gone.

    Attributes:
        silent: It was not heard of for too long; else its connection ended.
    """

    at: int
    node: str
    silent: bool


class Restart(Struct, frozen=True):
    """The scheduler has lost its memory."""

    at: int


class Again(Struct, frozen=True):
    """The same utterance arrived once more; ``refused`` as for the first time."""

    at: int
    refused: str | None


Fact = Placing | Answer | Send | Notice | Cancel | Loss | Restart | Again | Change


class Spoken(Struct, frozen=True):
    """An utterance of the speaker, as far as others of theirs depend on it.

    Attributes:
        row: In the ledger.
        jobs: Job ids by language, in the order in which they were made.
    """

    row: int
    index: int
    session_id: str
    room_id: str | None
    at: int
    jobs: dict[str, str]


class Trail(Struct):
    """All that is kept of one utterance.

    Attributes:
        spoken: The utterance.
        src_lang: Its language, canonical.
        seats: Who was in the room as it arrived, in order of joining; None: the speaker was in none.
        room_size: How many.
        wanted: Languages that a job was to be made for.
        refused: Code of the refusal; None: it was accepted.
        before: Earlier utterances of the speaker, in order; ``after``: later ones.
        facts: In order.
        dropped: Facts there was no place for.
    """

    spoken: Spoken
    src_lang: str
    seats: tuple[Seat, ...] | None
    room_size: int
    wanted: tuple[str, ...]
    refused: str | None
    before: tuple[Spoken, ...]
    after: list[Spoken]
    facts: list[Fact]
    dropped: int = 0

    def add(self, fact: Fact) -> None:
        """Keep a fact, if there is a place for it."""
        if len(self.facts) < FACTS_MAX:
            self.facts.append(fact)
        else:
            self.dropped += 1
