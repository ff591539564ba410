"""Where somebody was at one instant, and what they heard, or did not, around it."""

from __future__ import annotations

from typing import Final

import numpy as np
from msgspec import Struct

from simroom.oracle.ledger import NONE, JobEnd
from simroom.scheduler.languages import Tags
from simroom.study.fan_out import moved
from simroom.study.life import Step
from simroom.study.presence import Change, Moved, Seat
from simroom.study.recorder import WINDOW, Recording
from simroom.study.table import Table
from simroom.study.words import counted, span, stopwatch

UTTERANCES_MAX: Final = 200


class Stay(Struct, frozen=True):
    """Somebody at one instant; instants count from time 0.

    Attributes:
        in_session: They had a session, if perhaps a detached one.
        lang: Preferred language, canonical; None: none.
        room: The scenario's name of their room; None: they were in none.
        others: The other members, in order of joining, as many as are kept; ``room_size`` with them.
        steps: What happened around the instant, in time order.
        notes: What else is to be said.
    """

    name: str
    at: int
    in_session: bool
    connected: bool
    lang: str | None
    room: str | None
    room_size: int
    others: tuple[Seat, ...]
    steps: tuple[Step, ...]
    notes: tuple[str, ...]


def stay_of(table: Table, recording: Recording) -> Stay:
    """Tell of ``recording.member`` at ``recording.instant``; the run is over."""
    return _Teller(table, recording).stay()


class _Teller:
    def __init__(self, table: Table, recording: Recording) -> None:
        assert recording.member is not None and recording.instant is not None  # noqa: PT018 - what was asked for
        self._table = table
        self._run = table.run
        self._name = recording.member
        self._at = recording.instant
        self._look = recording.looked or recording.recorder.look()
        # What comes after the run's end (everybody may be made to leave then) is no part of it.
        over = table.run.ended_at
        self._changes = [change for change in recording.changes if change.at <= over]
        self._mates = [change for change in recording.mates if change.at <= over]
        self._zero = table.run.time_zero
        self._settings = table.run.scenario.scheduler.settings()
        self._tags = Tags(primary_only=self._settings.language_match == "primary")
        names = table.run.ledger.sessions.names
        self._number = names.index(self._name) if self._name in names else NONE
        self._prefix = self._name.rpartition("/")[0] + "/" if "/" in self._name else None

    def stay(self) -> Stay:
        look = self._look
        rows = self._utterances()
        told = [self._heard(row) for row in rows[:UTTERANCES_MAX]]
        told += [
            Step(change.at - self._zero, self._called(change.name), moved(change, self._settings))
            for change in (*self._changes, *self._mates)
            if abs(change.at - self._at) <= WINDOW
        ]
        notes = []
        if len(rows) > UTTERANCES_MAX:
            notes.append(f"{len(rows) - UTTERANCES_MAX:,} more utterances are not told")
        room = self._prefix[:-1] if self._prefix is not None and look.seats is not None else None
        return Stay(
            name=self._name,
            at=self._at - self._zero,
            in_session=look.in_session,
            connected=look.connected,
            lang=look.lang,
            room=room,
            room_size=look.room_size,
            others=tuple(seat for seat in look.seats or () if seat.name != self._name),
            steps=tuple(sorted(told, key=lambda step: step.at)),
            notes=tuple(notes),
        )

    def _called(self, name: str) -> str:
        prefix = self._prefix
        return name[len(prefix) :] if prefix is not None and name.startswith(prefix) and name != prefix else name

    def _utterances(self) -> list[int]:
        """Rows of the utterances in the room, or of the session, that ended or were heard around the instant."""
        table = self._table
        ended = table.utterances["ended_at"]
        names = table.run.ledger.sessions.names
        own = [
            number
            for number, name in enumerate(names)
            if name == self._name or (self._prefix is not None and name.startswith(self._prefix))
        ]
        chosen = (np.abs(ended - self._at) <= WINDOW) & np.isin(table.utterances["speaker"], own)
        mine = table.deliveries["recipient"] == self._number
        near = mine & (np.abs(table.deliveries["arrived_at"] - self._at) <= WINDOW)
        chosen[table.utterance_of_delivery[near]] = True
        rows = np.flatnonzero(chosen)
        return [int(row) for row in rows[np.argsort(ended[rows], kind="stable")]]

    def _heard(self, row: int) -> Step:
        """What somebody else's or their own utterance was to them."""
        table = self._table
        ledger = table.run.ledger
        values = {name: int(column[row]) for name, column in table.utterances.items()}
        speaker = ledger.sessions.names[values["speaker"]]
        about = f"{self._called(speaker)} #{values['utterance_index']}"
        jobs = [int(job) for job in np.flatnonzero(table.jobs["utterance"] == row)]
        received = np.flatnonzero(
            np.isin(table.deliveries["job"], jobs) & (table.deliveries["recipient"] == self._number)
        )
        if len(received):
            return Step(values["ended_at"] - self._zero, about, self._received(received.tolist()))
        if speaker == self._name:
            languages = [self._language(job) for job in jobs]
            into = f"made {counted(len(jobs), 'job')}: {', '.join(languages)}" if jobs else "made no job"
            return Step(values["ended_at"] - self._zero, about, f"their own, {into}; nothing of it was for them")
        what, rule, wrong = self._missed(values["received_at"], values["src_lang"], jobs)
        return Step(values["ended_at"] - self._zero, about, what, rule=rule, wrong=wrong)

    def _received(self, deliveries: list[int]) -> str:
        table = self._table
        told = []
        for place in deliveries:
            arrived = int(table.deliveries["arrived_at"][place]) - self._zero
            language = self._language(int(table.deliveries["job"][place]))
            latency = span(int(table.delivery_latency[place]))
            told.append(f"received in {language} at {stopwatch(arrived)}, {latency} after the speech")
        return "; once more ".join(told)

    def _language(self, job: int) -> str:
        return self._run.ledger.languages.names[int(self._table.jobs["tgt_lang"][job])]

    def _missed(self, received_at: int, src_number: int, jobs: list[int]) -> tuple[str, str | None, bool]:
        """Why nothing of an utterance was received, by which rule, and whether that is wrong."""
        if received_at == NONE:
            return "it never reached the scheduler", None, False
        for job in jobs:
            ended = int(self._table.jobs["ended_at"][job])
            end = JobEnd(int(self._table.jobs["end"][job]))
            state = self._state(ended if ended != NONE else self._run.ended_at)
            if state is None or not state.in_room or state.lang != self._language(job):
                continue
            if end is not JobEnd.DELIVERED:
                how = "still lives" if end is JobEnd.LIVING else f"ended as {end.name.lower().replace('_', ' ')}"
                return f"not received: its job into {state.lang} {how}", None, False
            if not state.connected:
                return "not received: they were not connected", "what is kept is bounded by reconnect_grace", False
            return f"not received, though it was sent in {state.lang}", "an arrival is lost with its connection", True
        state = self._state(received_at)
        if state is None or not state.in_room:
            return "not for them: they were not in the room", "membership", False
        if state.lang is None:
            return "not for them: no preferred_lang", "who has no language gets nothing", False
        source = self._tags.canonical(self._run.ledger.languages.names[src_number])
        if state.lang == source:
            return f"not for them: {source} is what was spoken", f"same_language: {self._settings.same_language}", False
        if any(self._language(job) == state.lang for job in jobs):
            what = f"not for them any more: they left the room, or {state.lang}, before it was sent"
            return what, f"membership: {self._settings.membership}", False
        return f"not for them: no job was made into {state.lang}", f"fan_out: {self._settings.fan_out}", False

    def _state(self, at: int) -> Change | None:
        """How it was with them at an instant; None: they had done nothing yet."""
        last = None
        for change in self._changes:
            if change.at > at:
                break
            if change.moved is not Moved.ENDED or last is None:
                last = change
        return last
