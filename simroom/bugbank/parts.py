"""A scheduler whose parts can be exchanged for broken ones, and the parts to begin with.

Nothing in ``simroom.scheduler`` knows that it can be broken: a bug overrides what it breaks and inherits the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec.structs import replace

from simroom.scheduler.dispatch import Dispatch
from simroom.scheduler.fleet import Fleet
from simroom.scheduler.jobs import Attempt, Job, attempt_key
from simroom.scheduler.lobby import Lobby
from simroom.scheduler.messages import Addressed, JobResult
from simroom.scheduler.nodes import Node
from simroom.scheduler.port import Sources
from simroom.scheduler.routing import Routing
from simroom.scheduler.scheduler import Scheduler
from simroom.scheduler.selection import Selection
from simroom.scheduler.settings import Settings


class Part:
    """What every exchangeable part has beyond the part that it replaces."""

    def begin(self, scheduler: Scheduler) -> None:
        """Get ready; the scheduler is whole and knows nobody yet."""


class ARouting(Routing, Part):
    """Routing that finds the recipients of every result afresh, so that a bug in ``recipients`` always counts."""

    def send_result(self, job: Job, now: int, out: list[Addressed]) -> bool:
        """Send a result to ``recipients``, as if a member were detached: then nothing remembered is relied upon."""
        if job.room is None:
            return super().send_result(job, now, out)
        job.room.detached += 1
        sent = super().send_result(job, now, out)
        job.room.detached -= 1
        return sent


class ADispatch(Dispatch, Part):
    """Dispatch to be broken."""

    def attempt_of(self, node: Node, message: JobResult) -> Attempt | None:
        """The attempt, holding a slot of the node, that a message answers; None: there is none."""
        return node.attempts.get(attempt_key(message.job_id, message.attempt_id or 1))

    def forget_timed_out(self) -> Attempt:
        """Forget the attempt that has timed out last; its slot stays taken."""
        key, attempt = self._timed_out.popitem()
        del attempt.node.attempts[key]
        return attempt


class ALobby(Lobby, Part):
    """Lobby to be broken."""


class AFleet(Fleet, Part):
    """Fleet to be broken."""


class ASelection(Selection, Part):
    """Selection to be broken."""


class Broken(Scheduler):
    """A scheduler in which parts are exchanged, each for a class of that name in the bug's own.

    Attributes:
        changed: Settings that it takes for others than they are.
    """

    changed: ClassVar[Mapping[str, Any]] = {}
    Routing: ClassVar[type[ARouting]] = ARouting
    Dispatch: ClassVar[type[ADispatch]] = ADispatch
    Lobby: ClassVar[type[ALobby]] = ALobby
    Fleet: ClassVar[type[AFleet]] = AFleet
    Selection: ClassVar[type[ASelection]] = ASelection

    def __init__(self, settings: Settings, sources: Sources) -> None:
        super().__init__(replace(settings, **self.changed), sources)
        # Exchanged in place, with all that they were made with, as the parts hold on to each other by now.
        parts = (self._routing, self._dispatch, self._lobby, self._fleet, self.selection)
        kinds = (self.Routing, self.Dispatch, self.Lobby, self.Fleet, self.Selection)
        for part, kind in zip(parts, kinds, strict=True):
            object.__setattr__(part, "__class__", kind)
            assert isinstance(part, Part)
            part.begin(self)
