"""Who got a result and when, who did not and why, and what was wrong with that."""

from __future__ import annotations

from typing import Final

import numpy as np

from simroom.oracle.verdict import INVARIANTS, Violation
from simroom.study.life import ARRIVALS, BREACHES, Absence, JobLife, Receipt, Scene, Steps
from simroom.study.presence import Change, Moved, Seat, there
from simroom.study.table import PARTS
from simroom.study.trail import AFTERWARDS, Send
from simroom.study.words import setting, span, stopwatch

RECEIPTS_MAX: Final = 1_000


def arrivals(scene: Scene, jobs: tuple[JobLife, ...], steps: Steps, shown_max: int) -> tuple[list[Receipt], int]:
    """Tell when results arrived; returns the receipts, the first ones, and how many there are."""
    table = scene.table
    by_row = {job.row: job for job in jobs if job.row is not None}
    chosen = np.flatnonzero(np.isin(table.deliveries["job"], list(by_row)))
    receipts = []
    for place in chosen[:RECEIPTS_MAX].tolist():
        job = by_row[int(table.deliveries["job"][place])]
        parts = None
        if table.explained[place]:
            parts = {name: int(table.parts[name][place]) for name in PARTS}
        receipts.append(
            Receipt(
                recipient=scene.run.ledger.sessions.names[int(table.deliveries["recipient"][place])],
                language=job.language,
                job_id=job.job_id,
                arrived_at=int(table.deliveries["arrived_at"][place]) - scene.time_zero,
                latency=int(table.delivery_latency[place]),
                parts=parts,
            )
        )
    for job in jobs:
        own = [receipt for receipt in receipts if receipt.language == job.language]
        for receipt in own if len(own) <= shown_max else [own[0], own[-1]]:
            what = f"{scene.called(receipt.recipient)} has it, {span(receipt.latency)} after the end of the speech"
            if len(own) > shown_max:
                what += f" ({'first' if receipt is own[0] else 'last'} of {len(own):,})"
            steps.add(receipt.arrived_at + scene.time_zero, ARRIVALS, what, about=job.label)
    return receipts, len(chosen)


def breaches(scene: Scene, jobs: tuple[JobLife, ...], steps: Steps) -> None:
    """Tell which invariants were broken in it."""
    labels = {job.language: job.label for job in jobs}
    for violation in scene.run.verdict.violations:
        if is_about(violation, scene) and (violation.language is None or violation.language in labels):
            about = "" if violation.language is None else labels[violation.language]
            steps.add(violation.at, BREACHES, breach(violation), about=about, wrong=True)


def is_about(violation: Violation, scene: Scene) -> bool:
    """Whether a violation is about this utterance, and not one of the same number in another session."""
    if scene.trail is None:
        return False
    if violation.job_id is not None and scene.trail.spoken.jobs:
        return violation.job_id in scene.trail.spoken.jobs.values()
    named = violation.speaker == scene.speaker and violation.utterance_index == scene.index
    return named and violation.at >= scene.trail.spoken.at


def breach(violation: Violation) -> str:
    """A violation in words: which invariant, and what happened."""
    name = INVARIANTS.get(violation.invariant, violation.kind)
    return f"{violation.invariant} ({name}) is broken: {violation.what}"


# --- who did not get it ------------------------------------------------------------------------------------------


def absences(scene: Scene, job: JobLife, receipts: list[Receipt]) -> list[Absence]:
    """Everybody who was in the room from the arrival of the utterance until a little after, without the result.

    In order of joining; for a job without a room the speaker only.
    """
    trail = scene.trail
    if trail is None:
        return []
    got = {receipt.recipient: None for receipt in receipts if receipt.language == job.language}
    at = scene.run.ended_at if job.ended_at is None else job.ended_at + scene.time_zero
    sends = [fact for fact in scene.facts if isinstance(fact, Send) and fact.job_id == job.job_id]
    sent = {name: None for send in sends for name in send.to}
    ended = _without_result(job)
    if trail.seats is None or trail.room_size == 1:
        people = [scene.speaker] if scene.speaker not in got else []
        reasons = [(name, _undelivered(name, sent, ended, scene), False) for name in people]
    else:
        until = at + AFTERWARDS
        moves = [fact for fact in scene.facts if isinstance(fact, Change) and fact.at <= until]
        seats = dict.fromkeys([*(seat.name for seat in trail.seats), *(move.name for move in moves)])
        first = next((send for send in sends if not send.kept), None)
        seated = there(trail.seats, moves, at) if first is None or first.seats is None else first.seats
        reasons = []
        for name in seats:
            if name in got:
                continue
            own = [move for move in moves if move.name == name]
            seat = next((one for one in seated if one.name == name), None)
            if name in sent or (seat is not None and seat.lang == job.language and ended is not None):
                reasons.append((name, _undelivered(name, sent, ended, scene), False))
            else:
                why, wrong = _not_meant(seat, own, job, at, scene)
                reasons.append((name, why, wrong))
    return [Absence(name, job.language, job.job_id, why, wrong) for name, why, wrong in reasons]


def _without_result(job: JobLife) -> str | None:
    """Why there was no result to send; None: there was one."""
    if job.end in (None, "living"):
        return "the job has not ended"
    return None if job.end in ("delivered", "no_recipient") else f"the job ended as {str(job.end).replace('_', ' ')}"


def _undelivered(name: str, sent: dict[str, None], ended: str | None, scene: Scene) -> str:
    if name in sent:
        late = scene.run.undrained or scene.run.interrupted
        return "still on its way as the run stopped" if late else "its connection ended while the result was on its way"
    return ended or "the speaker's session had ended"


def _not_meant(seat: Seat | None, moves: list[Change], job: JobLife, at: int, scene: Scene) -> tuple[str, bool]:
    """Why a result was not for somebody, and whether it should have been."""
    past = [move for move in moves if move.at <= at]
    if seat is None:
        if past and past[-1].moved in (Moved.LEFT, Moved.ENDED, Moved.ROOM_ENDED):
            gone = next(move for move in reversed(past) if move.moved in (Moved.LEFT, Moved.ROOM_ENDED, Moved.ENDED))
            return f"left at {stopwatch(gone.at - scene.time_zero)}", False
        joined = next((move for move in moves if move.at > at and move.moved is Moved.JOINED), None)
        if joined is not None:
            return f"joined later, at {stopwatch(joined.at - scene.time_zero)}", False
        return "was not in the room", False
    if seat.lang != job.language:
        since = next((move for move in reversed(past) if move.moved is Moved.LANGUAGE), None)
        prefers = "has no preferred_lang" if seat.lang is None else f"prefers {seat.lang}"
        return prefers + ("" if since is None else f" since {stopwatch(since.at - scene.time_zero)}"), False
    if not seat.connected:
        grace = setting(scene.settings.reconnect_grace)
        return f"was not connected, and did not come back within {grace} for what was kept", False
    if scene.settings.membership != "live":
        return f"did not prefer {job.language} in this room as the job was made", False
    return "should have got it", True
