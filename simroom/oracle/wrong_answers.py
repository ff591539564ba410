"""Answers that were wrong already when they came from their node: counted, and told where they give words away.

The scheduler cannot know what a payload should be, so such an answer is no fault of its own.
"""

from __future__ import annotations

from typing import Final

from simroom.oracle.mirror import Mirror
from simroom.oracle.payload import SEPARATOR, translated
from simroom.oracle.state import Job, Session
from simroom.oracle.words import Words

TAG_LENGTH_MAX: Final = 35
"""Characters of the longest language tag that must be reckoned with (BCP 47, section 4.4.1)."""


class WrongAnswers:
    """The judge of what nodes answer.

    Attributes:
        counts: By how (a key of ``HOWS``), then by the node's name.
        deliveries: How often what such an answer carried was sent to one recipient.
    """

    def __init__(self, mirror: Mirror, words: Words) -> None:
        self._mirror = mirror
        self._words = words
        self.counts: dict[str, dict[str, int]] = {}
        self.deliveries = 0

    def came(self, job: Job, payload: str, node: str) -> None:
        """A node answered a job with this, and that counts; it may be right."""
        if payload == translated(job.audio, job.lane.tgt):
            return
        if not self._words.remembering:
            self._words.begin(job)
        how = self._how(job, payload)
        by_node = self.counts.setdefault(how, {})
        by_node[node] = by_node.get(node, 0) + 1

    def went_out(self, job: Job, payload: str, to: tuple[int, ...], now: int) -> None:
        """What a node answered a job with was sent to these connections; it may be right."""
        if not to or payload == translated(job.audio, job.lane.tgt):
            return
        self.deliveries += len(to)
        origin = None if self._is_own(job, payload) else self._words.origin(payload)
        if origin is None:
            return
        peers = self._mirror.peers
        outside = tuple(
            connection
            for connection in dict.fromkeys(to)
            if isinstance(peer := peers.get(connection), Session) and not origin.is_for(peer)
        )
        if outside:
            who = self._mirror.names(outside)
            by = job.node if job.by is None else job.by.node
            node = "a node" if by is None else by.name
            place = "outside rooms" if origin.room is None else f"in {origin.room.name}"
            what = (
                f"leaked by node {node}: {', '.join(who[:3])} got what {origin.speaker.name} said {place} "
                f"as #{origin.index}"
            )
            self._mirror.findings.add("I7", "leaked_by_node", now, what, job=job, recipients=who)

    def _how(self, job: Job, payload: str) -> str:
        if not payload:
            return "empty"
        if self._is_own(job, payload):
            more = payload.removeprefix(translated(job.audio, job.lane.tgt))
            # What goes on with a hyphen is another language yet, as zh-CN is beside zh.
            other_language = more == payload or (more.startswith("-") and len(more) <= TAG_LENGTH_MAX)
            return "wrong_language" if other_language else "oversized"
        origin = self._words.origin(payload)
        if origin is None:
            return "unknown"
        same = origin.room is job.lane.room and (origin.room is not None or origin.is_by(job.lane.speaker))
        return "another_utterance" if same else "another_room"

    @staticmethod
    def _is_own(job: Job, payload: str) -> bool:
        """Whether the words are the job's own, in whichever language."""
        return payload.startswith(job.audio + SEPARATOR)
