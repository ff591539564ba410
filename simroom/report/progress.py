"""How far a run is, on the terminal, while it runs; nothing at all where stderr is not one."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from simroom.report import figures
from simroom.report.console import console

if TYPE_CHECKING:
    from simroom.sim.run import Progress

_REDRAW_SECONDS: Final = 0.1
"""Between two drawings: quick enough for the eye, too seldom to cost anything."""


class ProgressLine:
    """A line that says how far the simulation is: simulated and real time, speed, and what has happened.

    Use it as a context, and hand it to ``simulate`` as ``progress``. Drawn only when called, never by a thread.
    """

    def __init__(self, *, colour: bool) -> None:
        self._bar = Bar(
            TextColumn("{task.percentage:>3.0f} %", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[told]}", markup=False),
            console=console(sys.stderr, colour=colour),
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID | None = None
        self._started_at = time.perf_counter()
        self._drawn_at = 0.0

    def __enter__(self) -> Self:
        """Start to draw."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the line away."""
        self._bar.stop()

    def __call__(self, at: Progress) -> None:
        """Note how far the run is, and draw it if it is time to."""
        now = time.perf_counter()
        if now - self._drawn_at < _REDRAW_SECONDS:
            return
        self._drawn_at = now
        told = _told(at, now - self._started_at)
        if self._task is None:
            self._task = self._bar.add_task("", total=at.until, told=told)
        self._bar.update(self._task, completed=at.simulated_time, total=at.until, told=told, refresh=True)


def _told(at: Progress, seconds: float) -> str:
    speed = at.simulated_time / 1e6 / seconds if seconds > 0 else 0.0
    return (
        f"{figures.clock(at.simulated_time).partition('.')[0]} in {seconds:.0f} s ({speed:,.0f}{figures.TIMES})"
        f"  {at.utterances:,} said · {at.jobs:,} jobs · {at.deliveries:,} delivered"
    )
