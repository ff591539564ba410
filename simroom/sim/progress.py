"""What must not go on for ever: a scheduler that does not answer, or that is woken again and again at one instant."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, Final

from simroom.sim.engine import Engine

VAIN_WAKES_MAX: Final = 100_000
"""Wakes in a row at one instant in which the scheduler sends nothing, before it is stopped.

At each wake a scheduler does at least one of the things that are due, and something that is due is a scan or belongs
to one session, node, job or attempt. So many of them are never due at the same microsecond: a run of as many at once
takes longer than anybody waits for, and each of simroom's own is over at one wake.
"""
WAKES_MAX: Final = 1_000_000
"""The same for wakes in which it sends something, which is progress, but at some time not any more."""
PATIENCE: Final = 60
"""Seconds of real time that a scheduler may take for one answer."""
_LOOKS: Final = 20
"""How often it is looked, while patience lasts, whether the scheduler has answered meanwhile."""


class NoProgressError(BaseException):
    """The run cannot go on: for once an exception, because whoever is to blame is in the middle of something.

    Not an ``Exception``: a scheduler that catches all of those must not be able to go on for ever.

    Attributes:
        what: What has happened, in words after which "at" and the instant fit.
        at: The instant, whole microseconds on the engine's clock.
    """

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what, at)
        self.what = what
        self.at = at


class Wakes:
    """Counts how often the scheduler, just woken, asks to be woken at once again: that must not go on for ever."""

    __slots__ = ("_at", "_count", "_vain_count")

    def __init__(self) -> None:
        self._at: int | None = None
        self._count = 0
        self._vain_count = 0

    def count(self, now: int, *, in_vain: bool) -> None:
        """The scheduler was woken at ``now`` and asks for it again; ``in_vain``: it sent nothing.

        Raises:
            NoProgressError: That was once too often.
        """
        if now != self._at:
            self._at = now
            self._count = self._vain_count = 0
        self._count += 1
        self._vain_count = self._vain_count + 1 if in_vain else 0
        if self._vain_count >= VAIN_WAKES_MAX:
            times = f"{self._vain_count:,} times over and had nothing to send"
            raise NoProgressError(f"the scheduler asked to be woken {times}", now)
        if self._count >= WAKES_MAX:
            raise NoProgressError(f"the scheduler asked to be woken {self._count:,} times over", now)


@contextmanager
def watched(engine: Engine, calls: Mapping[CodeType, str], patience: float) -> Iterator[None]:
    """Have ``NoProgressError`` raised when one call of the scheduler, or one instant, takes too long in real time.

    It costs nothing but a look now and then, which is made in a signal handler, so only in the main thread, and only
    where nobody else uses that timer. What the look finds decides nothing but that the run is stopped.

    Args:
        engine: Whose time passes.
        calls: The functions in which the scheduler is called, and what for; empty: for what their ``message`` is.
        patience: In seconds of real time; 0: for ever.
    """
    if (
        patience <= 0
        or threading.current_thread() is not threading.main_thread()
        or not hasattr(signal, "setitimer")
        or signal.getitimer(signal.ITIMER_REAL)[0] > 0
    ):
        yield
        return
    before = signal.signal(signal.SIGALRM, _Look(engine, calls, patience))
    signal.setitimer(signal.ITIMER_REAL, patience / _LOOKS, patience / _LOOKS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Look:
    """A look at what goes on; the same sight at as many looks as patience lasts is too much.

    Looks are counted, not seconds: a machine that was asleep meanwhile is no fault of the scheduler.
    """

    def __init__(self, engine: Engine, calls: Mapping[CodeType, str], patience: float) -> None:
        self._engine = engine
        self._calls = calls
        self._patience = patience
        self._call: FrameType | None = None
        self._call_count = 0
        self._instant: int | None = None
        self._instant_count = 0

    def __call__(self, _number: int, frame: FrameType | None) -> None:
        """Look, and stop the run if it has stood still for too long."""
        call = self._call_in(frame)
        # A frame that is held on to is not used for another call: the same one means the same call.
        self._call_count = self._call_count + 1 if call is not None and call is self._call else 0
        self._call = call
        now = self._engine.instant
        self._instant_count = self._instant_count + 1 if now == self._instant else 0
        self._instant = now
        if self._call_count >= _LOOKS and call is not None and call.f_back is not None:
            what = _said(self._calls[call.f_back.f_code], call.f_back.f_locals)
            raise NoProgressError(f"the scheduler did not answer within {self._patience:g} s: {what}", now)
        if self._instant_count >= 2 * _LOOKS:
            raise NoProgressError(f"time stood still for {2 * self._patience:g} s of real time", now)

    def _call_in(self, frame: FrameType | None) -> FrameType | None:
        """The call of the scheduler that is under way; None: there is none."""
        while frame is not None:
            caller = frame.f_back
            if caller is not None and caller.f_code in self._calls and not _is_of_simulation(frame):
                return frame
            frame = caller
        return None


def _is_of_simulation(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name.startswith(("simroom.sim.", "simroom.oracle."))


def _said(call: str, arguments: dict[str, Any]) -> str:
    """What the scheduler was called for; a message by its name in the protocol."""
    return call or str(arguments["message"].__struct_config__.tag)
