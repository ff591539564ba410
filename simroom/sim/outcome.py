"""What a run leaves behind, and how far it is meanwhile, as plain values."""

from __future__ import annotations

from msgspec import Struct

from simroom.oracle.ledger import Ledger
from simroom.oracle.verdict import Verdict
from simroom.scenario.schema import Scenario
from simroom.sim.tally import FaultUse


class NodeUse(Struct, frozen=True):
    """What became of one node.

    Attributes:
        name: Its own name; ``group`` the scenario's for its kind.
        slots: Jobs it takes at once.
        streams: Jobs that its GPU runs at once without slowing.
        jobs: Jobs it finished in the whole run; ``failed`` those it refused.
        busy_time: Busy streams integrated over the measured window, whole microseconds.
        ready_time: How long it was ready in the whole run, as it was told.
        lost: Jobs that went down with it in the whole run.
        wasted_work: What was done of jobs that were lost or failed, whole microseconds of an undisturbed GPU.
    """

    name: str
    group: str
    slots: int
    streams: int
    jobs: int
    busy_time: int
    ready_time: int
    failed: int
    lost: int = 0
    wasted_work: int = 0


class Progress(Struct, frozen=True):
    """How far a run is.

    Attributes:
        simulated_time: On the engine's clock, the lead-in included; ``until`` where people stop speaking.
    """

    simulated_time: int
    until: int
    events: int
    utterances: int
    jobs: int
    deliveries: int


class RunData(Struct, frozen=True):
    """Everything that a run has left behind.

    Attributes:
        time_zero: The scenario's time 0 on the engine's clock.
        ended_at: Where the run stopped, on the engine's clock.
        nodes: In the order of the scenario.
        room_sizes: Members of each room, by its number in the ledger.
        room_groups: The scenario's name for its kind, likewise.
        events: Entries that the engine handled.
        unspoken: Utterances whose speaker had no session at their end.
        interrupted: It was stopped from outside.
        undrained: Something was still on its way when ``drain`` was over.
        trace_hash: Of everything that happened; equal for equal runs.
        playback_ratio: Length of a translation over the length of the speech.
        faults: What the scenario's faults came to, in its order; then its script's, likewise.
        halted: Why the run could not go on and since when, in words; None: it could. What has happened until then was
            judged, but not whether it came to its end.
    """

    scenario: Scenario
    seed: int
    ledger: Ledger
    verdict: Verdict
    time_zero: int
    ended_at: int
    nodes: tuple[NodeUse, ...]
    room_sizes: tuple[int, ...]
    room_groups: tuple[str, ...]
    events: int
    unspoken: int
    interrupted: bool
    undrained: bool
    trace_hash: str
    playback_ratio: float
    faults: tuple[FaultUse, ...] = ()
    halted: str | None = None
