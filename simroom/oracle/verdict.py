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
    "L1": "every job ends in time",
    "L2": "every recipient gets it in the end",
    "L3": "no speaker is muted by a failure",
    "L4": "nothing is left behind",
    "token": "payload identity",
    "reply": "right answer to a request",
    "may": "received only what was meant for one",
    "must": "received all that was meant for one",
}
"""What must hold: I1 to I7 at every step, L1 to L4 in the end, the last two at the clients."""

KINDS: Final = {
    "missing": "somebody did not get what was meant for them",
    "extra": "somebody got, or somebody's job was, what should not have been",
    "duplicate": "somebody got the same result twice",
    "out_of_order": "something happened before its turn",
    "leaked": "somebody got what was meant for others",
    "wrong_node": "a job went to a node that it should not have gone to",
    "accounts": "a job was not accounted for",
    "payload": "the scheduler took one payload for another",
    "reply": "a request or an event was not answered as it should have been",
    "stuck": "something never came to its end",
    "leaked_by_node": "a node's answer carried words from another room, and they were heard",
}
"""What a breach can be, whichever invariant it breaks."""

HOWS: Final = {
    "another_utterance": "carried another utterance's words",
    "another_room": "carried words from another room",
    "wrong_language": "were in another language",
    "empty": "were empty",
    "oversized": "were too long",
    "unknown": "carried words that nobody is known to have said",
}
"""What can be wrong with a node's answer, as it shows; of results."""


class Violation(Struct, frozen=True):
    """One breach of an invariant.

    Attributes:
        invariant: A key of ``INVARIANTS``.
        at: Instant of the breach, whole microseconds on the engine's clock.
        what: One sentence: what happened and what should have.
        kind: A key of ``KINDS``.
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
        breaches: All violations, by invariant and kind.
        stuck: What never came to its end, in words, the first ones: each breach of ``L1`` to ``L4``, and what it waits
            for as far as that can be told.
        unfinished: Jobs that lived when judging stopped and still had time, the first ones: what each waits for.
        wrong_answers: Answers that counted and were wrong already when they came from their node, by how (a key of
            ``HOWS``), then by the node's name. Not the scheduler's fault, so not among the violations.
        wrong_deliveries: Deliveries of what such answers carried.
        uncounted_time: Service that nodes put into successful results that counted for nothing, whole microseconds.
    """

    violations: tuple[Violation, ...]
    counts: dict[str, int]
    judgements: dict[str, int]
    ends: dict[str, int]
    refusals: dict[str, int]
    created: int
    living: int
    uncounted: dict[str, int]
    breaches: dict[tuple[str, str], int] = {}
    stuck: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    wrong_answers: dict[str, dict[str, int]] = {}
    wrong_deliveries: int = 0
    uncounted_time: int = 0

    @property
    def violation_count(self) -> int:
        """All violations, kept or not."""
        return sum(self.counts.values())
