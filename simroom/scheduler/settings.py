"""Every setting of the scheduler, with its default; a scenario's ``scheduler:`` section has the same names."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

MILLISECOND: Final = 1_000
SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The scheduler's settings. Spans are whole microseconds, shares 0..1, counts whole numbers.

    Attributes:
        fan_out: ``per_language``: one job for each language the others want; ``session_target``: one job, into
            the speaker's own ``tgt_lang``.
        same_language: In a room, whether a language is translated into itself.
        language_match: ``exact``: whole tags, whatever the case; ``primary``: ``zh`` and ``zh-CN`` are one.
        membership: Who receives a room job's result: members as the result is sent (``live``), as the job was
            made and have not left since (``snapshot``), or in both.
        resource_threshold: A node whose CPU, GPU or memory is above this share gets no new job. 1: never.
        max_concurrent_jobs: Slots of a node that does not say.
        policy: Which of the nodes that pass every filter gets the job: the one with the fewest jobs; one by chance; the
            one with the fewest of ``choices_count`` drawn by chance; or ``any``, which leaves it to the scheduler (ours
            takes ``least_connections``) and judges no more than that the node fits: for schedulers of one's own.
        choices_count: ``policy: choices``: how many nodes are drawn.
        choices_repeat: ``policy: choices``: whether a node may be drawn more than once.
        tie_break: Among nodes with equally few jobs: the first in registration order, the next after the one
            placed on last, or one by chance.
        load: What counts as a node's jobs: those the scheduler has placed and not seen end, or what the node's
            last heartbeat said.
        sticky: Whether the last node of a session or a room is taken again while it fits.
        on_no_node: A job that fits nowhere is rejected, or waits.
        waiting_time_max: How long a job may wait for a node.
        waiting_count_max: How many jobs may wait.
        ordering: How results of one speaker, room and language keep the order of the utterances.
        max_hold: ``ordering: gap``: how long a result is held for older ones.
        late: What becomes of a result whose turn was given up.
        job_timeout: From dispatch to answer, each attempt.
        max_attempts: Attempts of one job, the first included.
        abandon_after: How long a timed-out attempt keeps its slot, from the time-out.
        cancel: Whether a node is told that an attempt is moot (its job has ended, or its time ran out).
        health_check_count: Healthy heartbeats in a row before a registering node is ready.
        warmup_timeout: How long a node may be registering before it is degraded.
        heartbeat_timeout: Silence after which a scan takes a node for offline.
        node_scan_interval: Between two looks at the nodes, counted from time 0.
        room_expiry: Silence after which a scan ends a room.
        room_scan_interval: Between two looks at the rooms, counted from time 0.
        room_size_max: Largest room; None: no limit.
        reconnect_grace: How long a session whose connection dropped may resume. 0: not at all.
        kept_count_max: Messages kept for such a session; the oldest are dropped first.
        ui_events: Whether the speaker hears of failures only, or of every step.
        pairing: Node ids by pairing code.
    """

    fan_out: Literal["per_language", "session_target"] = "per_language"
    same_language: Literal["skip", "translate"] = "skip"
    language_match: Literal["exact", "primary"] = "exact"
    membership: Literal["live", "snapshot", "both"] = "live"
    resource_threshold: float = 1.0
    max_concurrent_jobs: int = 4
    policy: Literal["least_connections", "random", "choices", "any"] = "least_connections"
    choices_count: int = 2
    choices_repeat: bool = False
    tie_break: Literal["first", "rotate", "random"] = "rotate"
    load: Literal["tracked", "reported"] = "tracked"
    sticky: Literal["none", "session", "room"] = "none"
    on_no_node: Literal["reject", "queue"] = "reject"
    waiting_time_max: int = 30 * SECOND
    waiting_count_max: int = 1_000
    ordering: Literal["strict", "gap", "none"] = "gap"
    max_hold: int = 5 * SECOND
    late: Literal["drop", "deliver"] = "drop"
    job_timeout: int = 30 * SECOND
    max_attempts: int = 2
    abandon_after: int = 60 * SECOND
    cancel: Literal["never", "moot"] = "never"
    health_check_count: int = 3
    warmup_timeout: int = 60 * SECOND
    heartbeat_timeout: int = 45 * SECOND
    node_scan_interval: int = 30 * SECOND
    room_expiry: int = 30 * MINUTE
    room_scan_interval: int = 60 * SECOND
    room_size_max: int | None = None
    reconnect_grace: int = 0
    kept_count_max: int = 256
    ui_events: Literal["errors", "all"] = "errors"
    pairing: dict[str, str] = {}
