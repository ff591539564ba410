"""The short way: what is right in every respect at one look is judged at once, everything else goes the long way.

Nearly all of a run is utterances whose jobs go where they should, and answers that go to whom they should. Each is
told from anything unusual by comparing it with what was prepared for its speaker (``Session.plan``) and its lane
(``Lane.to``), which whatever changes takes away again. The moment one thing differs the long way is taken from there
on: it alone says what the rules are and what is wrong. The short way never finds fault; it has the effects that the
long way would have had, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from simroom.oracle.accounts import Accounts
from simroom.oracle.answers import Answers
from simroom.oracle.clients import Clients
from simroom.oracle.fleet import Node
from simroom.oracle.ledger import NONE, JobEnd
from simroom.oracle.mirror import Mirror
from simroom.oracle.payload import Speech
from simroom.oracle.placing import draws_of
from simroom.oracle.recipients import matching, split
from simroom.oracle.sent import Sent
from simroom.oracle.speaking import Speaking
from simroom.oracle.state import Job, Lane, Link, Session
from simroom.scheduler.messages import Addressed, JobAssign, JobResult, ServiceTimes, TranslationResult, Utterance

Entry = tuple[Callable[[Any, Any, Any, Any], None], Any, Any, Any, Any]
"""A call that is still to be made, with its four arguments.

``Oracle.received`` takes a connection, a message, an instant and what was sent. What stands right after an answer and
names its result's addressees, the result itself, its place and a list of instants tells when the result reached them:
all of them, each in turn.
"""

_NO_TIMES: Final = ServiceTimes(NONE, NONE, NONE, NONE)
_NOTHING: Final[Any] = (None,) * 5
_NOBODY: Final = Link("session", "")


class Usual:
    """Judges a journal: usual utterances and usual answers itself.

    The ledger rows of the answers, and whatever is counted, are gathered and booked together, at the latest before
    anything goes the long way, which writes to the same books.
    """

    def __init__(
        self, mirror: Mirror, accounts: Accounts, speaking: Speaking, answers: Answers, clients: Clients
    ) -> None:
        self._mirror = mirror
        self._accounts = accounts
        self._findings = mirror.findings
        self._ledger = mirror.ledger
        self._speaking = speaking
        self._answers = answers
        self._clients = clients
        self._fleet = mirror.fleet
        self._levels = mirror.fleet.levels
        self._peers = mirror.peers
        self._nodes_at = mirror.nodes_at
        self._running = mirror.running
        self._waiting = mirror.waiting
        self._received_at = mirror.ledger.received_at
        settings = mirror.settings
        self._job_timeout = settings.job_timeout
        self._rotates = settings.tie_break == "rotate"
        self._random = settings.tie_break == "random"
        self._draws = draws_of(settings)
        self._answers_usual = (
            settings.membership == "live" and settings.ordering != "none" and settings.load == "tracked"
        )
        # Not booked yet. Usual answers: their ledger rows, number after number; who got each result, and when.
        self._rows: list[int] = []
        self._arrivals: list[tuple[tuple[int, ...], list[int]]] = []
        self._alone = 0
        # Jobs made.
        self._placed = 0
        self._placed_alone = 0

    def judge(self, journal: Iterable[Entry]) -> None:
        """Judge what has passed, in order."""
        mirror = self._mirror
        answer = self._answer
        utterance = self._utterance
        entries = iter(journal)
        for call, first, second, third, fourth in entries:
            kind = type(second)
            if kind is JobResult and third <= mirror.due:
                answer(first, second, third, fourth, entries)
            elif kind is Utterance and third <= mirror.due:
                utterance(first, second, third, fourth)
            else:  # anything else, and what comes after something that is due: ``received`` knows how to go on
                self._book()
                call(first, second, third, fourth)
        self._book()

    def _book(self) -> None:
        """Book what has been gathered."""
        findings = self._findings
        if self._placed:
            self._accounts.created += self._placed
            findings.placed_in_room += self._placed - self._placed_alone
            findings.placed_alone += self._placed_alone
            self._placed = 0
            self._placed_alone = 0
        rows = self._rows
        if not rows:
            return
        count = len(self._arrivals)
        arrivals = self._ledger.delivered(rows, self._arrivals)
        findings.usual += count
        findings.usual_in_room += count - self._alone
        findings.awaited += arrivals
        findings.arrivals += arrivals
        self._accounts.ended[JobEnd.DELIVERED] += count
        rows.clear()
        self._arrivals.clear()
        self._alone = 0

    def _long(self, outputs: list[Addressed], now: int) -> Sent:
        """From here on it goes the long way."""
        self._book()
        self._mirror.sent_rows.clear()
        return Sent(outputs, now)

    # --- utterances

    def _utterance(self, connection: int, message: Utterance, now: int, outputs: list[Addressed]) -> None:
        """A session has finished an utterance.

        Usual: nothing has changed for it since its plan was made, and each job of the plan, in turn, was given to the
        node that it should be with.
        """
        speaker: Any = self._peers.get(connection, _NOBODY)
        plan = speaker.plan
        index = message.utterance_index
        session_id = message.session_id
        if (
            plan is None
            or message.src_lang != speaker.plan_src
            or message.tgt_lang != speaker.plan_tgt
            or index <= speaker.last_index
            or len(outputs) != len(plan)
            or session_id != speaker.session_id
            or message.features is not None
            or message.auto_langs is not None
        ):
            self._long_utterance(connection, message, now, outputs)
            return
        last = speaker.last_index
        speaker.last_index = index
        room = speaker.room
        if room is not None:
            room.last_speaking_at = now
        src = speaker.plan_from
        audio = message.audio
        row = audio.row if type(audio) is Speech else self._speaking.row(speaker, room, index, src, now)
        self._received_at[row] = now
        nodes_at = self._nodes_at
        levels = self._levels
        fleet = self._fleet
        running = self._running
        due = now + self._job_timeout
        if due < self._mirror.due:
            self._mirror.hasten(due)
        for (lane, profile), (to, assign) in zip(plan, outputs, strict=True):
            node = nodes_at.get(to)
            if node is None or type(assign) is not JobAssign:
                break
            job_id = assign.job_id
            level = node.level
            fits = profile.fits
            if (
                assign.tgt_lang != lane.tgt
                or assign.audio != audio
                or assign.src_lang != src
                or assign.attempt_id != 1
                or assign.utterance_index != index
                or assign.session_id != session_id
                or job_id in running
                # Nobody who fits has fewer jobs, or it could be drawn.
                or (
                    (level and (level < 0 or levels[0] & fits or (level > 1 and _any(levels[1:level], fits))))
                    and not self._could_be_drawn(node, fits)
                )
            ):
                break
            # Of those that fit and have as few, the node must be the first after the pointer, or else the first.
            place = node.index
            pointer = fleet.pointer
            bit = 1 << place
            if place == pointer + 1 or self._random or self._draws:
                if not fits & bit:
                    break
            elif place > pointer:
                if levels[level] & fits & ((bit << 1) - (1 << pointer + 1)) != bit:
                    break
            elif levels[level] & fits & ((bit << 1) - 1) != bit or (levels[level] & fits) >> (pointer + 1):
                break
            levels[level] ^= bit
            node.load = level = level + 1
            if level < node.slots:
                levels[level] ^= bit
                node.level = level
            else:
                fleet.open ^= bit
                node.level = NONE
            if self._rotates:
                fleet.pointer = place
            job = running[job_id] = Job(lane, index, audio, row, profile, now, job_id, node, 1, now, True)
            lane.living.append(job)
        else:
            self._placed += len(plan)
            if room is None:
                self._placed_alone += len(plan)
            return
        # This job differs; those before it were right.
        done = [planned for planned, _ in plan].index(lane)
        self._placed += done
        if room is None:
            self._placed_alone += done
        self._speaking.go_on(self._long(outputs, now), speaker, message, row, done, last)

    def _could_be_drawn(self, node: Node, fits: int) -> bool:
        """Whether chance may have taken a node that does not have the fewest jobs."""
        return self._draws > 0 and node.level >= 0 and bool(self._fleet.drawable(fits, self._draws) & node.bit)

    def _long_utterance(self, connection: int, message: Utterance, now: int, outputs: list[Addressed]) -> None:
        speaker = self._peers.get(connection)
        if type(speaker) is Session and self._speaking.prepare(speaker, message):
            self._utterance(connection, message, now, outputs)
        else:
            self._speaking.whole(self._long(outputs, now), connection, message)

    # --- answers

    def _answer(
        self, connection: int, message: JobResult, now: int, outputs: list[Addressed], entries: Iterator[Entry]
    ) -> None:
        """A node answered.

        Usual: it is the right answer to the only attempt of a job whose turn it is, the right people and nobody else
        get the right result, and nothing else comes of it. If besides it is sure to reach them, which the next entry
        then tells, nobody will ever ask for the job again, so nothing is noted in it.
        """
        job_id = message.job_id
        job = self._running.get(job_id)
        try:
            ((to, result),) = outputs
        except ValueError:
            job = None
        if job is None:
            self._answers.whole(self._long(outputs, now), connection, message)
            return
        lane = job.lane
        node = job.node
        living = lane.living
        payload = message.tts_audio
        if (
            (to != lane.to and not self._hears(lane, to))
            or type(result) is not TranslationResult
            or result.job_id != job_id
            or result.tts_audio != payload
            or payload != job.audio + lane.suffix
            or result.tgt_lang != lane.tgt
            or result.utterance_index != job.index
            or result.session_id != lane.session_id
            or not message.success
            or node is None
            or node.connection != connection
            or (message.attempt_id != job.attempt and message.attempt_id is not None)
            or job.earlier is not None
            or job.answered_at != NONE
            or (living != [job] and not _is_next(living, job))
            or self._waiting
        ):
            self._answers.whole(self._long(outputs, now), connection, message)
            return
        del self._running[job_id]
        del living[0]
        load = node.load - 1
        node.load = load
        if node.willing and load < node.slots:
            levels = self._levels
            bit = 1 << node.index
            if node.level >= 0:
                levels[node.level] ^= bit
            else:
                self._fleet.open ^= bit
            levels[load] ^= bit
            node.level = load
        room = lane.room
        if room is not None:
            room.last_speaking_at = now
        following = next(entries, _NOTHING)
        if following[2] is not result or following[1] is not to:
            self._sent(job, result, to, message.extra, now)
            if following is not _NOTHING:
                call, *arguments = following
                call(*arguments)
            return
        if room is None:
            self._alone += 1
        times = message.extra or _NO_TIMES
        self._rows += (
            job.row,
            lane.tgt_number,
            node.number,
            job.attempt,
            job.dispatched_at,
            times.started_at,
            times.asr_time,
            times.nmt_time,
            times.tts_time,
            now,
            now,
            0,
            len(to),
        )
        self._arrivals.append((lane.recipients, following[4]))

    def _hears(self, lane: Lane, to: tuple[int, ...]) -> bool:
        """Whether these are who hears the lane in the usual way; finds that out if it is not known."""
        if lane.to is None and self._answers_usual and not lane.orphan:
            audience = matching(lane.room, lane.tgt) if lane.room is not None else split([lane.speaker])
            if audience.connections and not audience.away:
                lane.to = audience.connections
                lane.recipients = audience.numbers
        return to == lane.to

    def _sent(
        self, job: Job, result: TranslationResult, to: tuple[int, ...], times: ServiceTimes | None, now: int
    ) -> None:
        """It was the usual answer, and its result is on its way to clients of which each will tell when it has it."""
        self._book()
        findings = self._findings
        findings.results += 1
        findings.turns += 1
        findings.room_results += job.lane.room is not None
        job.running = False
        job.answered_at = now
        self._accounts.end(job, JobEnd.DELIVERED, now, len(to), times)
        job.payload = result.tts_audio
        self._clients.sent(job, to)
        sent_rows = self._mirror.sent_rows
        sent_rows.clear()
        sent_rows.append(job.ledger_row)


def _is_next(living: list[Job], job: Job) -> bool:
    """Whether it is the job's turn and, after it, not at once that of another."""
    return len(living) > 1 and living[0] is job and living[1].result is None


def _any(levels: list[int], fits: int) -> bool:
    """Whether any of those that fit is on one of these levels."""
    return any(bits & fits for bits in levels)
