"""The life of jobs: made from an utterance, placed, tried again, answered, held, sent, ended once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from simroom.scheduler.deadlines import Deadlines
from simroom.scheduler.jobs import TRIED_AGAIN, Attempt, Job, JobEnd, attempt_key
from simroom.scheduler.languages import Tags
from simroom.scheduler.messages import (
    Addressed,
    AsrPartial,
    ErrorCode,
    JobAssign,
    JobCancel,
    JobResult,
    Pipeline,
    SessionInit,
    UiEvent,
    Utterance,
)
from simroom.scheduler.nodes import Node
from simroom.scheduler.ordering import is_due, next_due, pass_over_older
from simroom.scheduler.rooms import Room
from simroom.scheduler.routing import Routing
from simroom.scheduler.selection import Selection
from simroom.scheduler.sessions import Needs, Session
from simroom.scheduler.settings import Settings

WHOLE_PIPELINE: Final = Pipeline(use_asr=True, use_nmt=True, use_tts=True)
_Group = tuple[str, str, Needs]


class Dispatch:
    """All living jobs and the attempts that hold slots.

    Queues with one fixed time-out each are insertion-ordered dicts: the first entry is the first due, and what is
    settled leaves at once, so nothing that has ended is kept alive.
    """

    def __init__(
        self,
        settings: Settings,
        tags: Tags,
        selection: Selection,
        routing: Routing,
        deadlines: Deadlines,
        job_id: Callable[[], str],
        node_by_id: Callable[[str], Node | None],
    ) -> None:
        self._settings = settings
        self._tags = tags
        self._selection = selection
        self._routing = routing
        self._deadlines = deadlines
        self._job_id = job_id
        self._node_by_id = node_by_id
        self._in_order = settings.ordering != "none"
        self._prefers = settings.sticky != "none" or bool(settings.pairing)
        self._sticky = settings.sticky != "none"
        self._shows_all = settings.ui_events == "all"
        self._per_language = settings.fan_out == "per_language"
        self._live = settings.membership == "live"
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, Attempt] = {}
        self._timed_out: dict[str, Attempt] = {}
        self._held: dict[Job, None] = {}
        self._waiting: dict[Job, None] = {}
        self._orders: dict[tuple[Session, Room | None, str], list[Job]] = {}
        """Living jobs by speaker, room and language, in the order of the utterances."""
        self._groups: dict[_Group, deque[Job]] = {}
        self._waiting_serial = 0
        self.created_count = 0
        self.delivered_count = 0
        self.ended_count: dict[JobEnd, int] = {end: 0 for end in JobEnd if end is not JobEnd.DELIVERED}
        self.uncounted_count = {"late": 0, "unknown": 0, "not_given": 0}

    @property
    def living_count(self) -> int:
        """Jobs that have not ended."""
        return len(self._jobs)

    @property
    def entry_count(self) -> int:
        """Everything that is remembered of jobs: 0 when all of it has ended and every node has answered."""
        return len(self._jobs) + len(self._running) + len(self._timed_out) + len(self._held) + len(self._waiting)

    # --- from an utterance to jobs

    def submit(self, speaker: Session, utterance: Utterance, now: int, out: list[Addressed]) -> None:
        """Make and place the jobs of an utterance that was accepted."""
        room = speaker.room
        src_lang = speaker.src_lang
        spoken = utterance.src_lang
        if spoken and spoken != src_lang:
            src_lang = self._tags.canonical(spoken)
        if room is not None:
            room.last_speaking_at = now
        plan = speaker.plan
        if plan is None or src_lang != speaker.src_lang:
            if room is not None and len(room.members) == 1:
                room = None
            plan = self._plan(speaker, room, utterance, src_lang)
        needs = speaker.needs
        plain = (
            utterance.mode is None
            and utterance.features is None
            and utterance.dialect is None
            and utterance.auto_langs is None
            and utterance.lang_a is None
            and utterance.lang_b is None
        )
        if not plain and (utterance.features is not None or utterance.auto_langs is not None):
            needs = self._needs_of(speaker, utterance)
        plain = plain and speaker.plain
        version = 0 if room is None else room.version
        orders = self._orders
        partials = True
        for tgt_lang, to in plan:
            key = (speaker, room, tgt_lang)
            order = orders.get(key)
            if order is None:
                order = orders[key] = []
            job_id = self._job_id()
            job = Job(job_id, speaker, room, utterance, src_lang, tgt_lang, needs, order, partials, plain, to, version)
            order.append(job)
            self._jobs[job_id] = job
            self.created_count += 1
            if not self._live and room is not None:
                job.snapshot = room.matching(tgt_lang)
            self._place(job, now, out)
            partials = partials and job.end is not None

    def _plan(
        self, speaker: Session, room: Room | None, utterance: Utterance, src_lang: str
    ) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The languages that jobs are to be made for, ascending, and who receives each as things are."""
        if room is None:
            return ((self._own_target(speaker, utterance), ()),)
        if not self._per_language:
            target = speaker.tgt_lang
            return ((target, ()),) if target != src_lang or self._settings.same_language == "translate" else ()
        known = not room.detached
        plan = tuple(
            (language, room.matching_connections(language) if known else ())
            for language in self._wanted(speaker, room, src_lang)
        )
        if src_lang == speaker.src_lang:
            speaker.plan = plan
        return plan

    def _own_target(self, speaker: Session, utterance: Utterance) -> str:
        return self._tags.canonical(utterance.tgt_lang) if utterance.tgt_lang else speaker.tgt_lang

    def _wanted(self, speaker: Session, room: Room, src_lang: str) -> list[str]:
        """The languages of the others, ascending, less the source."""
        own = speaker.preferred_lang
        if own is not None and len(room.by_lang[own]) > 1:
            own = None  # somebody else wants it too
        skipped = src_lang if self._settings.same_language == "skip" else None
        return [language for language in room.languages if language not in (skipped, own)]

    def _needs_of(self, speaker: Session, utterance: Utterance) -> Needs:
        auto_langs = speaker.needs.auto_langs
        if utterance.auto_langs is not None:
            auto_langs = tuple(self._tags.canonical(tag) for tag in utterance.auto_langs)
        return self._selection.needs(utterance.features or speaker.features, auto_langs)

    # --- placing

    def _place(self, job: Job, now: int, out: list[Addressed]) -> None:
        selection = self._selection
        fitting = selection.fits.get((job.src_lang, job.tgt_lang, job.needs))
        if fitting is None:
            fitting = selection.fitting(job.src_lang, job.tgt_lang, job.needs)
        pool = selection.untried(fitting, job.tried) if job.tried else fitting
        node = self._preferred(job, pool) if self._prefers else None
        if node is None:
            node = selection.select(pool)
            if node is None:
                self._nowhere(job, fitting, now, out)
                return
        selection.occupy(node)
        job.attempt_count = number = job.attempt_count + 1
        key = job.job_id if number == 1 else attempt_key(job.job_id, number)
        running = self._running
        job.current = node.attempts[key] = running[key] = Attempt(key, job, number, node, now)
        if len(running) == 1:  # all attempts have equally long, so a later one is never due first
            self._deadlines.note(now + self._settings.job_timeout)
        if self._sticky:
            self._remember(job, node)
        utterance = job.utterance
        speaker = job.speaker
        assignment = JobAssign(
            job.job_id,
            speaker.session_id,
            utterance.utterance_index,
            job.src_lang,
            job.tgt_lang,
            WHOLE_PIPELINE,
            utterance.audio,
            utterance.audio_format,
            utterance.sample_rate,
            utterance.trace_id or speaker.trace_id,
            number,
        )
        if not job.plain:
            _add_wishes(assignment, utterance, speaker.init)
        out.append((node.to, assignment))
        if self._shows_all:
            self._routing.tell(job.speaker, _ui_event(job, "DISPATCHED"), out)

    def _preferred(self, job: Job, pool: int) -> Node | None:
        """The paired node, else the sticky one, if it passes every filter and is in the pool."""
        speaker = job.speaker
        paired = None if speaker.paired is None else self._node_by_id(speaker.paired)
        sticky = None
        if self._settings.sticky == "session":
            sticky = speaker.sticky
        elif self._settings.sticky == "room" and job.room is not None:
            sticky = job.room.sticky
        for node in (paired, sticky):
            if node is not None and self._selection.fits_now(node, pool):
                return node
        return None

    def _remember(self, job: Job, node: Node) -> None:
        if self._settings.sticky == "session":
            job.speaker.sticky = node
        elif self._settings.sticky == "room" and job.room is not None:
            job.room.sticky = node

    def _nowhere(self, job: Job, fitting: int, now: int, out: list[Addressed]) -> None:
        if self._settings.on_no_node == "queue" and len(self._waiting) < self._settings.waiting_count_max:
            self._waiting_serial += 1
            job.waiting = self._waiting_serial
            job.since = now
            self._waiting[job] = None
            group = (job.src_lang, job.tgt_lang, job.needs)
            self._groups.setdefault(group, deque()).append(job)
            self._deadlines.note(now + self._settings.waiting_time_max)
            return
        end = JobEnd.REJECTED if job.attempt_count == 0 else JobEnd.FAILED
        self._fail(job, end, ErrorCode.NO_AVAILABLE_NODE, self._selection.refusal(fitting).value, now, out)

    def serve_waiting(self, now: int, out: list[Addressed]) -> None:
        """Place waiting jobs, oldest first among those that fit, for as long as one fits."""
        while self._waiting:
            oldest: Job | None = None
            for (src_lang, tgt_lang, needs), group in self._groups.items():
                if self._selection.any_fits(self._selection.fitting(src_lang, tgt_lang, needs)) and (
                    oldest is None or group[0].waiting < oldest.waiting
                ):
                    oldest = group[0]
            if oldest is None:
                return
            self._stop_waiting(oldest)
            if self._routing.recipients(oldest):
                self._place(oldest, now, out)
            else:
                self._end(oldest, JobEnd.NO_RECIPIENT, now, out)

    def _stop_waiting(self, job: Job) -> None:
        job.waiting = 0
        del self._waiting[job]
        key = (job.src_lang, job.tgt_lang, job.needs)
        group = self._groups[key]
        while group and not group[0].waiting:
            group.popleft()
        if not group:
            del self._groups[key]

    # --- answers

    def answered(self, node: Node, message: JobResult, now: int, out: list[Addressed]) -> None:
        """A node has answered an attempt."""
        number = message.attempt_id
        if number == 1:
            key = message.job_id
        else:
            key = attempt_key(message.job_id, self._only_attempt(node, message.job_id) if number is None else number)
        attempt = node.attempts.pop(key, None)
        if attempt is None:
            self._answered_late(node, message, now, out)
        else:
            self._selection.release(node)
            if self._running.pop(key, None) is None:
                del self._timed_out[key]
            job = attempt.job
            if job.current is attempt:
                job.current = None
                if not message.success:
                    self._attempt_failed(job, attempt, message, now, out)
                elif len(job.order) == 1 and not job.passed_over:
                    # Nobody is before or behind it: as _succeeded and _send, written out for the many.
                    job.result = message
                    if self._routing.send_result(job, now, out):
                        job.end = JobEnd.DELIVERED
                        self.delivered_count += 1
                    else:
                        job.end = JobEnd.NO_RECIPIENT
                        self.ended_count[JobEnd.NO_RECIPIENT] += 1
                    del self._jobs[job.job_id]
                    job.order.clear()  # it and the job hold each other: nobody else would free them
                    del self._orders[job.speaker, job.room, job.tgt_lang]
                else:
                    self._succeeded(job, message, now, out)
            elif job.end is None and job.result is None and message.success:
                self._succeeded(job, message, now, out)
            else:
                self.uncounted_count["late"] += 1
        if self._waiting:
            self.serve_waiting(now, out)

    def _only_attempt(self, node: Node, job_id: str) -> int:
        """The oldest attempt of the job that holds a slot on that node; 1 where there is none."""
        for number in range(1, self._settings.max_attempts + 1):
            if attempt_key(job_id, number) in node.attempts:
                return number
        return 1

    def _answered_late(self, node: Node, message: JobResult, now: int, out: list[Addressed]) -> None:
        """An answer to an attempt that holds no slot any more: it counts while the job lives and the node had it."""
        job = self._jobs.get(message.job_id)
        if job is None:
            self.uncounted_count["unknown"] += 1
        elif node not in job.tried and (job.current is None or job.current.node is not node):
            self.uncounted_count["not_given"] += 1
        elif job.result is not None or not message.success:
            self.uncounted_count["late"] += 1
        else:
            self._succeeded(job, message, now, out)

    def discount(self, message: JobResult) -> None:
        """An answer came over a connection that is no node's: it counts for nothing."""
        self.uncounted_count["unknown" if message.job_id not in self._jobs else "not_given"] += 1

    def _succeeded(self, job: Job, message: JobResult, now: int, out: list[Addressed]) -> None:
        if job.waiting:
            self._stop_waiting(job)
        current = job.current
        job.current = None
        job.result = message
        if current is not None:
            self._cancel(current, out)
        if job.passed_over:
            if self._settings.late == "deliver":
                self._send(job, now, out)
            else:
                self._end(job, JobEnd.DROPPED_LATE, now, out)
        elif not self._in_order or is_due(job):
            self._send(job, now, out)
            if job.order and self._in_order:
                self._advance(job.order, now, out)
        else:
            job.since = now
            self._held[job] = None
            if self._settings.ordering == "gap":
                self._deadlines.note(now + self._settings.max_hold)

    def _attempt_failed(self, job: Job, attempt: Attempt, message: JobResult, now: int, out: list[Addressed]) -> None:
        job.tried = (*job.tried, attempt.node)
        said = message.error is not None
        code = message.error.code if message.error is not None else ErrorCode.INTERNAL_ERROR
        if said and code in TRIED_AGAIN and job.attempt_count < self._settings.max_attempts:
            self._place(job, now, out)
        else:
            self._fail(job, JobEnd.FAILED, code, None, now, out)

    def partial(self, node: Node, message: AsrPartial, out: list[Addressed]) -> None:
        """Pass an ASR partial on to the speaker, if it comes from the one job of the utterance that may."""
        job = self._jobs.get(message.job_id)
        if job is not None and job.partials and job.current is not None and job.current.node is node:
            self._routing.tell(
                job.speaker,
                AsrPartial(
                    job.speaker.session_id,
                    job.utterance.utterance_index,
                    job.job_id,
                    message.text,
                    message.is_final,
                    message.trace_id,
                ),
                out,
            )

    # --- losses and time-outs

    def node_lost(self, node: Node, now: int, out: list[Addressed]) -> None:
        """A node is offline: its attempts are forgotten; jobs that were running on it are tried elsewhere."""
        attempts = list(node.attempts.values())
        node.attempts.clear()
        for attempt in attempts:
            self._selection.release(node)
            if self._running.pop(attempt.key, None) is None:
                del self._timed_out[attempt.key]
        for attempt in attempts:
            job = attempt.job
            if job.current is attempt:
                job.current = None
                job.tried = (*job.tried, node)
                if job.attempt_count < self._settings.max_attempts:
                    self._place(job, now, out)
                else:
                    self._fail(job, JobEnd.FAILED, ErrorCode.NODE_UNAVAILABLE, None, now, out)

    def attempt_due(self) -> int | None:
        """When the next running attempt's time is over; None: none is running."""
        for attempt in self._running.values():
            return attempt.dispatched_at + self._settings.job_timeout
        return None

    def time_out_attempt(self, now: int, out: list[Addressed]) -> None:
        """The oldest running attempt has had its time. It keeps its slot: its node is still working."""
        key = next(iter(self._running))
        attempt = self._running.pop(key)
        attempt.abandoned_at = now + self._settings.abandon_after
        self._timed_out[key] = attempt
        self._deadlines.note(attempt.abandoned_at)
        job = attempt.job
        if job.current is not attempt:
            return  # the job was answered otherwise or has ended
        self._cancel(attempt, out)
        job.current = None
        job.tried = (*job.tried, attempt.node)
        if job.attempt_count < self._settings.max_attempts:
            self._place(job, now, out)
        else:
            self._fail(job, JobEnd.EXPIRED, ErrorCode.JOB_TIMEOUT, None, now, out)

    def abandon_due(self) -> int | None:
        """When the next timed-out attempt gives up its slot; None: there is none."""
        for attempt in self._timed_out.values():
            return attempt.abandoned_at
        return None

    def abandon_attempt(self, now: int, out: list[Addressed]) -> None:
        """The oldest timed-out attempt no longer holds its slot."""
        key = next(iter(self._timed_out))
        attempt = self._timed_out.pop(key)
        del attempt.node.attempts[key]
        self._selection.release(attempt.node)
        self.serve_waiting(now, out)

    def waiting_due(self) -> int | None:
        """When the next waiting job has waited long enough; None: none waits."""
        for job in self._waiting:
            return job.since + self._settings.waiting_time_max
        return None

    def give_up_waiting(self, now: int, out: list[Addressed]) -> None:
        """The job that has waited longest gets no node any more."""
        job = next(iter(self._waiting))
        self._stop_waiting(job)
        self._fail(job, JobEnd.EXPIRED, ErrorCode.NO_AVAILABLE_NODE, None, now, out)

    def hold_due(self) -> int | None:
        """When the longest held result is held no more; None: none is held, or they are held for ever."""
        if self._settings.ordering == "gap":
            for job in self._held:
                return job.since + self._settings.max_hold
        return None

    def end_hold(self, now: int, out: list[Addressed]) -> None:
        """The longest held result waits no more for older ones."""
        job = next(iter(self._held))
        pass_over_older(job)
        self._advance(job.order, now, out)

    # --- the ends

    def room_ended(self, room: Room, out: list[Addressed]) -> None:
        """Every job of a room that is no more ends; attempts keep their slots until their nodes answer."""
        for job in [job for job in self._jobs.values() if job.room is room]:
            if job.waiting:
                self._stop_waiting(job)
            if job.current is not None:
                self._cancel(job.current, out)
            self._held.pop(job, None)
            self._orders.pop((job.speaker, room, job.tgt_lang), None)
            job.order.clear()
            self._close(job, JobEnd.NO_RECIPIENT)

    def _send(self, job: Job, now: int, out: list[Addressed]) -> None:
        """Send the job's result to whoever is its recipient now, and end the job."""
        if self._routing.send_result(job, now, out):
            job.end = JobEnd.DELIVERED
            self.delivered_count += 1
        else:
            job.end = JobEnd.NO_RECIPIENT
            self.ended_count[JobEnd.NO_RECIPIENT] += 1
        del self._jobs[job.job_id]
        order = job.order
        order.remove(job)
        if not order:
            del self._orders[job.speaker, job.room, job.tgt_lang]

    def _advance(self, order: list[Job], now: int, out: list[Addressed]) -> None:
        """Send the held results whose turn has come."""
        while (job := next_due(order)) is not None and job.result is not None:
            self._held.pop(job, None)
            self._send(job, now, out)

    def _fail(self, job: Job, end: JobEnd, code: str, hint: str | None, now: int, out: list[Addressed]) -> None:
        self._routing.tell(job.speaker, _ui_event(job, "ERROR", code, hint), out)
        self._end(job, end, now, out)

    def _end(self, job: Job, end: JobEnd, now: int, out: list[Addressed]) -> None:
        """End a job without sending a result; those behind it need not wait for it any more."""
        order = job.order
        order.remove(job)
        self._close(job, end)
        if not order:
            del self._orders[job.speaker, job.room, job.tgt_lang]
        elif self._in_order:
            self._advance(order, now, out)

    def _close(self, job: Job, end: JobEnd) -> None:
        job.end = end
        job.current = None
        del self._jobs[job.job_id]
        self.ended_count[end] += 1

    def _cancel(self, attempt: Attempt, out: list[Addressed]) -> None:
        if self._settings.cancel == "moot":
            out.append((attempt.node.to, JobCancel(attempt.job.job_id, attempt.number)))


def _add_wishes(assignment: JobAssign, utterance: Utterance, init: SessionInit) -> None:
    """What goes to the node beyond languages and audio: as the utterance says, else as the session said."""
    assignment.dialect = utterance.dialect or init.dialect
    assignment.features = utterance.features or init.features
    assignment.mode = utterance.mode or init.mode
    assignment.lang_a = utterance.lang_a or init.lang_a
    assignment.lang_b = utterance.lang_b or init.lang_b
    assignment.auto_langs = utterance.auto_langs or init.auto_langs
    assignment.enable_streaming_asr = init.enable_streaming_asr
    assignment.partial_update_interval_ms = init.partial_update_interval_ms


def _ui_event(job: Job, event: str, code: str | None = None, hint: str | None = None) -> UiEvent:
    return UiEvent(
        job.utterance.trace_id or job.speaker.trace_id,
        job.speaker.session_id,
        job.job_id,
        job.utterance.utterance_index,
        event,
        "ok" if code is None else "error",
        None,
        code,
        hint,
    )
