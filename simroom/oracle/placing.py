"""I4 and I5: which node gets a job, judged without knowing whether its speaker is in a room."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from simroom.oracle.accounts import Accounts
from simroom.oracle.debts import Debts
from simroom.oracle.ending import Ending
from simroom.oracle.fleet import Node
from simroom.oracle.ledger import JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.notices import Notices
from simroom.oracle.recipients import Recipients
from simroom.oracle.sent import Sent
from simroom.oracle.state import Attempt, Job
from simroom.oracle.tokens import Tokens
from simroom.scheduler.messages import ErrorCode, JobAssign, UiEvent
from simroom.scheduler.settings import Settings

PREFERRED: Final = "is preferred and fits"
LEAST: Final = "has the fewest jobs and is next"
ANY_LEAST: Final = "has the fewest jobs"
ANY_DRAWN: Final = "can be drawn"


class Choice(Struct, frozen=True, gc=False):
    """Where a job may go: bits of the nodes, and by which rule."""

    candidates: int
    why: str


def draws_of(settings: Settings) -> int:
    """How many different nodes are surely looked at, where chance (or another scheduler) decides; 0: it does not."""
    if settings.policy == "least_connections":
        return 0
    return settings.choices_count if settings.policy == "choices" and not settings.choices_repeat else 1


class Placing:
    """The judge of I4 and I5, and the queue of those without a node."""

    def __init__(
        self,
        mirror: Mirror,
        accounts: Accounts,
        recipients: Recipients,
        tokens: Tokens,
        notices: Notices,
        ending: Ending,
        debts: Debts,
    ) -> None:
        self._mirror = mirror
        self._fleet = mirror.fleet
        self._findings = mirror.findings
        self._accounts = accounts
        self._recipients = recipients
        self._tokens = tokens
        self._notices = notices
        self._ending = ending
        self._debts = debts
        settings = mirror.settings
        self._sticky = settings.sticky
        self._random = settings.tie_break == "random"
        self._draws = draws_of(settings)
        self._queues = settings.on_no_node == "queue"
        self._waiting_count_max = settings.waiting_count_max
        self._job_timeout = settings.job_timeout

    # --- the rule

    def choice(self, job: Job) -> Choice | None:
        """Where the job goes by the rules; None: nowhere now."""
        fits = job.profile.fits
        given = 0
        if job.attempt:
            if job.node is not None:
                given |= job.node.bit
            for attempt in job.earlier or ():
                if attempt.node is not None:
                    given |= attempt.node.bit
        return (self._among(job, fits & ~given) if given else None) or self._among(job, fits)

    def _among(self, job: Job, mask: int) -> Choice | None:
        speaker = job.lane.speaker
        preferred = []
        if speaker.paired is not None:
            preferred.append(self._fleet.nodes.get(speaker.paired))
        if self._sticky == "session":
            preferred.append(speaker.sticky)
        elif self._sticky == "room" and job.lane.room is not None:
            preferred.append(job.lane.room.sticky)
        for node in preferred:
            if node is not None and node.level >= 0 and node.bit & mask:
                return Choice(node.bit, PREFERRED)
        if self._draws:
            candidates = self._fleet.drawable(mask, self._draws)
            return Choice(candidates, ANY_DRAWN) if candidates else None
        candidates = self._fleet.least_loaded(mask)
        if not candidates:
            return None
        if self._random:
            return Choice(candidates, ANY_LEAST)
        return Choice(self._fleet.next_of(candidates).bit, LEAST)

    # --- what follows

    def place(self, sent: Sent, job: Job, src: str = "") -> None:
        """The job needs a node now: it is placed, waits, or is refused; the job stands in its lane.

        Args:
            sent: What the scheduler sent.
            job: The job.
            src: Source language that the node must be told; empty: any.
        """
        choice = self.choice(job)
        if choice is None and self._queues and len(self._mirror.waiting) < self._waiting_count_max:
            # It may be given a node or be refused in the same call, for another reason: if wrongly, that is left over.
            self._mirror.queue(job, sent.now)
            return
        taken = sent.take(JobAssign, lambda _, message: self.is_for(job, message))
        if taken is not None:
            if sent.turned:
                what = "it was given to a node before a job whose turn came earlier"
                self._findings.add("I3", "out_of_order", sent.now, what, job=job)
            self._given(sent, job, choice, taken[0], taken[1], src)
        elif choice is None:
            self._refuse(sent, job, self._fleet.furthest(job.profile))
        else:
            self._unplaced(sent, job, choice)

    def _given(
        self, sent: Sent, job: Job, choice: Choice | None, to: tuple[int, ...], message: JobAssign, src: str
    ) -> None:
        self._judge(job, choice, to, sent.now)
        self._tokens.assigned(job, message, src, sent.now)
        if message.attempt_id is not None and message.attempt_id != job.attempt + 1:
            what = f"attempt {job.attempt + 1} was called attempt {message.attempt_id}"
            self._accounts.wrong(job, sent.now, what)
        self.take_up(job, to, message, sent.now)
        self._notices.dispatched(sent, job)

    def is_for(self, job: Job, message: JobAssign) -> bool:
        """Whether a node was given this job by this message."""
        if job.id:
            return message.job_id == job.id
        return (
            message.session_id == job.lane.speaker.session_id
            and message.utterance_index == job.index
            and message.tgt_lang == job.lane.tgt
            and self._mirror.find(message.job_id) is None
        )

    def take_up(self, job: Job, to: tuple[int, ...], message: JobAssign, now: int) -> None:
        """The scheduler gave the job to the node behind a connection, rightly or not: so it is now."""
        mirror = self._mirror
        peer = mirror.peers.get(to[0]) if to else None
        node = peer if isinstance(peer, Node) else None
        if job.attempt:
            mirror.aside.pop(job.id, None)  # the attempt before was answered, lost or overdue, and is noted as such
        job.id = message.job_id
        job.node = node
        job.attempt += 1
        job.dispatched_at = now
        job.running = True
        job.told = False
        mirror.running.pop(job.id, None)
        mirror.running[job.id] = job
        mirror.hasten(now + self._job_timeout)
        if node is not None:
            self._fleet.loaded(node, 1)
            if self._fleet.rotates:
                self._fleet.pointer = node.index
            job.lane.speaker.sticky = node
            if job.lane.room is not None:
                job.lane.room.sticky = node

    def _judge(self, job: Job, choice: Choice | None, to: tuple[int, ...], now: int) -> None:
        if job.lane.room is None:
            self._findings.placed_alone += 1
        else:
            self._findings.placed_in_room += 1
        peer = self._mirror.peers.get(to[0]) if len(to) == 1 else None
        if not isinstance(peer, Node):
            who = ", ".join(self._mirror.names(to)) or "nobody"
            self._wrong("I4", job, f"it was given to {who}; {self._should(choice)}", None, now)
            return
        reason = self._fleet.exclude_reason(peer, job.profile)
        if reason is not None:
            what = f"{peer.name} got it and is excluded: {reason}; {self._should(choice)}"
            self._wrong("I4", job, what, peer, now)
        elif choice is None or not choice.candidates & peer.bit:
            self._wrong("I5", job, f"{peer.name} got it; {self._should(choice)}", peer, now)

    def _should(self, choice: Choice | None) -> str:
        return "nobody fits" if choice is None else f"{self._fleet.names(choice.candidates)} {choice.why}"

    def _wrong(self, invariant: str, job: Job, what: str, node: Node | None, now: int) -> None:
        self._findings.add(invariant, "wrong_node", now, what, job=job, node=None if node is None else node.name)

    def _unplaced(self, sent: Sent, job: Job, choice: Choice) -> None:
        fitting = self._should(choice)
        if self._notices.told(sent, job):
            self._wrong("I5", job, f"it was given up; {fitting}", None, sent.now)
            self._refuse(sent, job, None)
        elif self._queues:
            self._wrong("I5", job, f"it was left without a node; {fitting}", None, sent.now)
            self._mirror.queue(job, sent.now, neglected=True)
        elif job.attempt:
            self._accounts.wrong(job, sent.now, f"it was neither tried again nor ended; {fitting}")
            self._debts.silent(job, sent.now)
            self._ending.fail(sent, job, JobEnd.FAILED, None, told=False)
        else:
            self._recipients.missed(job, sent.now, f"no job was made for {job.lane.tgt}")
            self._ending.fail(sent, job, JobEnd.REJECTED, None, told=False)

    def _refuse(self, sent: Sent, job: Job, reason: str | None) -> None:
        end = JobEnd.FAILED if job.attempt else JobEnd.REJECTED
        code = None if reason is None else ErrorCode.NO_AVAILABLE_NODE
        given = self._ending.fail(sent, job, end, code, reason)
        self._accounts.refused(given or reason or self._fleet.furthest(job.profile))

    # --- waiting

    def try_waiting(self, sent: Sent) -> None:
        """Something may have become free: place those that fit, oldest first."""
        while self._mirror.waiting_for:
            job = self._oldest_fitting()
            if job is None:
                return
            self._mirror.unqueue(job)
            if self._recipients.nobody_to_tell(job):
                self._ending.unheard(sent, job)
            else:
                self.place(sent, job)

    def _oldest_fitting(self) -> Job | None:
        oldest = None
        for profile, jobs in self._mirror.waiting_for.items():
            if self._fleet.any_fits(profile):
                job = next(iter(jobs.values()))
                if oldest is None or job.waiting_number < oldest.waiting_number:
                    oldest = job
        return oldest

    def out_of_turn(self, sent: Sent, to: tuple[int, ...], message: JobAssign) -> bool:
        """Whether a waiting job was given out unasked; if so, it is judged like any other and is with its node now."""
        for job in self._mirror.waiting.values():
            if self.is_for(job, message):
                self._mirror.unqueue(job)
                self._given(sent, job, self.choice(job), to, message, "")
                return True
        return False

    def refused(self, message: UiEvent) -> Job | None:
        """The waiting job that the speaker was told was refused, if there is one."""
        for job in self._mirror.waiting.values():
            if self._notices.is_about(job, message):
                return job
        return None

    def waited_too_long(self, sent: Sent, job: Job) -> None:
        """The job must be given up."""
        self._mirror.unqueue(job)
        given = self._ending.fail(sent, job, JobEnd.EXPIRED, ErrorCode.NO_AVAILABLE_NODE)
        self._accounts.refused(given or self._fleet.furthest(job.profile))

    # --- attempts

    def set_aside(self, job: Job, overdue: int) -> Attempt:
        """The running attempt is over; unless ``overdue`` is ``NONE``, it keeps its slot."""
        mirror = self._mirror
        attempt = Attempt(job, job.node, job.attempt, job.dispatched_at, overdue, job.told)
        if job.earlier is None:
            job.earlier = []
        job.earlier.append(attempt)
        job.running = False
        mirror.running.pop(job.id, None)
        mirror.settle(job)
        return attempt
