"""What became of one job, step by step: placings, answers, time-outs, the wait for older ones, the sending, the end."""

from __future__ import annotations

from msgspec.structs import replace

from simroom.oracle.ledger import NONE
from simroom.scheduler.jobs import TRIED_AGAIN
from simroom.study.life import ENDS, FACTS, JobLife, Scene, Steps
from simroom.study.placings import why
from simroom.study.presence import Change, Seat, there
from simroom.study.trail import Answer, Cancel, Fact, Loss, Notice, Placing, Restart, Send
from simroom.study.words import counted, listed, setting, span, stopwatch

_STEP = 10
"""Places between two facts, for what follows from the first."""


class JobStory:
    """Tells one job.

    Args:
        scene: The utterance that it is of.
        job: The job.
        steps: Where to tell it.
    """

    def __init__(self, scene: Scene, job: JobLife, steps: Steps) -> None:
        self._scene = scene
        self._settings = scene.settings
        self._job = job
        self._steps = steps
        self._zero = scene.time_zero
        self._facts: list[tuple[int, Fact]] = [
            (_STEP * place, fact) for place, fact in enumerate(scene.facts) if self._is_about(fact)
        ]
        self._answered_at = None if job.answered_at is None else job.answered_at + self._zero
        self._ended_at = None if job.ended_at is None else job.ended_at + self._zero
        self._lane = _Lane(scene, job)

    def tell(self) -> None:
        """Tell it from its making to its end."""
        for place, fact in self._facts:
            match fact:
                case Placing():
                    self._placed(fact, place)
                case Answer():
                    self._answered(fact, place)
                case Send():
                    self._sent(fact, place)
                case Notice():
                    hint = "" if fact.hint is None else f", {fact.hint}"
                    self._add(fact.at, f"the speaker is told: {fact.code}{hint}", place=place)
                case Cancel():
                    what = f"{fact.node} is told that attempt {fact.attempt} is moot"
                    self._add(fact.at, what, place=place, rule=f"cancel: {self._settings.cancel}")
                case Loss():
                    self._lost(fact, place)
                case Restart():
                    self._add(fact.at, "the scheduler restarts, without its memory", place=place)
                case _:
                    pass
        self._passed_over()
        self._ended()

    def _add(
        self, at: int, what: str, *, place: int, rule: str | None = None, fact: Placing | None = None, rank: int = FACTS
    ) -> None:
        verdicts = None if fact is None else fact.verdicts
        self._steps.add(at, rank, what, about=self._job.label, rule=rule, verdicts=verdicts, place=place)

    def _is_about(self, fact: Fact) -> bool:
        match fact:
            case Restart():
                return self._job.ended_at is None or fact.at <= self._job.ended_at + self._scene.time_zero
            case Loss():
                return True
            case Placing() | Answer() | Send() | Notice() | Cancel():
                return fact.job_id == self._job.job_id
            case _:
                return False

    # --- attempts

    def _placed(self, placing: Placing, place: int) -> None:
        rule = why(placing, self._settings)
        if placing.node is None:
            what = "no node can take it" if placing.code is not None else "no node can take it now"
            self._add(placing.at, what, place=place, rule=rule, fact=placing)
            return
        self._add(placing.at, f"attempt {placing.attempt} goes to {placing.node}", place=place, rule=rule, fact=placing)
        due = placing.at + self._settings.job_timeout
        if self._times_out(placing, place, due):
            what = f"attempt {placing.attempt} on {placing.node} has had its time; until it answers it keeps its slot"
            rule = (
                f"job_timeout: {setting(self._settings.job_timeout)}; "
                f"abandon_after: {setting(self._settings.abandon_after)} more"
            )
            # Before whatever else that instant brings.
            self._steps.add(due, FACTS, what, about=self._job.label, rule=rule, place=self._place_at(due) - 1)

    def _times_out(self, placing: Placing, place: int, due: int) -> bool:
        """Whether this attempt was the running one when its time was over."""
        if due > self._scene.run.ended_at:
            return False
        for at in (self._answered_at, self._ended_at):
            if at is not None and at <= due and not (at == due and at == self._ended_at != self._answered_at):
                return False
        for other, fact in self._facts:
            if other <= place or fact.at > due:
                continue
            if isinstance(fact, Restart) or (isinstance(fact, Placing) and fact.at < due):
                return False
            if isinstance(fact, Answer | Loss) and fact.node == placing.node:
                return False
        return True

    def _place_at(self, at: int) -> int:
        """The place of the first fact of an instant; behind all where there is none."""
        return next((place for place, fact in self._facts if fact.at >= at), _STEP * 10_000)

    def _lost(self, loss: Loss, place: int) -> None:
        given = [fact for other, fact in self._facts if other < place and isinstance(fact, Placing) and fact.node]
        over = any(at is not None and at < loss.at for at in (self._answered_at, self._ended_at))
        if over or not given or given[-1].node != loss.node:
            return
        how = "its connection has ended"
        if loss.silent:
            how = f"no heartbeat for {setting(self._settings.heartbeat_timeout)}"
        rule = "a lost node's jobs are tried again at once, while attempts are left"
        self._add(loss.at, f"{loss.node} is offline: {how}", place=place, rule=rule)

    def _answered(self, answer: Answer, place: int) -> None:
        settings = self._settings
        attempt = "" if answer.attempt in (None, 1) else f" (attempt {answer.attempt})"
        if answer.success:
            if answer.at == self._answered_at:
                self._add(answer.at, f"{answer.node} answers{attempt}{self._worked()}", place=place)
                self._held(answer.at, place + 1)
            else:
                ended = self._answered_at is None or self._answered_at > answer.at
                rule = "its job has ended" if ended else "the first answer wins"
                self._add(answer.at, f"{answer.node} answers{attempt}: it counts for nothing", place=place, rule=rule)
            return
        code = answer.code or "no reason"
        rule = f"{code} ends the job: another node would not do better"
        if answer.code is None:
            rule = "a failure without a reason ends the job"
        elif answer.code in TRIED_AGAIN:
            used = sum(isinstance(fact, Placing) and fact.node is not None for at, fact in self._facts if at < place)
            left = used < settings.max_attempts
            rule = (
                "tried again while attempts are left" if left else f"max_attempts: {settings.max_attempts}: none left"
            )
        self._add(answer.at, f"{answer.node} answers{attempt}: {code}", place=place, rule=rule)

    def _worked(self) -> str:
        """How long the node has worked on it, in its stages."""
        row = self._job.row
        if row is None:
            return ""
        jobs = self._scene.table.jobs
        times = [int(jobs[name][row]) for name in ("asr_time", "nmt_time", "tts_time")]
        begun = int(jobs["started_at"][row])
        if NONE in (*times, begun):
            return ""
        stages = ", ".join(
            f"{name} {span(time)}" for name, time in zip(("asr", "nmt", "tts"), times, strict=True) if time
        )
        return f": worked {span(sum(times))} from {stopwatch(begun - self._zero)}" + (f" ({stages})" if stages else "")

    # --- the order

    def _held(self, at: int, place: int) -> None:
        """Its result is here; tell whom it has to wait for, if for anybody."""
        if self._ended_at == at or self._settings.ordering == "none":
            return
        older = self._lane.older_living(at)
        limit = "" if self._settings.ordering == "strict" else f", {setting(self._settings.max_hold)} at most"
        rule = f"ordering: {self._settings.ordering}{limit}"
        whom = listed(older) if older else "an older one"
        self._add(at, f"held: older and without a result: {whom}", place=place, rule=rule)

    def _passed_over(self) -> None:
        """Tell when its turn was given up."""
        over = self._lane.passed_over(self._answered_at, self._ended_at)
        if over is not None:
            at, younger = over
            rule = f"ordering: gap: held for {setting(self._settings.max_hold)}, then no more"
            self._add(at, f"its turn is given up for {younger}", place=self._place_at(at) - 1, rule=rule)

    def _sent(self, send: Send, place: int) -> None:
        names = listed(self._scene.all_called(send.to))
        if send.kept or (self._ended_at is not None and send.at > self._ended_at):
            self._add(send.at, f"sent to {names}, who is back", place=place, rule="what was kept goes out on return")
            return
        released = ""
        if self._answered_at is not None and send.at > self._answered_at:
            held = send.at - self._answered_at
            released = f"released after {span(held)}: {self._lane.released_by(send.at, held)}; "
        single = send.seats is None
        rule = "alone: to the speaker only" if single else self._membership()
        self._add(send.at, f"{released}sent to {names}", place=place, rule=rule)

    def _membership(self) -> str:
        language = self._job.language
        return {
            "live": f"membership: live: who is in the room and prefers {language} now",
            "snapshot": f"membership: snapshot: who preferred {language} as it was made, and has not left",
            "both": f"membership: both: who preferred {language} as it was made, and does now",
        }[self._settings.membership]

    # --- the end

    def _ended(self) -> None:
        job, settings = self._job, self._settings
        if job.end is None:
            self._add(self._scene.run.ended_at, "nothing more is known of it", place=0, rank=ENDS)
            return
        if job.end == "delivered":
            self._kept()
            return
        if self._ended_at is None or job.end == "living":
            what = "it still lives as the run stops"
            self._add(self._scene.run.ended_at, what, place=0, rank=ENDS)
            return
        rules = {
            "no_recipient": "nobody is left to tell",
            "failed": "no attempt left, or a failure that another node would not mend",
            "rejected": f"on_no_node: {settings.on_no_node}",
            "expired": self._expiry(),
            "lost": "the scheduler has restarted and knows nothing of it any more",
            "dropped_late": f"late: {settings.late}: its turn had been given up",
        }
        end = job.end.replace("_", " ")
        what = f"ends as {end} after {counted(job.attempts, 'attempt')}" if job.attempts else f"ends as {end}"
        self._add(self._ended_at, what, place=0, rule=rules.get(job.end), rank=ENDS)

    def _kept(self) -> None:
        """Tell for whom the result was kept as it was sent."""
        trail = self._scene.trail
        if trail is None or self._ended_at is None or not self._settings.reconnect_grace:
            return
        moves = [fact for fact in self._scene.facts if isinstance(fact, Change)]
        seats = trail.seats
        if seats is None:
            seats = (Seat(self._scene.speaker, self._job.language, connected=True),)
            moves = [replace(move, in_room=True, lang=self._job.language) for move in moves]
        away = [
            self._scene.called(seat.name)
            for seat in there(seats, moves, self._ended_at)
            if seat.lang == self._job.language and not seat.connected
        ]
        if away:
            rule = f"reconnect_grace: {setting(self._settings.reconnect_grace)}"
            what = f"kept for {listed(away)}, not connected at the moment"
            self._add(self._ended_at, what, place=0, rule=rule, rank=ENDS)

    def _expiry(self) -> str:
        waits = [fact for _, fact in self._facts if isinstance(fact, Placing) and fact.node is None and not fact.code]
        if waits and self._ended_at == waits[-1].at + self._settings.waiting_time_max:
            return f"waiting_time_max: {setting(self._settings.waiting_time_max)}"
        return f"max_attempts: {self._settings.max_attempts}: all of them timed out"


class _Lane:
    """The other jobs of the same speaker, room and language, among which this one keeps its order.

    Rows are (utterance's index, job id, answered at, ended at) in the order of the utterances, on the engine's clock;
    ``NONE`` where that did not happen.
    """

    def __init__(self, scene: Scene, job: JobLife) -> None:
        self._max_hold = scene.settings.max_hold
        self._gap = scene.settings.ordering == "gap"
        self._older: list[tuple[str, int, int]] = []
        self._younger: list[tuple[str, int, int]] = []
        before = self._older
        for row, spoken in scene.lanes.items():
            if row == scene.row:
                before = self._younger
                continue
            for job_row in scene.job_rows(row):
                if scene.language_of(job_row) == job.language:
                    job_id = spoken.jobs.get(job.language)
                    name = f"#{spoken.index}" if job_id is None else f"{job_id} of #{spoken.index}"
                    jobs = scene.table.jobs
                    before.append((name, int(jobs["answered_at"][job_row]), int(jobs["ended_at"][job_row])))

    def older_living(self, at: int) -> list[str]:
        """The older ones that had no result at an instant and had not ended."""
        return [
            name
            for name, answered, ended in self._older
            if (ended == NONE or ended > at) and (answered == NONE or answered > at)
        ]

    def released_by(self, at: int, held: int) -> str:
        """What let go of a held result."""
        for name, answered, ended in reversed(self._older):
            if ended == at and answered == at:
                return f"{name} has its result now"
            if ended == at and answered == NONE:
                return f"{name} has ended without a result"
        if self._gap and held == self._max_hold:
            return "it is held no longer, and older ones lose their turn"
        for name, answered, ended in (*self._older, *self._younger):
            if self._gap and ended == at and answered != NONE and ended - answered == self._max_hold:
                return f"{name} is held no longer, and older ones lose their turn"
        return "nothing older is in the way any more"

    def passed_over(self, answered_at: int | None, ended_at: int | None) -> tuple[int, str] | None:
        """When, and for which younger one, a job's turn was given up; None: it was not."""
        if not self._gap:
            return None
        for name, answered, ended in self._younger:
            if answered == NONE or ended - answered != self._max_hold:
                continue
            if (answered_at is None or answered_at > ended) and (ended_at is None or ended_at > ended):
                return ended, name
        return None
