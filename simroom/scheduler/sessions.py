"""What the scheduler knows of a session, and what it keeps for one that has dropped out for a moment."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from msgspec import Struct

from simroom.scheduler.messages import Features, Member, SessionInit, ToSession

if TYPE_CHECKING:
    from simroom.scheduler.jobs import Job
    from simroom.scheduler.nodes import Node
    from simroom.scheduler.rooms import Room


class Needs(Struct, frozen=True, eq=False):
    """What a job asks of a node beyond its languages; one object for each distinct combination."""

    models: tuple[str, ...]
    auto_langs: tuple[str, ...] | None


class Kept(Struct):
    """One message kept for a detached session; ``job`` where it is a result to be checked again."""

    message: ToSession
    job: Job | None


class Session(Struct, eq=False, kw_only=True):
    """One connected (or, within the grace, detached) client.

    Attributes:
        connection: None while detached.
        to: The address ``(connection,)``, empty while detached.
        last_index: Highest utterance index so far; None: no utterance yet.
        kept: Messages for a detached session; None while connected.
        detached_at: Since when it is detached; None while connected.
        plain: Its jobs carry nothing beyond languages and audio.
        raw_voice: Whether it wants the untranslated voice of a member, by session id; absent or
            None: it does.
        plan: For an utterance in its ``src_lang``, what the others in its room want, ascending: each language, and the
            connections of those who prefer it (none where somebody is detached). None: not known since somebody
            came, left, changed language or connection.
        chunks: Payloads of the audio chunks of the utterance that is being spoken; None: there
            are none.
    """

    # What every utterance looks at comes first, so that it shares cache lines.
    session_id: str
    src_lang: str
    last_index: int | None = None
    room: Room | None = None
    plan: tuple[tuple[str, tuple[int, ...]], ...] | None = None
    needs: Needs
    plain: bool
    trace_id: str
    tgt_lang: str
    connection: int | None
    to: tuple[int, ...]
    alive: bool = True
    paired: str | None = None
    sticky: Node | None = None
    preferred_lang: str | None = None
    init: SessionInit
    token: str
    member: Member | None = None
    join_serial: int = 0
    kept: deque[Kept] | None = None
    detached_at: int | None = None
    raw_voice: dict[str, bool] | None = None
    chunks: list[str] | None = None
    chunk_chars: int = 0

    @property
    def features(self) -> Features | None:
        """The optional features that it asked for."""
        return self.init.features
