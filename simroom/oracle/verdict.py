"""What the oracle says: violations as values, and how often each invariant was judged."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

INVARIANTS: Final = {
    "I1": "recipients",
    "I2": "at most once",
    "I3": "order",
    "I4": "fitting node",
    "I5": "same selection in both modes",
    "I6": "accounts",
    "I7": "nothing outside the room",
    "token": "payload identity",
    "reply": "right answer to a request",
    "may": "received only what was meant for one",
    "must": "received all that was meant for one",
}


class Violation(Struct, frozen=True):
    """One breach of an invariant.

    Attributes:
        invariant: A key of ``INVARIANTS``.
        at: Instant of the breach, whole microseconds on the engine's clock.
        what: One sentence: what happened and what should have.
        room: Name of the room, None outside rooms or where it is not about one.
        speaker: Name of the speaker's session, None where it is not about an utterance.
        utterance_index: Index of the utterance, None where it is not about one.
        language: Target language of the job, None where it is not about one.
        recipients: Names of the sessions concerned, in order.
        job_id: The job, None where it is not about one.
        node: The node's id, None where it is not about one.
    """

    invariant: str
    at: int
    what: str
    kind: str
    """``missing``, ``extra``, ``duplicate``, ``out_of_order``, ``leaked``, ``wrong_node``, ``accounts``, ``payload``
    or ``reply``."""
    room: str | None = None
    speaker: str | None = None
    utterance_index: int | None = None
    language: str | None = None
    recipients: tuple[str, ...] = ()
    job_id: str | None = None
    node: str | None = None


class Verdict(Struct, frozen=True):
    """The oracle's word on a run.

    Attributes:
        violations: The first ones, in order of time, at most the oracle's ``kept_max``.
        counts: All violations, by kind.
        judgements: How often each invariant was judged; 0: never.
        ends: Jobs ended, by lower-case name of ``JobEnd``.
        refusals: Jobs that no node could take, by the exclude reason the speaker was told.
        created: Jobs made.
        living: Jobs neither ended nor given up when judging stopped.
        uncounted: Results that counted for nothing, by why (``late``, ``unknown``, ``not_given``).
    """

    violations: tuple[Violation, ...]
    counts: dict[str, int]
    judgements: dict[str, int]
    ends: dict[str, int]
    refusals: dict[str, int]
    created: int
    living: int
    uncounted: dict[str, int]

    @property
    def violation_count(self) -> int:
        """All violations, kept or not."""
        return sum(self.counts.values())
