"""The findings: every violation is counted, the first ones are kept, and every judgement is counted too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simroom.oracle.verdict import INVARIANTS, KINDS, Violation

if TYPE_CHECKING:
    from simroom.oracle.state import Job, Room


class Findings:
    """What has been judged so far and what was found wrong.

    Args:
        kept_max: Violations kept in full.

    Attributes:
        kept_max: The same.
        counts: All violations, by kind; ``breaches`` by invariant and kind.
        results: Results whose recipients, copies and payload were judged.
        room_results: Those of them that came from a room.
        usual: Results that were right in every respect at one look, on top of all the above and below; likewise
            ``usual_in_room``.
        turns: Results whose turn was judged.
        placed_alone: Placings judged for speakers outside rooms; likewise ``placed_in_room``.
        ends: Ends of jobs judged.
        replies: Answers to requests judged.
        arrivals: Arrivals at clients judged.
        awaited: Results sent to one recipient whose arrival, or lack of it, was judged.
        in_the_end: How often each of ``L1`` to ``L4`` was judged.
    """

    def __init__(self, kept_max: int) -> None:
        self.kept_max = kept_max
        self.violations: list[Violation] = []
        self.counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.breaches: dict[tuple[str, str], int] = {}
        self.results = 0
        self.room_results = 0
        self.usual = 0
        self.usual_in_room = 0
        self.turns = 0
        self.placed_alone = 0
        self.placed_in_room = 0
        self.ends = 0
        self.replies = 0
        self.arrivals = 0
        self.awaited = 0
        self.in_the_end: dict[str, int] = dict.fromkeys(("L1", "L2", "L3", "L4"), 0)

    def add(
        self,
        invariant: str,
        kind: str,
        at: int,
        what: str,
        *,
        job: Job | None = None,
        room: Room | None = None,
        speaker: str | None = None,
        utterance_index: int | None = None,
        language: str | None = None,
        recipients: tuple[str, ...] = (),
        job_id: str | None = None,
        node: str | None = None,
    ) -> None:
        """Count a violation, and keep it if it is among the first; ``job`` gives what is not said otherwise."""
        self.counts[kind] += 1
        self.breaches[invariant, kind] = self.breaches.get((invariant, kind), 0) + 1
        if len(self.violations) >= self.kept_max:
            return
        if job is not None:
            lane = job.lane
            room = room or lane.room
            speaker = speaker or lane.speaker.name
            utterance_index = job.index if utterance_index is None else utterance_index
            language = language or lane.tgt
            job_id = job_id or job.id or None
            node = node or (job.node.name if job.node is not None else None)
        self.violations.append(
            Violation(
                invariant,
                at,
                what,
                kind,
                room=room.name if room is not None else None,
                speaker=speaker,
                utterance_index=utterance_index,
                language=language,
                recipients=recipients,
                job_id=job_id,
                node=node,
            )
        )

    def judgements(self, *, ordered: bool) -> dict[str, int]:
        """How often each invariant was judged, by its key.

        Args:
            ordered: Whether the settings ask for any order.
        """
        placed = self.placed_alone + self.placed_in_room
        results = self.results + self.usual
        judged = {
            "I1": results,
            "I2": results,
            "I3": self.turns + self.usual if ordered else 0,
            "I4": placed,
            "I5": placed,  # each against a prediction that does not know the mode
            "I6": self.ends + self.usual,
            "I7": self.room_results + self.usual_in_room,
            **self.in_the_end,
            "token": results,
            "reply": self.replies,
            "may": self.arrivals,
            "must": self.awaited,
        }
        return {invariant: judged[invariant] for invariant in INVARIANTS}
