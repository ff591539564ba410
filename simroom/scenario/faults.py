"""Faults: what goes wrong in a scenario, and when. The kinds themselves are in ``actions`` and ``lasting``."""

from __future__ import annotations

from typing import Any, Final, Self, get_args

from pydantic import ConfigDict, Field, model_validator

from simroom.scenario.actions import (
    Action,
    Burst,
    ChangeLanguage,
    Clock,
    Clog,
    CloseSession,
    Crash,
    DropConnection,
    EventAction,
    Evict,
    Flap,
    LeaveRoom,
    Partition,
    Pause,
    RestartScheduler,
    Slow,
    SlowReader,
    Way,
)
from simroom.scenario.distributions import Constant, OptionalDistribution
from simroom.scenario.fields import Duration, Model
from simroom.scenario.lasting import (
    CrashAfterWork,
    Delay,
    Duplicate,
    Lose,
    LoseHeartbeats,
    OutOfMemory,
    RoomCodes,
    ShareAction,
    Ties,
    WorldAction,
    WrongAnswer,
)
from simroom.scenario.units import UnfitError, format_duration

__all__ = [
    "EVENT_KINDS",
    "SCRIPT_ONLY_KINDS",
    "SHARE_KINDS",
    "WORLD_KINDS",
    "Action",
    "Burst",
    "ChangeLanguage",
    "Clock",
    "Clog",
    "CloseSession",
    "Crash",
    "CrashAfterWork",
    "Delay",
    "DropConnection",
    "Duplicate",
    "EventAction",
    "Evict",
    "Fault",
    "Flap",
    "Happening",
    "LeaveRoom",
    "Lose",
    "LoseHeartbeats",
    "OutOfMemory",
    "Partition",
    "Pause",
    "RestartScheduler",
    "RoomCodes",
    "ShareAction",
    "Slow",
    "SlowReader",
    "Ties",
    "Way",
    "WorldAction",
    "WrongAnswer",
]


class Happening(Model):
    """Base of faults and of a script's lines: what of the kinds that have an instant happens, at most one of them."""

    model_config = ConfigDict(defer_build=True)

    crash: Crash | None = None
    """Nodes crash."""
    slow: Slow | None = None
    """Nodes become slow."""
    pause: Pause | None = None
    """Nodes stand still."""
    evict: Evict | None = None
    """Nodes lose their models for a while."""
    clog: Clog | None = None
    """Links hold messages up."""
    partition: Partition | None = None
    """Links lose all messages."""
    drop: DropConnection | None = None
    """Sessions lose their connection."""
    leave: LeaveRoom | None = None
    """Members leave their room."""
    change: ChangeLanguage | None = None
    """Members choose another language."""
    close: CloseSession | None = None
    """Sessions end."""
    slow_reader: SlowReader | None = None
    """Sessions read slowly."""
    clock: Clock | None = None
    """Clocks of nodes are off."""
    restart_scheduler: RestartScheduler | None = None
    """The scheduler starts anew."""
    flap: Flap | None = None
    """Nodes crash and come back again and again."""
    burst: Burst | None = None
    """Sessions say more."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_said(cls, value: Any) -> Any:
        """``restart_scheduler:`` means ``restart_scheduler: {}``; any other kind needs to be told more."""
        if not isinstance(value, dict):
            return value
        for key in value:
            elsewhere = cls.elsewhere(key)
            if elsewhere is not None:
                raise UnfitError(f"`{key}`", elsewhere).under(key)
            if value[key] is None and key in cls.kinds() and key != "restart_scheduler":
                action: type[Action] = get_args(cls.model_fields[key].annotation)[0]
                raise UnfitError("nothing", action.keys_in_words()).under(key)
        return {**value, "restart_scheduler": {}} if value.get("restart_scheduler", 0) is None else value

    @classmethod
    def elsewhere(cls, key: str) -> str | None:
        """Where a kind with this key belongs, in words; None: here, or there is none."""
        del key
        return None

    @classmethod
    def kinds(cls) -> tuple[str, ...]:
        """The keys of all kinds."""
        return tuple(name for name in cls.model_fields if name not in _TIMES)

    def _given(self) -> str:
        """The key of the one kind that is given.

        Raises:
            UnfitError: None is, or several are.
        """
        given = [name for name in self.kinds() if getattr(self, name) is not None]
        if not given:
            raise UnfitError("nothing that happens", "one of " + ", ".join(f"`{name}`" for name in self.kinds()))
        if len(given) > 1:
            raise UnfitError(" and ".join(f"`{name}`" for name in given), "one of them, and the other by itself")
        return given[0]


_TIMES: Final = frozenset({"at", "every", "begin", "until"})
EVENT_KINDS: Final = tuple(Happening.model_fields)
"""Kinds that happen at an instant, with `at` or `every`, or in a script."""
SHARE_KINDS: Final = tuple(
    model.kind for model in (CrashAfterWork, OutOfMemory, WrongAnswer, LoseHeartbeats, Delay, Lose, Duplicate)
)
"""Kinds that happen to a share of jobs or messages, all the time or in a window."""
WORLD_KINDS: Final = (Ties.kind, RoomCodes.kind)
"""Kinds that always hold."""
SCRIPT_ONLY_KINDS: Final = ("join", "come_back", "connect", "speak", "start", "drain", "stop")
"""What is no fault and only a script can say."""


class Fault(Happening):
    """Something that goes wrong: exactly one kind is not None."""

    crash_after_work: CrashAfterWork | None = None
    """Nodes crash after jobs and before they answer."""
    out_of_memory: OutOfMemory | None = None
    """Jobs fail for want of GPU memory."""
    wrong_answer: WrongAnswer | None = None
    """Nodes give wrong answers."""
    lose_heartbeats: LoseHeartbeats | None = None
    """Heartbeats get lost."""
    delay: Delay | None = None
    """Messages take longer."""
    lose: Lose | None = None
    """Messages of nodes get lost."""
    duplicate: Duplicate | None = None
    """Messages come twice."""
    ties: Ties | None = None
    """Much happens at once."""
    room_codes: RoomCodes | None = None
    """Few room codes."""
    at: OptionalDistribution = None
    """When it happens, once."""
    every: OptionalDistribution = None
    """Or how long from one time to the next, and from the beginning to the first."""
    begin: Duration | None = Field(default=None, alias="from")
    """With `every` and with shares: not before. Default: 0s."""
    until: Duration | None = None
    """With `every` and with shares: not after. Default: `duration`."""

    @classmethod
    def elsewhere(cls, key: str) -> str | None:
        """What only a script can say."""
        return f"`{key}` in a line of `script`" if key in SCRIPT_ONLY_KINDS else None

    @model_validator(mode="after")
    def _one_kind_at_its_time(self) -> Self:
        kind = self._given()
        if kind in EVENT_KINDS:
            self._has_an_instant()
        else:
            self._has_none(kind)
        if self.begin is not None and self.until is not None and self.begin >= self.until:
            raise UnfitError(format_duration(self.until), f"more than `from` ({format_duration(self.begin)})").under(
                "until"
            )
        return self

    def _has_an_instant(self) -> None:
        if (self.at is None) == (self.every is None):
            raise UnfitError("neither" if self.at is None else "both `at` and `every`", "one of `at` and `every`")
        if isinstance(self.every, Constant) and self.every.span == 0:
            raise UnfitError("0s", "more than 0s").under("every")
        if self.at is not None:
            for key, given in (("from", self.begin), ("until", self.until)):
                if given is not None:
                    raise UnfitError(f"`{key}` beside `at`", f"`{key}` beside `every`, or no `{key}`").under(key)

    def _has_none(self, kind: str) -> None:
        always = kind in WORLD_KINDS
        for key, given in (("at", self.at), ("every", self.every), ("from", self.begin), ("until", self.until)):
            if given is not None and (always or key in ("at", "every")):
                expected = f"`{kind}` alone: it always holds" if always else "`from` and `until`, or none of them"
                raise UnfitError(f"`{key}` with `{kind}`", expected).under(key)

    @property
    def kind(self) -> str:
        """The key of its kind."""
        return self.action.kind

    @property
    def action(self) -> EventAction | ShareAction | WorldAction:
        """What goes wrong."""
        action: EventAction | ShareAction | WorldAction = getattr(self, self._given())
        return action

    def window(self, duration: int) -> tuple[int, int]:
        """From when until when it may happen, microseconds from time 0; ``duration`` is the scenario's."""
        return self.begin or 0, duration if self.until is None else min(self.until, duration)
