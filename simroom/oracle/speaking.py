"""From an utterance to its jobs: which there must be, and that each is placed, waits or is refused in turn."""

from __future__ import annotations

from collections.abc import Callable

from simroom.oracle.accounts import Accounts
from simroom.oracle.fleet import Profile, models_needed
from simroom.oracle.ledger import NONE
from simroom.oracle.mirror import Mirror
from simroom.oracle.payload import Speech
from simroom.oracle.placing import Placing
from simroom.oracle.recipients import snapshot
from simroom.oracle.replies import Replies
from simroom.oracle.sent import Sent
from simroom.oracle.state import Job, Lane, Pieces, Room, Session
from simroom.oracle.tags import AUTO
from simroom.scheduler.messages import AudioChunk, Error, ErrorCode, Features, JobAssign, Utterance

Plan = tuple[tuple[Lane, Profile], ...]


class Speaking:
    """Follows utterances."""

    def __init__(
        self,
        mirror: Mirror,
        accounts: Accounts,
        replies: Replies,
        placing: Placing,
        conclude: Callable[[Sent], None],
    ) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._findings = mirror.findings
        self._fleet = mirror.fleet
        self._replies = replies
        self._placing = placing
        self._conclude = conclude
        self._peers = mirror.peers
        settings = mirror.settings
        self._remembers = settings.membership != "live"
        self._per_language = settings.fan_out == "per_language"
        self._skips = settings.same_language == "skip"
        self._usual = (
            settings.load == "tracked"
            and settings.sticky == "none"
            and settings.ui_events == "errors"
            and not self._remembers
        )

    def whole(self, sent: Sent, connection: int, message: Utterance) -> None:
        """A session has finished an utterance."""
        speaker = self._peers.get(connection)
        if not isinstance(speaker, Session):
            self._replies.unknown_session(sent, connection)
        elif message.session_id != speaker.session_id:
            self._replies.refuse(sent, connection, ErrorCode.INVALID_SESSION)
        elif message.utterance_index <= speaker.last_index:
            self._repeated(sent, speaker, message)
        else:
            tags = self._mirror.tags
            src = tags.of(message.src_lang) if message.src_lang else speaker.src
            tgt = tags.of(message.tgt_lang) if message.tgt_lang else speaker.tgt
            auto = message.auto_langs
            auto_langs = speaker.auto_langs if auto is None else tuple(tags.of(tag) for tag in auto)
            features = message.features or speaker.features
            index = message.utterance_index
            audio = message.audio
            self._accept(sent, speaker, index, src, tgt, features, auto_langs, audio, audio)
        self._conclude(sent)

    def go_on(self, sent: Sent, speaker: Session, message: Utterance, row: int, done: int, last: int) -> None:
        """Some of an utterance's jobs have been found right and taken up; judge the rest.

        Args:
            sent: What the scheduler sent.
            speaker: Whose plan this has been.
            message: The utterance, noted as received.
            row: Its row.
            done: So many jobs of the plan have been taken up, each with the piece at its place.
            last: Index of the speaker's utterance before.
        """
        assert speaker.plan is not None
        for position in range(done):
            sent.tick(position)
        if self._replies.refused(sent, speaker.connection, Error):
            speaker.last_index = last
        else:
            sent.utterance_row = row
            rest = speaker.plan[done:]
            self._spread(sent, message.utterance_index, message.audio, row, speaker.plan_from, rest)
        self._conclude(sent)

    def chunk(self, sent: Sent, speaker: Session, message: AudioChunk) -> None:
        """A piece of an utterance; the last one ends it."""
        if message.session_id != speaker.session_id:
            self._replies.refuse(sent, speaker.connection, ErrorCode.INVALID_SESSION)
            return
        speaker.pieces += 1
        if not message.is_final:
            return
        whole = speaker.pieces == 1
        speaker.pieces = 0
        last = message.payload or ""
        audio = last if whole else Pieces()
        index = speaker.last_index + 1
        self._accept(sent, speaker, index, speaker.src, speaker.tgt, speaker.features, speaker.auto_langs, audio, last)

    def _repeated(self, sent: Sent, speaker: Session, message: Utterance) -> None:
        index = message.utterance_index
        again = sent.find(
            JobAssign, lambda _, assign: assign.session_id == speaker.session_id and assign.utterance_index == index
        )
        if again == NONE or sent.find(Error, lambda to, _: to == (speaker.connection,)) != NONE:
            self._replies.refuse(sent, speaker.connection, ErrorCode.INVALID_MESSAGE)
            return
        self._findings.add(
            "I2",
            "duplicate",
            sent.now,
            f"an utterance with an index that is not above #{speaker.last_index} was dispatched",
            room=speaker.room,
            speaker=speaker.name,
            utterance_index=index,
        )
        last = speaker.last_index
        tags = self._mirror.tags
        src = tags.of(message.src_lang) if message.src_lang else speaker.src
        tgt = tags.of(message.tgt_lang) if message.tgt_lang else speaker.tgt
        features = message.features or speaker.features
        self._accept(sent, speaker, index, src, tgt, features, speaker.auto_langs, message.audio, message.audio)
        speaker.last_index = last

    def _accept(
        self,
        sent: Sent,
        speaker: Session,
        index: int,
        src: str,
        tgt: str,
        features: Features | None,
        auto_langs: tuple[str, ...] | None,
        audio: str,
        spoken: str,
    ) -> None:
        if self._replies.refused(sent, speaker.connection, Error):
            return
        speaker.last_index = index
        room = speaker.room
        if room is not None:
            room.last_speaking_at = sent.now
        row = spoken.row if isinstance(spoken, Speech) else self.row(speaker, room, index, src, sent.now)
        self._mirror.ledger.received(row, sent.now)
        sent.utterance_row = row
        self._spread(sent, index, audio, row, src, self._plan(speaker, src, tgt, features, auto_langs))

    def row(self, speaker: Session, room: Room | None, index: int, src: str, now: int) -> int:
        """Note an utterance that its speaker has not; returns its row."""
        ledger = self._mirror.ledger
        number = NONE if room is None or len(room.members) == 1 else ledger.rooms.number(room.name)
        return ledger.utterance(speaker.number, number, index, ledger.languages.number(src), NONE, now)

    def _spread(self, sent: Sent, index: int, audio: str, row: int, src: str, plan: Plan) -> None:
        jobs = [Job(lane, index, audio, row, profile, sent.now) for lane, profile in plan]
        for job in self._as_sent(sent, jobs):
            room = job.lane.room
            if self._remembers and room is not None:
                job.snapshot = snapshot(room, job.lane.tgt)
            self._accounts.created += 1
            job.lane.living.append(job)
            self._placing.place(sent, job, src)

    def _as_sent(self, sent: Sent, jobs: list[Job]) -> list[Job]:
        """The jobs in the order in which they were placed, which must be that of their languages."""
        if len(jobs) < 2:
            return jobs
        is_for = self._placing.is_for
        places = [sent.find(JobAssign, lambda _, message: is_for(job, message)) for job in jobs]  # noqa: B023
        placed = [place for place in places if place != NONE]
        if placed == sorted(placed):
            return jobs
        what = "the jobs of one utterance were not placed in order of language"
        self._findings.add("I3", "out_of_order", sent.now, what, job=jobs[0])
        last = len(sent.items)
        order = sorted(range(len(jobs)), key=lambda number: last if places[number] == NONE else places[number])
        return [jobs[number] for number in order]

    # --- which jobs there must be

    def prepare(self, speaker: Session, message: Utterance) -> bool:
        """Plan this and, until something changes, the speaker's next utterances.

        Returns:
            False: there is a plan for it already, or nothing is as usual.
        """
        if not self._usual or speaker.paired is not None:
            return False
        if speaker.plan is not None and (message.src_lang, message.tgt_lang) == (speaker.plan_src, speaker.plan_tgt):
            return False
        tags = self._mirror.tags
        src = tags.of(message.src_lang) if message.src_lang else speaker.src
        tgt = tags.of(message.tgt_lang) if message.tgt_lang else speaker.tgt
        speaker.plan = self._plan(speaker, src, tgt, speaker.features, speaker.auto_langs)
        speaker.plan_src = message.src_lang
        speaker.plan_tgt = message.tgt_lang
        speaker.plan_from = src
        return True

    def _plan(
        self,
        speaker: Session,
        src: str,
        tgt: str,
        features: Features | None,
        auto_langs: tuple[str, ...] | None,
    ) -> Plan:
        needs = models_needed(features)
        room = speaker.room
        if room is not None and len(room.members) == 1:
            room = None
        languages = [tgt] if room is None else self._languages(room, speaker, src)
        self._mirror.prune(speaker, room)
        return tuple(
            (self._mirror.lane(speaker, room, language), self._fleet.profile(src, language, needs, auto_langs))
            for language in languages
        )

    def _languages(self, room: Room, speaker: Session, src: str) -> list[str]:
        if not self._per_language:
            return [] if self._skips and src != AUTO and speaker.tgt == src else [speaker.tgt]
        others = [language for language, count in room.wanted.items() if count > (1 if language == speaker.lang else 0)]
        if self._skips:
            others = [language for language in others if language != src]
        return sorted(others)
