"""The names that ``bug:`` can have: broken schedulers that a scenario can be run with, to see the oracle notice.

The schedulers themselves are further up; a scenario only names one.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class BugName(NamedTuple):
    """A way for a scheduler to be broken; several that are alike share a number."""

    number: int
    name: str


BUG_NAMES: Final = (
    BugName(1, "speaker_left_out"),
    BugName(2, "everybody_gets_everything"),
    BugName(3, "speakers_language_used"),
    BugName(4, "second_language_lost"),
    BugName(5, "released_to_releasers_recipients"),
    BugName(6, "absent_language_read_as_english"),
    BugName(7, "tags_compared_by_prefix"),
    BugName(8, "recipients_frozen"),
    BugName(9, "room_looked_up_through_speaker"),
    BugName(10, "room_remembered_by_code"),
    BugName(11, "reused_code_keeps_old_members"),
    BugName(12, "leave_ignored"),
    BugName(13, "only_first_match_gets_it"),
    BugName(14, "sent_twice_to_single_recipient"),
    BugName(15, "second_attempts_result_delivered_too"),
    BugName(16, "no_order"),
    BugName(17, "failed_job_blocks_those_behind"),
    BugName(18, "late_result_delivered_after_its_gap"),
    BugName(19, "stale_result_frees_new_nodes_slot"),
    BugName(20, "slot_leaked_on_failure"),
    BugName(20, "slot_leaked_on_timeout"),
    BugName(20, "slot_leaked_on_expiry"),
    BugName(21, "no_retry"),
    BugName(21, "retry_for_ever"),
    BugName(21, "retry_on_same_dead_node"),
    BugName(22, "heartbeat_over_old_connection_revives"),
    BugName(23, "dispatch_to_node_not_ready"),
    BugName(24, "dispatch_beyond_slots"),
    BugName(25, "load_not_counted_between_heartbeats"),
    BugName(26, "disconnect_leaves_ghost_member"),
    BugName(27, "reconnect_replays_results"),
    BugName(28, "reconnect_delivers_on_old_connection"),
    BugName(29, "expiry_forgets_jobs"),
    BugName(30, "expiry_keeps_delivering"),
    BugName(31, "deduplication_lacks_language"),
    BugName(31, "deduplication_lacks_room"),
    BugName(32, "batch_payloads_shifted"),
    BugName(33, "set_decides_sending_order"),
    BugName(34, "modules_not_expanded"),
    BugName(35, "stickiness_overrides_filters"),
    BugName(36, "resource_threshold_ignored"),
    BugName(37, "one_in_ten_thousand_lost"),
    BugName(38, "tags_compared_by_case"),
    BugName(39, "language_change_ignored"),
    BugName(40, "lone_speakers_result_told_to_room"),
    BugName(41, "failure_told_to_the_room"),
    BugName(42, "same_language_translated"),
    BugName(43, "rejoining_counts_twice"),
    BugName(44, "kept_for_nobody"),
    BugName(45, "kept_sent_unchecked"),
    BugName(46, "kept_newest_first"),
    BugName(47, "held_for_ever"),
    BugName(48, "retry_loses_its_turn"),
    BugName(49, "languages_unsorted"),
    BugName(50, "newest_waits_least"),
    BugName(51, "timed_out_result_refused"),
    BugName(52, "slot_freed_on_timeout"),
    BugName(53, "retry_where_it_failed"),
    BugName(54, "waiting_counts_as_work"),
    BugName(55, "placed_for_nobody"),
    BugName(56, "drain_ignored"),
    BugName(57, "drain_ends_with_first_job"),
    BugName(58, "unhealthy_stays_ready"),
    BugName(59, "rooms_take_the_first_node"),
    BugName(60, "features_ignored"),
    BugName(61, "expiry_ignores_speech"),
    BugName(62, "code_taken_twice"),
    BugName(63, "leave_undoes_the_join_after_it"),
    BugName(64, "last_subscription_dropped"),
    BugName(65, "stale_close_ends_session"),
    BugName(66, "repeated_utterance_taken"),
    BugName(67, "lost_nodes_jobs_vanish"),
)
"""Every name there is, in order of number."""
