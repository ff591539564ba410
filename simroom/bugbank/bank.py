"""The bank: every bug by its name, with what it breaks and the invariants that must notice.

A name is also an attribute of this module, so ``--scheduler simroom.bugbank.bank:no_order`` runs with that bug.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from simroom.bugbank import attempts, nodes, recipients, rooms, sending, turns
from simroom.bugbank.parts import Broken
from simroom.scheduler.port import SchedulerFactory

LISTED_COUNT: Final = 36
"""Bugs up to this number are classics, with their variants under one number; above it are some more."""


class Bug(Struct, frozen=True):
    """One way for a scheduler to be broken.

    Attributes:
        number: Variants share one.
        what: One sentence.
        invariants: At least one of them must be breached, in some scenario.
        make: Makes the broken scheduler.
        equivalent: Why nobody can tell it from a sound one; None: one can.
        rarity: How many times as many scenarios as others it may take to be noticed.
    """

    number: int
    name: str
    what: str
    invariants: tuple[str, ...]
    make: SchedulerFactory
    equivalent: str | None = None
    rarity: int = 1


def _bug(number: int, name: str, make: type[Broken], *invariants: str, rarity: int = 1) -> Bug:
    return Bug(number, name, (make.__doc__ or "").strip(), invariants, make, rarity=rarity)


_BUGS: Final = (
    _bug(1, "speaker_left_out", recipients.SpeakerLeftOut, "I1"),
    _bug(2, "everybody_gets_everything", recipients.EverybodyInTheRoom, "I1"),
    _bug(3, "speakers_language_used", recipients.SpeakersLanguage, "I1"),
    _bug(4, "second_language_lost", turns.SecondLanguageLost, "I1"),
    _bug(5, "released_to_releasers_recipients", recipients.ReleasersRecipients, "I1"),
    _bug(6, "absent_language_read_as_english", recipients.NoLanguageIsEnglish, "I1"),
    _bug(7, "tags_compared_by_prefix", recipients.TagsByPrefix, "I1"),
    _bug(8, "recipients_frozen", recipients.RecipientsFrozen, "I1", "I7"),
    _bug(9, "room_looked_up_through_speaker", recipients.RoomThroughSpeaker, "I1", "I7"),
    _bug(10, "room_remembered_by_code", recipients.RoomByCode, "I1", "I7"),
    _bug(11, "reused_code_keeps_old_members", rooms.CodeKeepsMembers, "I1", "I7", "reply"),
    _bug(12, "leave_ignored", rooms.LeaveIgnored, "I1", "I7", "reply"),
    _bug(13, "only_first_match_gets_it", recipients.FirstMatchOnly, "I1"),
    _bug(14, "sent_twice_to_single_recipient", sending.SentTwiceToOne, "I2"),
    _bug(15, "second_attempts_result_delivered_too", sending.SecondAttemptToo, "I2"),
    _bug(16, "no_order", turns.NoOrder, "I3"),
    _bug(17, "failed_job_blocks_those_behind", turns.FailureBlocks, "I1"),
    _bug(18, "late_result_delivered_after_its_gap", turns.LateDelivered, "I3"),
    _bug(19, "stale_result_frees_new_nodes_slot", attempts.StaleResultFreesNewSlot, "I4", "I5"),
    _bug(20, "slot_leaked_on_failure", attempts.SlotLeakedOnFailure, "I5"),
    _bug(20, "slot_leaked_on_timeout", attempts.SlotLeakedOnTimeout, "I5"),
    _bug(20, "slot_leaked_on_expiry", attempts.SlotLeakedOnExpiry, "I5"),
    _bug(21, "no_retry", attempts.NeverTriedAgain, "I5", "I6"),
    _bug(21, "retry_for_ever", attempts.TriedForEver, "I6"),
    _bug(21, "retry_on_same_dead_node", attempts.TriedOnTheDeadNode, "I4"),
    _bug(22, "heartbeat_over_old_connection_revives", nodes.OldConnectionRevives, "I4"),
    _bug(23, "dispatch_to_node_not_ready", nodes.NotReadyGetsJobs, "I4"),
    _bug(24, "dispatch_beyond_slots", nodes.BeyondTheSlots, "I4"),
    _bug(25, "load_not_counted_between_heartbeats", nodes.LoadFromHeartbeats, "I4", "I5"),
    _bug(26, "disconnect_leaves_ghost_member", rooms.GhostAfterDisconnect, "I1", "reply"),
    _bug(27, "reconnect_replays_results", sending.ReplayedAfterReconnect, "I2"),
    _bug(28, "reconnect_delivers_on_old_connection", sending.SentOverTheOldConnection, "I1"),
    _bug(29, "expiry_forgets_jobs", rooms.ExpiryForgetsJobs, "I6"),
    _bug(30, "expiry_keeps_delivering", rooms.ExpiryKeepsDelivering, "I7"),
    _bug(31, "deduplication_lacks_language", sending.DuplicateKeyLacksLanguage, "I1"),
    _bug(31, "deduplication_lacks_room", sending.DuplicateKeyLacksRoom, "I1"),
    _bug(32, "batch_payloads_shifted", sending.PayloadsShifted, "token"),
    _bug(33, "set_decides_sending_order", recipients.SetDecides, "I1"),
    _bug(34, "modules_not_expanded", nodes.ModulesNotExpanded, "I4"),
    _bug(35, "stickiness_overrides_filters", nodes.StickyAtAnyCost, "I4"),
    _bug(36, "resource_threshold_ignored", nodes.ThresholdIgnored, "I4"),
    # More than the classics: recipients and sending.
    _bug(37, "one_in_ten_thousand_lost", recipients.OneInTenThousandLost, "I1", rarity=20),
    _bug(38, "tags_compared_by_case", recipients.TagsByCase, "I1"),
    _bug(39, "language_change_ignored", recipients.LanguageChangeIgnored, "I1"),
    _bug(40, "lone_speakers_result_told_to_room", recipients.LoneSpeakersRoom, "I1", "I7"),
    _bug(41, "failure_told_to_the_room", recipients.FailureToldToTheRoom, "I7", "reply"),
    _bug(42, "same_language_translated", recipients.SameLanguageTranslated, "I1", "I6", "reply"),
    _bug(43, "rejoining_counts_twice", sending.RejoiningCountsTwice, "I2"),
    _bug(44, "kept_for_nobody", sending.KeptForNobody, "I1"),
    _bug(45, "kept_sent_unchecked", sending.KeptSentUnchecked, "I1", "I7"),
    _bug(46, "kept_newest_first", sending.KeptNewestFirst, "I3"),
    # Turns and attempts.
    _bug(47, "held_for_ever", turns.HeldForEver, "I1"),
    _bug(48, "retry_loses_its_turn", turns.RetryLosesItsTurn, "I3"),
    _bug(49, "languages_unsorted", turns.LanguagesUnsorted, "I3"),
    _bug(50, "newest_waits_least", turns.NewestWaitsLeast, "I3", "I5"),
    _bug(51, "timed_out_result_refused", turns.TimedOutResultRefused, "I1"),
    _bug(52, "slot_freed_on_timeout", attempts.SlotFreedOnTimeout, "I4", "I5"),
    _bug(53, "retry_where_it_failed", attempts.TriedWhereItFailed, "I5"),
    _bug(54, "waiting_counts_as_work", attempts.WaitingCountsAsWork, "I6"),
    _bug(55, "placed_for_nobody", attempts.PlacedForNobody, "I6"),
    # Nodes.
    _bug(56, "drain_ignored", nodes.DrainIgnored, "I4", "reply"),
    _bug(57, "drain_ends_with_first_job", attempts.DrainEndsWithFirstJob, "I5", "I6"),
    _bug(58, "unhealthy_stays_ready", nodes.UnhealthyStaysReady, "I4", "reply"),
    _bug(59, "rooms_take_the_first_node", nodes.RoomsTakeTheFirst, "I5"),
    _bug(60, "features_ignored", nodes.FeaturesIgnored, "I4"),
    # Rooms and sessions.
    _bug(61, "expiry_ignores_speech", rooms.ExpiryIgnoresSpeech, "I7", "reply"),
    _bug(62, "code_taken_twice", rooms.CodeTakenTwice, "I7", "reply"),
    _bug(63, "leave_undoes_the_join_after_it", rooms.LeaveAfterJoin, "I1", "reply"),
    _bug(64, "last_subscription_dropped", rooms.LastSubscriptionDropped, "I1"),
    _bug(65, "stale_close_ends_session", rooms.StaleCloseEndsSession, "I1", "reply"),
    _bug(66, "repeated_utterance_taken", rooms.RepeatedUtteranceTaken, "I1", "I2", "reply"),
    # One more of attempts.
    _bug(67, "lost_nodes_jobs_vanish", attempts.LostNodesJobsVanish, "I5", "I6", "L1"),
)

BUGS: Final[Mapping[str, Bug]] = MappingProxyType({bug.name: bug for bug in _BUGS})
"""By name, in order of number."""

CANARY: Final = _bug(0, "every_result_lost", recipients.EveryResultLost, "I1")
"""Must be noticed by whoever looks, in every scenario in which anybody should hear anything."""


def __getattr__(name: str) -> SchedulerFactory:
    """The factory of a bug, by its name."""
    bug = CANARY if name == CANARY.name else BUGS.get(name)
    if bug is None:
        raise AttributeError(f"there is no bug {name!r}")
    return bug.make
