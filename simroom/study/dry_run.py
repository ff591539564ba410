"""Where a job would go at one instant of a run, and why not elsewhere: the scheduler is asked, nothing is placed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from simroom.scenario.schema import Scenario
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import Features
from simroom.scheduler.nodes import ExcludeReason
from simroom.scheduler.port import SchedulerFactory
from simroom.scheduler.selection import NodeVerdict
from simroom.scheduler.settings import Settings
from simroom.sim.progress import NoProgressError
from simroom.sim.run import Progress, World
from simroom.study.explain import scheduler_of
from simroom.study.placings import why
from simroom.study.presence import Person, Room
from simroom.study.recorder import Recording
from simroom.study.trail import Placing, verdicts_of

STEPS: Final = 200
"""Progress is told about so many times."""


class UnaskableError(Exception):
    """The question cannot be asked; the message says why."""


class Job(Struct, frozen=True, kw_only=True):
    """What is asked about.

    Attributes:
        at: When, from time 0.
        src_lang: None: the session's own, which must be named then; likewise ``tgt_lang``.
        features: None: those of the session, or none.
        session: Name of the speaker; None: anybody.
        room: Name of the room, whose sticky node counts; None: the session's, or none.
    """

    at: int
    src_lang: str | None
    tgt_lang: str | None
    features: Features | None
    session: str | None
    room: str | None


class Answer(Struct, frozen=True):
    """Where the job would go.

    Attributes:
        src_lang: Canonical; likewise ``tgt_lang``.
        nodes: Every node, in the order of registration; the one that would get it is ``chosen``.
        chosen: Its id; None: no node would.
        why: The rule that decides.
        refusal: The exclude reason that the speaker would be told; None: a node would get it.
        notes: What else is to be said.
    """

    src_lang: str
    tgt_lang: str
    nodes: tuple[NodeVerdict, ...]
    chosen: str | None
    why: str
    refusal: str | None
    notes: tuple[str, ...]


def ask(
    scenario: Scenario,
    job: Job,
    *,
    seed: int,
    scheduler: SchedulerFactory | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Answer:
    """Run a scenario up to an instant, all that happens then included, and ask where a job would go.

    Args:
        scenario: What to run.
        job: The job.
        seed: Where all chance comes from.
        scheduler: Makes the scheduler; None: the scenario's.
        progress: As for ``simulate``.

    Raises:
        UnaskableError: The scheduler cannot be asked, the session is not there then, or a language is missing.
    """
    recording = Recording()
    world = World(scenario, seed, recording.around(scheduler or scheduler_of(scenario)))
    if getattr(world.scheduler, "where", None) is None:
        raise UnaskableError("this scheduler has no dry run: it offers no `where`")
    until = scenario.lead_in + job.at
    step = max(1, until // STEPS)
    try:
        while world.engine.instant < until:
            world.engine.advance(min(until, world.engine.instant + step))
            if progress is not None:
                progress(Progress(world.engine.instant, until, world.engine.count, 0, 0, 0))
    except NoProgressError as error:
        raise UnaskableError(f"the run did not get there: {error.what}") from error
    return _Question(recording, scenario.scheduler.settings(), job).answer()


class _Question:
    def __init__(self, recording: Recording, settings: Settings, job: Job) -> None:
        self._recorder = recording.recorder
        self._settings = settings
        self._job = job
        self._tags = Tags(primary_only=settings.language_match == "primary")
        self._notes: list[str] = []
        self._person = self._found_person()
        self._room = self._found_room()

    def answer(self) -> Answer:
        person = self._person
        src_lang = self._language(self._job.src_lang, None if person is None else person.src_lang, "--from")
        tgt_lang = self._language(self._job.tgt_lang, None if person is None else person.tgt_lang, "--to")
        features, auto_langs = self._job.features, None
        if person is not None:
            features = person.init.features if features is None else features
            auto_langs = person.init.auto_langs
        every: list[NodeVerdict] = self._recorder.ask(src_lang, tgt_lang, features, auto_langs)
        chosen = next((verdict.node_id for verdict in every if verdict.chosen), None)
        paired, sticky = self._preferred()
        for node in (paired, sticky):
            if any(verdict.node_id == node and verdict.exclude_reason is None for verdict in every):
                chosen = node
                break
        every = [replace(verdict, chosen=verdict.node_id == chosen) for verdict in every]
        self._note_chance(every, chosen, paired, sticky)
        return Answer(
            src_lang=src_lang,
            tgt_lang=tgt_lang,
            nodes=tuple(every),
            chosen=chosen,
            why=self._why(every, chosen, paired, sticky),
            refusal=None if chosen is not None else _furthest(every),
            notes=tuple(self._notes),
        )

    def _note_chance(
        self, every: Sequence[NodeVerdict], chosen: str | None, paired: str | None, sticky: str | None
    ) -> None:
        """Say so where another node might get the job just as well."""
        fitting = [verdict for verdict in every if verdict.exclude_reason is None]
        if chosen is None or chosen in (paired, sticky) or len(fitting) < 2:
            return
        fewest = min(verdict.jobs for verdict in fitting)
        tied = sum(verdict.jobs == fewest for verdict in fitting)
        policy, ties = self._settings.policy, self._settings.tie_break
        if policy in ("random", "choices"):
            self._notes.append(f"chance decides among the {len(fitting):,} that fit; {chosen} is only one of them")
        elif ties == "random" and tied > 1:
            self._notes.append(f"chance decides among the {tied:,} with the fewest jobs; {chosen} is only one of them")

    def _why(self, every: Sequence[NodeVerdict], chosen: str | None, paired: str | None, sticky: str | None) -> str:
        placing = Placing(
            at=self._job.at,
            job_id="",
            node=chosen,
            attempt=None,
            code=None if chosen is not None or self._settings.on_no_node == "queue" else "NO_AVAILABLE_NODE",
            hint=None,
            verdicts=verdicts_of(every, chosen, {}, tracked=True),
            paired=paired,
            sticky=sticky,
            after=self._recorder.last_node,
            tried=(),
        )
        return why(placing, self._settings)

    def _language(self, asked: str | None, own: str | None, option: str) -> str:
        if asked is not None:
            return self._tags.canonical(asked)
        if own is None:
            raise UnaskableError(f"{option} is missing, and no --session that would say it")
        return own

    def _preferred(self) -> tuple[str | None, str | None]:
        """The paired and the sticky node, as far as there are such."""
        paired = sticky = None
        if self._person is not None and self._person.init.pairing_code is not None:
            paired = self._settings.pairing.get(self._person.init.pairing_code)
        if self._settings.sticky == "session" and self._person is not None:
            sticky = self._person.last_node
        elif self._settings.sticky == "room" and self._room is not None:
            sticky = self._room.last_node
        return paired, sticky

    def _found_person(self) -> Person | None:
        name = self._job.session
        if name is None:
            return None
        person = self._recorder.presence.of_name(name)
        if person is None:
            raise UnaskableError(f"{name} has no session then")
        if person.connection is None:
            self._notes.append(f"{name} is not connected then")
        return person

    def _found_room(self) -> Room | None:
        """The room of the session, or the living room in which most are members of the scenario's room."""
        if self._person is not None and self._job.room is None:
            return self._person.room
        if self._job.room is None:
            return None
        prefix = f"{self._job.room}/"
        best, most = None, 0
        for room in self._recorder.presence.rooms.values():
            own = sum(person.name.startswith(prefix) for person in room.members.values())
            if own > most:
                best, most = room, own
        if best is None:
            self._notes.append(f"nobody is in {self._job.room} then")
        return best


def _furthest(every: Sequence[NodeVerdict]) -> str:
    """The exclude reason of the nodes that came furthest, as the speaker would be told it."""
    reasons = [verdict.exclude_reason for verdict in every if verdict.exclude_reason is not None]
    order = list(ExcludeReason)
    return max(reasons, key=order.index, default=ExcludeReason.OFFLINE).value
