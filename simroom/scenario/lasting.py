"""What goes on all the time or in a window of it: faults of a share of jobs or messages, and of the whole world."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from simroom.scenario.actions import Action, OfLinks, OfNodes, Way, list_or_one_of, listed
from simroom.scenario.distributions import Distribution, OptionalDistribution
from simroom.scenario.fields import PositiveDuration, Share
from simroom.scenario.printable import quoted
from simroom.scenario.units import SECOND, UnfitError

# --- kinds that happen to a share --------------------------------------------------------------------------------


class CrashAfterWork(OfNodes):
    """The node crashes when a job is done and before it says so."""

    kind: ClassVar[str] = "crash_after_work"
    share: Share
    """Of how many jobs."""
    duration: OptionalDistribution = Field(default=None, alias="for")
    """How long until it starts again. Default: it never does."""


class OutOfMemory(OfNodes):
    """The GPU's memory is not enough: jobs are answered with INTERNAL_ERROR."""

    kind: ClassVar[str] = "out_of_memory"
    share: Share
    """Of how many jobs, or batches."""
    lost: Literal["job", "batch"] = "batch"
    """What fails: the job alone, or all that it runs in one batch with."""


class WrongAnswer(OfNodes):
    """The answer is not the job's own."""

    kind: ClassVar[str] = "wrong_answer"
    share: Share
    """Of how many answers."""
    how: Literal["swapped", "previous", "empty", "wrong_language", "oversized"]
    """Another job's of the same batch, the previous one, none at all, one in another language, or far too long."""


class LoseHeartbeats(OfNodes):
    """Heartbeats do not arrive."""

    kind: ClassVar[str] = "lose_heartbeats"
    share: Share
    """Of how many."""


class Delay(OfLinks):
    """Messages take longer; those of one link stay in order."""

    kind: ClassVar[str] = "delay"
    way: Way = "both"
    """Which way: up (to the scheduler), down (from it) or both."""
    share: Share
    """Of how many messages."""
    by: Distribution
    """How much longer."""


NODE_MESSAGES: Final = ("job_result", "node_heartbeat", "job_assign")
SENT_MESSAGES: Final = ("job_result", "node_heartbeat", "utterance")


class Lose(OfNodes):
    """Messages between nodes and the scheduler do not arrive."""

    kind: ClassVar[str] = "lose"
    short: ClassVar[str | None] = None
    messages: Annotated[
        tuple[Literal["job_result", "node_heartbeat", "job_assign"], ...],
        BeforeValidator(listed),
        Field(min_length=1),
        list_or_one_of({"enum": list(NODE_MESSAGES)}),
    ]
    """Which messages."""
    share: Share
    """Of how many."""

    @model_validator(mode="before")
    @classmethod
    def _on_a_living_connection(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        expected = (
            "`nodes`: over a living connection a session loses nothing, and its results either arrive or its"
            " connection ends (see `drop` and `partition`)"
        )
        if "sessions" in value:
            raise UnfitError("`sessions`", expected).under("sessions")
        named = value.get("messages")
        if "translation_result" in (named if isinstance(named, list) else [named]):
            raise UnfitError("'translation_result'", f"messages of {expected}").under("messages")
        return value


class Duplicate(OfLinks):
    """Messages to the scheduler are sent twice."""

    kind: ClassVar[str] = "duplicate"
    messages: Annotated[
        tuple[Literal["job_result", "node_heartbeat", "utterance"], ...],
        BeforeValidator(listed),
        Field(min_length=1),
        list_or_one_of({"enum": list(SENT_MESSAGES)}),
    ]
    """Which messages: job_result and node_heartbeat are those of nodes, utterance is that of sessions."""
    share: Share
    """Of how many."""

    @model_validator(mode="after")
    def _sent_by_them(self) -> Self:
        for message in self.messages:
            if (message == "utterance") != (self.sessions is not None):
                senders = "sessions" if self.nodes is not None else "nodes"
                known = "utterance" if self.sessions is not None else "job_result, node_heartbeat"
                raise UnfitError(quoted(message), f"{known} ({quoted(message)} comes from `{senders}`)").under(
                    "messages"
                )
        return self


# --- kinds that always hold --------------------------------------------------------------------------------------


class Ties(Action):
    """Much happens at the same instant: every delay, service and end of speech is rounded up to a grid."""

    kind: ClassVar[str] = "ties"
    short: ClassVar[str | None] = "grid"
    grid: Annotated[PositiveDuration, Field(le=10 * SECOND)]
    """Between two points of the grid."""


class RoomCodes(Action):
    """Room codes are few, so that one comes back soon after its room has ended."""

    kind: ClassVar[str] = "room_codes"
    short: ClassVar[str | None] = "count"
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many there are; at least as many as rooms."""


ShareAction = CrashAfterWork | OutOfMemory | WrongAnswer | LoseHeartbeats | Delay | Lose | Duplicate
WorldAction = Ties | RoomCodes
