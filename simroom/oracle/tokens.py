"""Payload identity: what is sent to a node and what goes to the recipients is that job's, by its token."""

from __future__ import annotations

from simroom.oracle.mirror import Mirror
from simroom.oracle.state import Job, Pieces
from simroom.scheduler.messages import JobAssign, TranslationResult


class Tokens:
    """The judge of tokens."""

    def __init__(self, mirror: Mirror) -> None:
        self._findings = mirror.findings

    def assigned(self, job: Job, message: JobAssign, src: str, now: int) -> None:
        """Judge what a node was given."""
        lane = job.lane
        audio = job.audio
        if type(audio) is Pieces:
            if audio.whole is None:
                audio.whole = message.audio
            audio = job.audio = audio.whole
        wrong = None
        if message.audio != audio:
            wrong = "the audio of another utterance"
        elif message.session_id != lane.speaker.session_id or message.utterance_index != job.index:
            wrong = "the name of another utterance"
        elif message.tgt_lang != lane.tgt:
            wrong = f"target language {message.tgt_lang} instead of {lane.tgt}"
        elif src and message.src_lang != src:
            wrong = f"source language {message.src_lang} instead of {src}"
        if wrong is not None:
            self._findings.add("token", "payload", now, f"the node was given {wrong}", job=job)

    def sent(self, job: Job, message: TranslationResult, payload: str, now: int) -> None:
        """Judge what went to the recipients against what came from the node."""
        lane = job.lane
        if message.tts_audio != payload:
            what = "the recipients were sent another payload than the node answered"
        elif message.session_id != lane.speaker.session_id or message.utterance_index != job.index:
            what = "the result names another utterance"
        elif message.tgt_lang != lane.tgt:
            what = f"the result says language {message.tgt_lang} instead of {lane.tgt}"
        else:
            return
        self._findings.add("token", "payload", now, what, job=job)
