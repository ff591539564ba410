"""Troubles of nodes that come with a chance each time: lost messages, wrong answers, work that comes to nothing.

Whether a trouble strikes is drawn from what it could strike, a job's attempt or a node's heartbeat, so that taking one
fault out of a scenario never changes the luck of the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from simroom.oracle.payload import Speech, translated
from simroom.scheduler.messages import JobAssign
from simroom.sim.tally import Tally
from simroom.workload.distributions import Sampler
from simroom.workload.streams import mix, stream_key

MessageName = Literal["job_result", "node_heartbeat", "job_assign"]
"""What can be lost or doubled on its way from or to a node."""
LostWork = Literal["job", "batch"]
How = Literal["swapped", "previous", "empty", "wrong_language", "oversized"]

OVERSIZE: Final = 65_536
"""An oversized answer has so many characters too much: beyond what a line or a frame holds, and soon forgotten."""

_ALL: Final = 1 << 64
_PURPOSES: Final = {"job_result": 1, "node_heartbeat": 2, "job_assign": 3, "job": 4, "down": 5, "language": 6}
"""A number for each thing that is drawn, so that one trouble's draws have nothing to do with each other."""

About = tuple[int, int, int]
"""What a draw is about: of a job its payload's key, its language and its attempt."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One of a scenario's troubles; the nodes that have it share it, and count together.

    Attributes:
        share: How often it strikes, 0..1.
        luck: 64 bits that are its own.
        begin: From when on, whole microseconds on the engine's clock; ``until`` likewise, that instant not included.
        tally: Told each time that it strikes.
    """

    share: float
    luck: int
    begin: int
    until: int
    tally: Tally

    def drawn(self, purpose: str, about: About) -> int:
        """64 random bits that belong to this purpose and to what it is about."""
        return mix(self.luck, _PURPOSES[purpose], *about)

    def strikes(self, purpose: str, about: About, now: int) -> bool:
        """Whether it strikes now; that is not counted yet."""
        return self.begin <= now < self.until and self.drawn(purpose, about) < self.share * _ALL


@dataclass(frozen=True, kw_only=True)
class CrashAfterWork(Trouble):
    """The work is done, and the node crashes before it can report.

    Attributes:
        down: How long it is down each time; None: for good.
    """

    down: Sampler | None


@dataclass(frozen=True, kw_only=True)
class OutOfMemory(Trouble):
    """The GPU runs out of memory as a job is nearly done.

    Attributes:
        lost: ``job``: that one job; ``batch``: everything that runs on the GPU at that moment.
    """

    lost: LostWork


@dataclass(frozen=True, kw_only=True)
class WrongAnswer(Trouble):
    """A job is answered with what is not its translation.

    Attributes:
        how: ``swapped``: that of a job that ends or runs beside it, or else ended last; ``previous``: that of the job
            that ended last; ``empty``: nothing; ``wrong_language``: the right speech in another language the node
            speaks; ``oversized``: the right one with ``OVERSIZE`` characters more. It strikes only where there is such
            a job or language.
    """

    how: How


@dataclass(frozen=True, kw_only=True)
class LostMessages(Trouble):
    """Messages of some kinds never come: results and heartbeats are not sent, jobs are not heard of."""

    messages: tuple[MessageName, ...]


@dataclass(frozen=True, kw_only=True)
class DoubledMessages(Trouble):
    """Results or heartbeats are sent twice."""

    messages: tuple[MessageName, ...]


T = TypeVar("T", bound=Trouble)


class Troubles:
    """All troubles of one node.

    Args:
        troubles: In the order of the scenario.
        node: The node's number, which its heartbeats are drawn by.
        languages: What it can speak, as the scenario writes it, in order.
    """

    def __init__(self, troubles: Sequence[Trouble], node: int, languages: Sequence[str]) -> None:
        self._crashes = _of(troubles, CrashAfterWork)
        self._memory = _of(troubles, OutOfMemory)
        self._wrong = _of(troubles, WrongAnswer)
        self._lost = _of(troubles, LostMessages)
        self._doubled = _of(troubles, DoubledMessages)
        self._node = node
        self._spoken = tuple(languages)
        self._languages: dict[str, int] = {}

    # --- messages

    def unheard(self, message: JobAssign, now: int) -> bool:
        """Whether a job that has just come is lost before the node hears of it."""
        return bool(self._lost) and self._is_lost("job_assign", self._about(message), now)

    def result_count(self, message: JobAssign, now: int) -> int:
        """How often the answer to a job is sent: once, more often, or not at all."""
        return self._sent_count("job_result", self._about(message), now)

    def beat_count(self, number: int, now: int) -> int:
        """How often the heartbeat of this number is sent, likewise; the node counts them through all its lives."""
        return self._sent_count("node_heartbeat", (self._node, number, 0), now)

    def _sent_count(self, name: MessageName, about: About, now: int) -> int:
        if self._is_lost(name, about, now):
            return 0
        count = 1
        for trouble in self._doubled:
            if name in trouble.messages and trouble.strikes(name, about, now):
                trouble.tally.fire(now)
                count += 1
        return count

    def _is_lost(self, name: MessageName, about: About, now: int) -> bool:
        for trouble in self._lost:
            if name in trouble.messages and trouble.strikes(name, about, now):
                trouble.tally.fire(now)
                return True
        return False

    # --- jobs

    def crash(self, message: JobAssign, now: int) -> tuple[int | None] | None:
        """The crash that keeps the node from answering a job it has done.

        Returns:
            For how long the node is down, whole microseconds; None inside: for good. None: it does not crash.
        """
        for trouble in self._crashes:
            about = self._about(message)
            if trouble.strikes("job", about, now):
                down_time = None if trouble.down is None else trouble.down(trouble.drawn("down", about))
                trouble.tally.fire(now, None if down_time is None else now + down_time)
                return (down_time,)
        return None

    def memory(self, message: JobAssign, now: int) -> LostWork | None:
        """What is lost as the GPU runs out of memory over a job; None: it does not."""
        for trouble in self._memory:
            if trouble.strikes("job", self._about(message), now):
                trouble.tally.fire(now)
                return trouble.lost
        return None

    def wrong(
        self, message: JobAssign, beside: Sequence[JobAssign], previous: JobAssign | None, now: int
    ) -> str | None:
        """What a job is answered with instead of its translation; None: with that.

        Args:
            message: The job.
            beside: Jobs that end together with it or run, the nearest first.
            previous: The job that ended last before it; None: none has since the node started.
            now: The present.
        """
        for trouble in self._wrong:
            about = self._about(message)
            if not trouble.strikes("job", about, now):
                continue
            payload = self._payload(trouble, message, about, beside, previous)
            if payload is not None and payload != translated(message.audio, message.tgt_lang):
                trouble.tally.fire(now)
                return payload
        return None

    def _payload(
        self,
        trouble: WrongAnswer,
        message: JobAssign,
        about: About,
        beside: Sequence[JobAssign],
        previous: JobAssign | None,
    ) -> str | None:
        match trouble.how:
            case "empty":
                return ""
            case "oversized":
                return translated(message.audio, message.tgt_lang) + "~" * OVERSIZE
            case "wrong_language":
                right = message.tgt_lang.casefold()
                others = [language for language in self._spoken if language.casefold() != right]
                if not others:
                    return None
                return translated(message.audio, others[trouble.drawn("language", about) % len(others)])
            case "swapped":
                other = beside[0] if beside else previous
            case "previous":
                other = previous
        return None if other is None else translated(other.audio, other.tgt_lang)

    def _about(self, message: JobAssign) -> About:
        audio = message.audio
        key = audio.key if type(audio) is Speech else stream_key(0, message.job_id)
        language = self._languages.get(message.tgt_lang)
        if language is None:
            language = self._languages[message.tgt_lang] = stream_key(0, message.tgt_lang)
        return key, language, message.attempt_id or 1


def _of(troubles: Sequence[Trouble], kind: type[T]) -> tuple[T, ...]:
    return tuple(trouble for trouble in troubles if isinstance(trouble, kind))
