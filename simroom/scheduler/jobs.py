"""Jobs and their attempts."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from simroom.scheduler.messages import ErrorCode, JobResult, Utterance

if TYPE_CHECKING:
    from simroom.scheduler.nodes import Node
    from simroom.scheduler.rooms import Room
    from simroom.scheduler.sessions import Needs, Session

TRIED_AGAIN: Final = frozenset(
    {ErrorCode.NODE_OVERLOADED, ErrorCode.MODEL_NOT_AVAILABLE, ErrorCode.INTERNAL_ERROR},
)
"""Failures that another node may not have; any other ends the job."""


class JobEnd(StrEnum):
    """How a job ends, once."""

    DELIVERED = "delivered"
    NO_RECIPIENT = "no_recipient"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DROPPED_LATE = "dropped_late"


class Attempt(Struct, eq=False):
    """One try of a job on a node; it holds a slot from dispatch until it is answered, lost or abandoned."""

    key: str
    job: Job
    number: int
    node: Node
    dispatched_at: int
    abandoned_at: int = 0
    """When its slot is given up; meaningful once its time has run out."""


class Job(Struct, eq=False):
    """One utterance into one language.

    Attributes:
        room: None: to the speaker alone.
        order: The living jobs of its (speaker, room, language), in the order of the utterances.
        current: The attempt that is running; None while waiting, and once answered or ended.
        result: The successful answer, from when it came.
        waiting: Its place among the waiting jobs, from 1; 0: it does not wait.
        since: When it began to wait (``waiting``) or when its result came (``result``).
        passed_over: Its turn was given up; its result will be late.
        tried: Nodes it was given to, in order.
        snapshot: Who matched as it was made; None unless the membership setting asks.
        plain: It asks for nothing beyond languages and audio.
        to: Connections of its recipients as it was made; they still are while the room's ``version`` is this one.
            Empty: not known.
        partials: ASR partials of its utterance come from this job.
    """

    job_id: str
    speaker: Session
    room: Room | None
    utterance: Utterance
    src_lang: str
    tgt_lang: str
    needs: Needs
    order: list[Job]
    partials: bool
    plain: bool
    to: tuple[int, ...] = ()
    version: int = 0
    attempt_count: int = 0
    current: Attempt | None = None
    result: JobResult | None = None
    since: int = 0
    waiting: int = 0
    passed_over: bool = False
    end: JobEnd | None = None
    tried: tuple[Node, ...] = ()
    snapshot: tuple[Session, ...] | None = None


def attempt_key(job_id: str, number: int) -> str:
    """The key of an attempt: the job's id for the first, so that the usual case makes no new string."""
    return job_id if number == 1 else f"{job_id}/{number}"
