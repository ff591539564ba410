"""Bugs in who gets a result: too many, too few, the wrong ones, or those of another time or room."""

# ruff: noqa: ARG002, D102, D106 - what is overridden, and its arguments, are documented where they come from
from __future__ import annotations

from typing import ClassVar
from zlib import crc32

from simroom.bugbank.parts import ADispatch, ALobby, ARouting, Broken
from simroom.scheduler.jobs import Job, JobEnd
from simroom.scheduler.messages import Addressed, JobResult, RoomLanguage, ToSession, UiEvent
from simroom.scheduler.rooms import Room
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.sessions import Session

Sessions = tuple[Session, ...]


class EveryResultLost(Broken):
    """Every result is taken for sent, and none is."""

    class Routing(ARouting):
        def send_result(self, job: Job, now: int, out: list[Addressed]) -> bool:
            return True


class SpeakerLeftOut(Broken):
    """A speaker never gets a result in its room, though it prefers the language."""

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            found = super().recipients(job)
            return found if job.room is None else tuple(s for s in found if s is not job.speaker)


class EverybodyInTheRoom(Broken):
    """Every result goes to all members of the room, whatever language they prefer."""

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            return super().recipients(job) if job.room is None else tuple(job.room.members.values())


class SpeakersLanguage(Broken):
    """In a room, speech is translated into the language of the speaker and not into those of the others."""

    class Dispatch(ADispatch):
        def _wanted(self, speaker: Session, room: Room, src_lang: str) -> list[str]:
            return [speaker.preferred_lang or speaker.tgt_lang]


class ReleasersRecipients(Broken):
    """A held result goes to the recipients of the job whose end released it."""

    class Dispatch(ADispatch):
        def begin(self, scheduler: Scheduler) -> None:
            self._releaser: Job | None = None

        def _succeeded(self, job: Job, message: JobResult, now: int, out: list[Addressed]) -> None:
            self._releaser = job
            super()._succeeded(job, message, now, out)
            self._releaser = None

        def _end(self, job: Job, end: JobEnd, now: int, out: list[Addressed]) -> None:
            self._releaser = job
            super()._end(job, end, now, out)
            self._releaser = None

        def _send(self, job: Job, now: int, out: list[Addressed]) -> None:
            if self._releaser is not None:
                job.snapshot = self._releaser.snapshot
            super()._send(job, now, out)


class NoLanguageIsEnglish(Broken):
    """A member without a preferred language is taken for one who prefers English."""

    class Lobby(ALobby):
        def _preferred(self, tag: str | None) -> str | None:
            return super()._preferred(tag or "en")


class TagsByPrefix(Broken):
    """Language tags are compared by their beginning: ``zh-CN`` gets what is meant for ``zh``."""

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            found = super().recipients(job)
            if job.room is None:
                return found
            members = job.room.members.values()
            return tuple(s for s in members if s in found or (s.preferred_lang or "").startswith(job.tgt_lang + "-"))


class TagsByCase(Broken):
    """Language tags are compared letter by letter: ``ZH-cn`` and ``zh-CN`` are two languages."""

    class Lobby(ALobby):
        def _preferred(self, tag: str | None) -> str | None:
            return tag if super()._preferred(tag) else None


class RecipientsFrozen(Broken):
    """A result goes to those who matched as the job was made, whatever they have done since."""

    changed: ClassVar = {"membership": "snapshot"}

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            return super().recipients(job) if job.room is None else tuple(s for s in job.snapshot or () if s.alive)


class RoomThroughSpeaker(Broken):
    """The room is looked up through the speaker as the result arrives: one who has left takes it away."""

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            room = job.speaker.room
            if job.room is None or room is job.room:
                return super().recipients(job)
            return () if room is None else room.matching(job.tgt_lang)


class RoomByCode(Broken):
    """A job remembers its room by the code, and finds whoever is there under it as its result arrives."""

    class Routing(ARouting):
        def begin(self, scheduler: Scheduler) -> None:
            self._rooms = scheduler.rooms

        def recipients(self, job: Job) -> Sessions:
            room = None if job.room is None else self._rooms.find_room_by_code(job.room.room_code)
            if job.room is None or room is job.room:
                return super().recipients(job)
            return () if room is None else room.matching(job.tgt_lang)

    class Dispatch(ADispatch):
        def room_ended(self, room: Room, out: list[Addressed]) -> None:
            pass


class FirstMatchOnly(Broken):
    """Of several recipients only the first gets the result."""

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            return super().recipients(job)[:1]


class SetDecides(Broken):
    """Recipients are gathered in a set, which decides in which order they are sent to."""

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            found = {s.join_serial: s for s in super().recipients(job)}
            # Whole numbers come out of a set in the same order in every process, so that equal runs stay equal.
            return tuple(found[serial] for serial in set(found))


class LoneSpeakersRoom(Broken):
    """What somebody said alone is sent to those who prefer its language in the room that it has joined since."""

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            room = job.speaker.room
            if job.room is not None or room is None:
                return super().recipients(job)
            return room.matching(job.tgt_lang)


class LanguageChangeIgnored(Broken):
    """A change of language is shown to the others, and not acted upon."""

    class Lobby(ALobby):
        def change_language(self, session: Session, message: RoomLanguage, out: list[Addressed]) -> None:
            before = session.preferred_lang
            super().change_language(session, message, out)
            if session.room is not None:
                session.room.change_language(session, before)


class OneInTenThousandLost(Broken):
    """One delivery in ten thousand is lost."""

    class Routing(ARouting):
        def recipients(self, job: Job) -> Sessions:
            return tuple(s for s in super().recipients(job) if crc32(f"{s.token}/{job.job_id}".encode()) % 10_000)


class FailureToldToTheRoom(Broken):
    """That a job has failed is told to everybody in the speaker's room."""

    class Routing(ARouting):
        def tell(self, session: Session, message: ToSession, out: list[Addressed]) -> None:
            super().tell(session, message, out)
            if isinstance(message, UiEvent) and session.room is not None:
                for other in session.room.members.values():
                    if other is not session:
                        super().tell(other, message, out)


class SameLanguageTranslated(Broken):
    """In a room, speech is translated into its own language too."""

    changed: ClassVar = {"same_language": "translate"}
