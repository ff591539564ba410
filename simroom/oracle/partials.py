"""What the ASR has heard so far: at most the speaker hears of it, from one job of an utterance."""

from __future__ import annotations

from simroom.oracle.ledger import NONE
from simroom.oracle.mirror import Mirror
from simroom.oracle.sent import Sent
from simroom.oracle.state import Job, Session
from simroom.scheduler.messages import AsrPartial


class Partials:
    """Follows partials. The rules leave open from which job of an utterance they are passed on."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._findings = mirror.findings
        self._kept_count_max = mirror.settings.kept_count_max

    def comes(self, sent: Sent, message: AsrPartial) -> None:
        """A node tells what it has heard so far."""
        job = self._mirror.find(message.job_id)
        if job is None:
            return
        speaker = job.lane.speaker
        if speaker.ended:
            return
        if not speaker.own:
            speaker.partials.append((job, message.text, message.is_final))
            del speaker.partials[: -self._kept_count_max or None]
        elif sent.take(AsrPartial, lambda to, partial: to == speaker.own and partial.job_id == job.id) is not None:
            self._heard(sent, job)

    def hand_over(self, sent: Sent, session: Session) -> None:
        """The session has come back: it may be told what came while it was away, in that order."""
        came = iter(session.partials)
        own = session.own
        while (position := sent.find(AsrPartial, lambda to, _: to == own)) != NONE:
            partial = sent.items[position][1]
            assert isinstance(partial, AsrPartial)
            job = next((job for job, *heard in came if _is(partial, job, heard)), None)
            if job is None:
                return  # it is left over, with all that stands behind it
            sent.tick(position)
            self._heard(sent, job)

    def _heard(self, sent: Sent, job: Job) -> None:
        speaker = job.lane.speaker
        before = speaker.partial_job
        if before is not None and before[0] == job.index and before[1] != job.id:
            what = f"{speaker.name} heard what the ASR makes of one utterance from two of its jobs"
            self._findings.add("reply", "reply", sent.now, what, job=job, recipients=(speaker.name,))
        speaker.partial_job = (job.index, job.id)


def _is(partial: AsrPartial, job: Job, heard: list[object]) -> bool:
    return partial.job_id == job.id and [partial.text, partial.is_final] == heard
