"""The ledger of a run as one set of joined columns, from which every measure is taken.

Deliveries know their job, jobs their utterance, utterances their room; here each of the three levels gets the columns
that a selection by tag needs (language, room group, room size, node group, mode), and the deliveries get the parts of
their latency. Instants stay on the engine's clock; spans are whole microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from simroom.oracle.ledger import NONE, Column
from simroom.oracle.verdict import HOWS, INVARIANTS, KINDS
from simroom.stats.playback import Playback, playback

if TYPE_CHECKING:
    from simroom.sim.run import RunData

Level = Literal["utterance", "job", "delivery"]
Mask = npt.NDArray[np.bool_]
Tags = Mapping[str, str]

PARTS: Final = ("uplink_time", "waiting_time", "asr_time", "nmt_time", "tts_time", "hold_time", "downlink_time")
"""The parts of a delivery latency, in order of time; they add up to it. The three stages are ``service_time``."""

MODES: Final = ("room", "single")
CAUSES: Final = {
    "repeated": "results that counted for nothing: their job was answered or over, or the attempt was not the node's",
    "nobody_left": "jobs that were answered when nobody was left to tell",
    "too_late": "results dropped because their turn had been given up",
    "ghost": "jobs whose result went to people of whom none came back for it",
    "lost": "what went down with a node, or failed after work was done",
}
"""Why work of a node came to nothing."""


class UnknownTagError(Exception):
    """A selection names something that this run does not have.

    Attributes:
        tag: The tag.
        value: What was asked for.
        known: What there is, in stated order.
    """

    def __init__(self, tag: str, value: str, known: tuple[str, ...]) -> None:
        super().__init__(tag, value, known)
        self.tag = tag
        self.value = value
        self.known = known


class Table:
    """Joined columns of one run.

    Attributes:
        run: The run they are from.
        utterances: Ledger columns, shape ``(utterance_count,)``.
        jobs: Ledger columns, shape ``(job_count,)``.
        deliveries: Ledger columns, shape ``(delivery_count,)``.
        window: First instant of the measured window and the first one after it. It starts after the warm-up and ends
            with the scenario's duration (or when the run was stopped).
    """

    def __init__(self, run: RunData) -> None:
        self.run = run
        self.utterances: dict[str, Column] = run.ledger.utterances()
        self.jobs: dict[str, Column] = run.ledger.jobs()
        self.deliveries: dict[str, Column] = run.ledger.deliveries()
        self.window = measured_window(run)

    @property
    def window_time(self) -> int:
        """Length of the measured window, whole microseconds; 0 where the run was stopped before it began."""
        return self.window[1] - self.window[0]

    # --- joins -----------------------------------------------------------------------------------------------------

    @cached_property
    def utterance_of_delivery(self) -> Column:
        """Row of the utterance of each delivery."""
        return self.jobs["utterance"][self.deliveries["job"]]

    def utterance_rows(self, level: Level) -> Column | slice:
        """For each row of ``level``, the row of its utterance (for utterances: all, as they are)."""
        if level == "utterance":
            return slice(None)
        return self.jobs["utterance"] if level == "job" else self.utterance_of_delivery

    def job_rows(self, level: Level) -> Column | slice:
        """For each row of ``level`` (``job`` or ``delivery``), the row of its job."""
        return slice(None) if level == "job" else self.deliveries["job"]

    @cached_property
    def measured_utterances(self) -> Mask:
        """Which utterances ended after the warm-up."""
        return self.utterances["ended_at"] >= self.window[0]

    def measured(self, level: Level) -> Mask:
        """Which rows belong to an utterance that ended after the warm-up."""
        return self.measured_utterances[self.utterance_rows(level)]

    # --- selecting by tag ------------------------------------------------------------------------------------------

    def known(self, tag: str) -> tuple[str, ...]:
        """The values of a tag that this run has, in stated order.

        Languages and groups in order of first use, room sizes ascending.
        """
        run = self.run
        if tag == "language":
            return tuple(run.ledger.languages.names)
        if tag == "room":
            return tuple(dict.fromkeys(run.room_groups))
        if tag == "room_size":
            return tuple(str(size) for size in sorted(set(run.room_sizes)))
        if tag == "node":
            return tuple(dict.fromkeys(node.group for node in run.nodes))
        if tag == "reason":
            return tuple(run.verdict.refusals)
        fixed = {
            "mode": MODES,
            "invariant": tuple(INVARIANTS),
            "kind": tuple(KINDS),
            "how": tuple(HOWS),
            "cause": tuple(CAUSES),
        }
        return fixed[tag]

    def mask(self, level: Level, tags: Tags) -> Mask:
        """Which rows of ``level`` have all of ``tags``.

        Raises:
            UnknownTagError: This run has no such value.
        """
        count = {"utterance": self.utterances, "job": self.jobs, "delivery": self.deliveries}[level]
        mask = np.ones(len(next(iter(count.values()))), dtype=np.bool_)
        for tag, value in tags.items():
            mask &= self._tagged(level, tag, self.spelled(tag, value))
        return mask

    def spelled(self, tag: str, value: str) -> str:
        """The value as this run spells it (language tags compare without regard to case).

        Raises:
            UnknownTagError: This run has no such value.
        """
        known = self.known(tag)
        if value in known:
            return value
        if tag == "language":
            for name in known:
                if name.lower() == value.lower():
                    return name
        raise UnknownTagError(tag, value, known)

    def _tagged(self, level: Level, tag: str, value: str) -> Mask:
        chosen: Mask
        if tag == "language":
            number = self.run.ledger.languages.names.index(value)
            chosen = self.jobs["tgt_lang"][self.job_rows(level)] == number
            return chosen
        if tag == "node":
            names = [use.name for use in self.run.nodes if use.group == value]
            chosen = _among(self.run.ledger.nodes.names, names)[self.jobs["node"][self.job_rows(level)]]
            return chosen
        room = self.utterances["room"][self.utterance_rows(level)]
        if tag == "mode":
            chosen = (room != NONE) == (value == "room")
            return chosen
        of_room = self.run.room_groups if tag == "room" else tuple(str(size) for size in self.run.room_sizes)
        # One more place at the end, which is where ``NONE`` (-1) points: outside rooms nothing is selected.
        return np.array([*(name == value for name in of_room), False], dtype=np.bool_)[room]

    # --- what happened to the deliveries ---------------------------------------------------------------------------

    @cached_property
    def delivery_latency(self) -> Column:
        """Arrival at the recipient less the planned end of the speech, for each delivery."""
        return self.deliveries["arrived_at"] - self.utterances["ended_at"][self.utterance_of_delivery]

    @cached_property
    def explained(self) -> Mask:
        """Which deliveries have every instant that the parts of their latency need.

        All of them under a scheduler that only sends what a node has answered; one that sends other things still
        gets its report, and its violations.
        """
        job = self.deliveries["job"]
        known: Mask = self.utterances["received_at"][self.utterance_of_delivery] != NONE
        for name in ("started_at", "asr_time", "nmt_time", "tts_time", "answered_at", "ended_at"):
            known &= self.jobs[name][job] != NONE
        return known

    @cached_property
    def parts(self) -> dict[str, Column]:
        """``PARTS``, in order, of each delivery; only rows that are ``explained`` mean anything.

        Raises:
            RuntimeError: The parts of an explained delivery do not add up to its latency: a fault of simroom.
        """
        job = self.deliveries["job"]
        jobs = {name: column[job] for name, column in self.jobs.items()}
        utterance = self.utterance_of_delivery
        received_at = self.utterances["received_at"][utterance]
        served_at = jobs["started_at"] + jobs["asr_time"] + jobs["nmt_time"] + jobs["tts_time"]
        parts = {
            "uplink_time": received_at - self.utterances["ended_at"][utterance],
            "waiting_time": jobs["started_at"] - received_at,
            "asr_time": jobs["asr_time"],
            "nmt_time": jobs["nmt_time"],
            "tts_time": jobs["tts_time"],
            "hold_time": jobs["ended_at"] - jobs["answered_at"],
            "downlink_time": jobs["answered_at"] - served_at + self.deliveries["arrived_at"] - jobs["ended_at"],
        }
        off = (sum(parts.values()) != self.delivery_latency) & self.explained
        if off.any():
            raise RuntimeError(f"the parts of delivery {int(np.flatnonzero(off)[0])} do not add up to its latency")
        return parts

    @cached_property
    def playback(self) -> Playback:
        """When each delivery was heard, if listeners hear one result after another.

        A result plays for the length of the speech times the run's ``playback_ratio``.
        """
        utterance = self.utterance_of_delivery
        spoken = self.utterances["ended_at"] - self.utterances["started_at"]
        length = np.rint(spoken * self.run.playback_ratio).astype(np.int64)
        return playback(self.deliveries["recipient"], self.deliveries["arrived_at"], length[utterance])

    @cached_property
    def playback_lag(self) -> Column:
        """Start of playback less the planned end of the speech, for each delivery."""
        return self.playback.started_at - self.utterances["ended_at"][self.utterance_of_delivery]

    @cached_property
    def fan_outs(self) -> tuple[Column, Column]:
        """Jobs whose result reached two recipients or more: their rows, ascending, and last less first arrival.

        A result that reached one recipient twice counts there with its first arrival.
        """
        job, recipient, arrived_at = (self.deliveries[name] for name in ("job", "recipient", "arrived_at"))
        if len(job) == 0:
            return job, arrived_at
        order = np.lexsort((arrived_at, recipient, job))
        job, recipient, arrived_at = job[order], recipient[order], arrived_at[order]
        fresh_job = np.diff(job, prepend=NONE) != 0
        first_copy = fresh_job | (np.diff(recipient, prepend=NONE) != 0)
        job, arrived_at = job[first_copy], arrived_at[first_copy]
        starts = np.flatnonzero(np.diff(job, prepend=NONE) != 0)
        several = np.diff(starts, append=len(job)) >= 2
        skew = np.maximum.reduceat(arrived_at, starts) - np.minimum.reduceat(arrived_at, starts)
        return job[starts][several], skew[several]


def measured_window(run: RunData) -> tuple[int, int]:
    """First instant of the measured window and the first one after it, on the engine's clock."""
    start = run.time_zero + run.scenario.warm_up
    end = min(run.ended_at, run.time_zero + run.scenario.duration)
    return start, max(start, end)


def _among(names: list[str], chosen: list[str]) -> Mask:
    """For each name whether it is chosen, and a last place, False, for ``NONE``."""
    wanted = frozenset(chosen)
    return np.array([*(name in wanted for name in names), False], dtype=np.bool_)
