"""Clients in a whole world: how they get into their room, lose their connection, come back and go."""

from __future__ import annotations

from typing import Any

import pytest

from simroom.oracle.ledger import NONE
from simroom.scheduler.messages import (
    Error,
    ErrorCode,
    Member,
    RoomCreate,
    RoomError,
    RoomExpired,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    RoomMembers,
    SessionClose,
    SessionCloseAck,
    SessionInit,
    SessionInitAck,
    TranslationResult,
    Utterance,
)
from simroom.sim.run import RunData

from .worlds import SECOND, Data, Tap, tapped

ZERO = 20 * SECOND
"""The scenario's time 0 on the engine's clock."""


def room(members: dict[str, Data], says: list[tuple[str, str]] | None = None, **more: Any) -> Data:
    """One room on a fast node; ``says`` is who says something of half a second, and from when on."""
    people = [{"name": name, "tgt_lang": "ja", "talks": 1} | member for name, member in members.items()]
    script = [{"at": at, "length": "500ms", "speaker": name} for name, at in says or []]
    nodes = [{"name": "node", "slots": 50, "gpu": {"model": "serial", "streams": 50}, "service": "100ms"}]
    speech = {"script": script} if script else "none"
    data: Data = {"simroom": 1, "name": "clients", "lead_in": "20s", "duration": "30s", "drain": "1min"}
    data |= {"rooms": [{"name": "room", "members": people, "speech": speech}], "nodes": nodes}
    nodes[0]["heartbeat"] = {"every": "1s"}
    return data | more


def clean(data: Data, seed: int = 1) -> tuple[RunData, Tap]:
    """Run it; the oracle must have nothing to say."""
    run, tap = tapped(data, seed)
    assert run.verdict.violations == ()
    return run, tap


def heard_by(run: RunData, name: str) -> list[tuple[str, int]]:
    """(speaker, index) of every result that a client got, in order of arrival."""
    ledger = run.ledger
    deliveries, jobs, utterances = ledger.deliveries(), ledger.jobs(), ledger.utterances()
    who = ledger.sessions.names.index(f"room/{name}")
    rows = jobs["utterance"][deliveries["job"][deliveries["recipient"] == who]]
    return [
        (
            ledger.sessions.names[utterances["speaker"][row]].removeprefix("room/"),
            int(utterances["utterance_index"][row]),
        )
        for row in rows
    ]


def names(members: tuple[Member, ...]) -> list[str]:
    return sorted(member.display_name or "" for member in members)


def last_members(tap: Tap) -> list[str]:
    """Who was in the room when its members were shown for the last time."""
    return names(tap.told(RoomMembers)[-1][1].members)


def connections_of(tap: Tap, name: str) -> list[int]:
    """The connections of a client in order, found by what it calls itself in its rooms."""
    session_ids = {
        member.session_id
        for _, shown in tap.told(RoomMembers)
        for member in shown.members
        if member.display_name == name
    }
    return [
        each.connection
        for each in tap.sent
        if type(each.message) is SessionInitAck and each.message.session_id in session_ids
    ]


ZH_EN: dict[str, Data] = {"mei": {"speaks": "zh"}, "anna": {"speaks": "en"}}

DELAYS: dict[str, Any] = {
    "none": "0s",
    "constant": "200ms",
    "varying": {"uniform": {"from": "1ms", "to": "900ms"}},
    "slow down": {"up": "1ms", "down": {"uniform": {"from": "1ms", "to": "2s"}}},
}


def network(delay: Any) -> Data:
    return {"session": delay if isinstance(delay, dict) and "up" in delay else {"delay": delay}}


delays = pytest.mark.parametrize("delay", DELAYS.values(), ids=DELAYS)
graces = pytest.mark.parametrize("grace", ["0s", "5s"])


# --- getting in


@delays
@pytest.mark.parametrize("seed", [1, 2])
def test_however_many_arrive_at_once_one_opens_the_room_and_all_the_others_join_it(delay: Any, seed: int) -> None:
    members: dict[str, Data] = {f"m{number}": {"speaks": "zh" if number % 2 else "en"} for number in range(7)}
    _, tap = clean(room(members, network=network(delay)), seed)
    assert len(tap.heard(RoomCreate)) == 1
    assert len(tap.heard(RoomJoin)) == 6
    assert tap.told(RoomError) == []
    assert last_members(tap) == sorted(members)


def test_who_joins_late_hears_what_is_sent_from_then_on() -> None:
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en"},
        "late": {"speaks": "en", "joins": "10s"},
    }
    says = [("mei", "5s"), ("mei", "9s"), ("mei", "9400ms"), ("mei", "12s")]
    run, tap = clean(room(members, says))
    assert heard_by(run, "anna") == [("mei", 0), ("mei", 1), ("mei", 2), ("mei", 3)]
    # The third ends at 9.9 s; its result is sent at 10 s, after the messages of that instant.
    assert heard_by(run, "late") == [("mei", 3)]
    (late,) = connections_of(tap, "late")
    assert min(each.at for each in tap.said if each.connection == late) == ZERO + 10 * SECOND


def test_somebody_for_whom_the_room_is_full_stays_outside_and_may_try_again() -> None:
    members: dict[str, Data] = {
        **ZH_EN,
        "third": {
            "speaks": "en",
            "joins": "1s",
            "events": [{"at": "10s", "leave": "1s"}, {"at": "20s", "leave": "1s"}],
        },
        "leaver": {"speaks": "ja", "events": [{"at": "15s", "leave": {}}]},
    }
    run, tap = clean(room(members, [("mei", "5s"), ("mei", "25s")], scheduler={"room_size_max": 3}))
    assert [error.code for _, error in tap.told(RoomError)] == [ErrorCode.ROOM_FULL, ErrorCode.ROOM_FULL]
    assert heard_by(run, "third") == [("mei", 1)]
    assert last_members(tap) == ["anna", "mei", "third"]


@graces
@pytest.mark.parametrize("after", ["7ms", "12ms", "17ms", "23ms", "27ms", "33ms"])
def test_if_the_one_who_opens_the_room_drops_out_everybody_ends_up_in_one_room_all_the_same(
    grace: str, after: str
) -> None:
    """The connection is lost at each step of the opening; a hop takes 5 ms."""
    members: dict[str, Data] = {
        "opener": {"speaks": "zh", "joins": "0s", "events": [{"at": after, "drop": "500ms"}]},
        "second": {"speaks": "en", "joins": "1ms"},
        "third": {"speaks": "ja", "joins": "2ms"},
    }
    data = room(members, [("opener", "10s"), ("second", "20s")], network=network("5ms"))
    run, tap = clean(data | {"scheduler": {"reconnect_grace": grace}})
    assert last_members(tap) == ["opener", "second", "third"]
    assert [heard_by(run, name) for name in ("opener", "second", "third")] == [
        [("second", 0)],
        [("opener", 0)],
        [("opener", 0), ("second", 0)],
    ]
    assert run.unspoken == 0


@graces
def test_if_the_opener_never_comes_back_the_next_one_opens_the_room(grace: str) -> None:
    members: dict[str, Data] = {
        "opener": {"speaks": "zh", "joins": "0s", "events": [{"at": "12ms", "drop": {}}]},
        "second": {"speaks": "en", "joins": "1ms"},
        "third": {"speaks": "ja", "joins": "2ms"},
    }
    run, tap = clean(room(members, [("second", "10s")], network=network("5ms"), scheduler={"reconnect_grace": grace}))
    assert last_members(tap) == ["second", "third"]
    assert heard_by(run, "third") == [("second", 0)]


# --- dropping out


def test_who_is_back_within_the_grace_is_the_same_member_and_gets_what_was_kept_in_order() -> None:
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en", "events": [{"at": "10s", "drop": "4s"}]},
    }
    says = [("mei", f"{at}s") for at in (5, 10, 11, 12, 20)]
    run, tap = clean(room(members, says, scheduler={"reconnect_grace": "5s"}))
    assert heard_by(run, "anna") == [("mei", index) for index in range(5)]
    first, second = connections_of(tap, "anna")
    ((_, init),) = tap.heard(SessionInit, second)
    assert init.resume is not None
    assert [at for at, _ in tap.told(TranslationResult, second)] == [
        *(3 * [ZERO + 14 * SECOND]),
        ZERO + 20_600_000,
    ]
    assert [at for at, _ in tap.told(TranslationResult, first)] == [ZERO + 5_600_000]
    assert last_members(tap) == ["anna", "mei"]


def test_who_is_back_after_the_grace_has_a_new_session_and_has_missed_the_rest() -> None:
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en", "events": [{"at": "10s", "drop": "6s"}]},
    }
    says = [("mei", f"{at}s") for at in (5, 10, 12, 20)]
    run, tap = clean(room(members, says, scheduler={"reconnect_grace": "5s"}))
    assert heard_by(run, "anna") == [("mei", 0), ("mei", 3)]
    assert [error.code for _, error in tap.told(Error)] == [ErrorCode.INVALID_SESSION]
    inits = [init.resume is not None for _, init in tap.heard(SessionInit)]
    assert inits == [False, False, True, False]
    assert last_members(tap) == ["anna", "mei"]


def test_without_a_grace_a_drop_is_a_leave_at_once() -> None:
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en", "events": [{"at": "10s", "drop": "1s"}]},
    }
    run, tap = clean(room(members, [("mei", "9800ms"), ("mei", "10500ms"), ("mei", "12s")]))
    # The first ends while nobody else is in the room and is for mei herself.
    assert heard_by(run, "anna") == [("mei", 2)]
    assert all(init.resume is None for _, init in tap.heard(SessionInit))
    assert [names(shown.members) for at, shown in tap.told(RoomMembers) if at == ZERO + 10 * SECOND] == [["mei"]]


@graces
def test_what_is_said_while_the_connection_is_lost_is_counted_as_unspoken(grace: str) -> None:
    members: dict[str, Data] = {
        "mei": {"speaks": "zh", "events": [{"at": "10s", "drop": "4s"}]},
        "anna": {"speaks": "en"},
    }
    says = [("mei", f"{at}s") for at in (5, 10, 11, 13, 20)]
    run, tap = clean(room(members, says, network=network("10ms"), scheduler={"reconnect_grace": grace}))
    assert run.unspoken == 3
    assert run.ledger.utterance_count == len(tap.heard(Utterance)) == 2
    # A new session begins to count anew.
    assert heard_by(run, "anna") == ([("mei", 0), ("mei", 1)] if grace == "5s" else [("mei", 0), ("mei", 0)])


def test_a_drop_before_joining_does_not_make_anybody_come_early() -> None:
    members: dict[str, Data] = {
        **ZH_EN,
        "late": {"speaks": "en", "joins": "10s", "events": [{"at": "2s", "drop": "1s"}]},
    }
    _, tap = clean(room(members))
    (late,) = connections_of(tap, "late")
    assert min(each.at for each in tap.said if each.connection == late) == ZERO + 10 * SECOND


def test_a_drop_while_already_gone_changes_nothing() -> None:
    events = [{"at": "10s", "drop": "4s"}, {"at": "11s", "drop": "1s"}]
    _, tap = clean(room({**ZH_EN, "shaky": {"speaks": "en", "events": events}}))
    opened = [each.at for each in tap.said if each.connection == connections_of(tap, "shaky")[1]]
    assert opened[0] == ZERO + 14 * SECOND


def test_who_drops_out_between_asking_and_entering_is_a_member_when_back() -> None:
    members: dict[str, Data] = {
        **ZH_EN,
        "shaky": {"speaks": "en", "joins": "5s", "events": [{"at": "5022ms", "drop": "500ms"}]},
    }
    says = [("mei", "10s"), ("shaky", "15s")]
    run, tap = clean(room(members, says, network=network("5ms"), scheduler={"reconnect_grace": "5s"}))
    assert heard_by(run, "shaky") == [("mei", 0)]
    assert heard_by(run, "mei") == [("shaky", 0)]
    assert last_members(tap) == ["anna", "mei", "shaky"]


# --- changing one's mind


def test_a_change_of_language_decides_which_translation_one_gets() -> None:
    events = [{"at": "10s", "change": {"preferred_lang": "ja"}}, {"at": "20s", "change": {"preferred_lang": "none"}}]
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en", "events": events},
        "bo": {"speaks": "en"},
    }
    run, _ = clean(room(members, [("mei", "5s"), ("mei", "15s"), ("mei", "25s")]))
    assert heard_by(run, "anna") == [("mei", 0), ("mei", 1)]
    deliveries, jobs = run.ledger.deliveries(), run.ledger.jobs()
    anna = run.ledger.sessions.names.index("room/anna")
    languages = [
        run.ledger.languages.names[tag] for tag in jobs["tgt_lang"][deliveries["job"][deliveries["recipient"] == anna]]
    ]
    assert languages == ["en", "ja"]


@graces
def test_a_language_chosen_while_away_is_told_on_coming_back(grace: str) -> None:
    events = [{"at": "10s", "drop": "3s"}, {"at": "11s", "change": {"preferred_lang": "ja"}}]
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en", "events": events},
        "bo": {"speaks": "en"},
    }
    run, tap = clean(room(members, [("mei", "20s")], network=network("5ms"), scheduler={"reconnect_grace": grace}))
    assert heard_by(run, "anna") == [("mei", 0)]
    assert {
        member.preferred_lang for member in tap.told(RoomMembers)[-1][1].members if member.display_name == "anna"
    } == {"ja"}
    assert len(tap.heard(RoomLanguage)) == (1 if grace == "5s" else 0)


def test_a_language_chosen_while_entering_is_told_once_inside() -> None:
    events = [{"at": "5012ms", "change": {"preferred_lang": "ja"}}]
    members: dict[str, Data] = {**ZH_EN, "hasty": {"speaks": "en", "joins": "5s", "events": events}}
    _, tap = clean(room(members, network=network("5ms")))
    assert [(at, message.preferred_lang) for at, message in tap.heard(RoomLanguage)] == [(ZERO + 5_025_000, "ja")]


@graces
def test_who_leaves_while_away_leaves_on_coming_back(grace: str) -> None:
    events = [{"at": "10s", "drop": "3s"}, {"at": "11s", "leave": {}}]
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en", "events": events},
        "bo": {"speaks": "en"},
    }
    run, tap = clean(room(members, [("mei", "20s")], network=network("5ms"), scheduler={"reconnect_grace": grace}))
    assert heard_by(run, "anna") == []
    assert last_members(tap) == ["bo", "mei"]
    assert len(tap.heard(RoomLeave)) == (1 if grace == "5s" else 0)


@pytest.mark.parametrize("back", [{}, {"for": "200ms"}])
def test_who_leaves_while_entering_leaves_as_soon_as_inside(back: Data) -> None:
    events = [{"at": "5012ms", "leave": back}]
    members: dict[str, Data] = {**ZH_EN, "hasty": {"speaks": "en", "joins": "5s", "events": events}}
    run, tap = clean(room(members, [("mei", "20s")], network=network("5ms")))
    assert [at for at, _ in tap.heard(RoomLeave)] == [ZERO + 5_025_000]
    assert last_members(tap) == (["anna", "hasty", "mei"] if back else ["anna", "mei"])
    assert heard_by(run, "hasty") == ([("mei", 0)] if back else [])


def test_who_leaves_and_comes_back_is_a_member_again() -> None:
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en", "events": [{"at": "10s", "leave": "5s"}]},
        "bo": {"speaks": "en"},
    }
    run, tap = clean(room(members, [("mei", f"{at}s") for at in (5, 11, 20)]))
    assert heard_by(run, "anna") == [("mei", 0), ("mei", 2)]
    assert len(connections_of(tap, "anna")) == 1


# --- the end


def test_a_room_that_expired_is_opened_anew_by_the_first_who_comes_back() -> None:
    events = [{"at": "15s", "leave": "1s"}]
    members: dict[str, Data] = {
        "mei": {"speaks": "zh", "joins": "0s", "events": events},
        "anna": {"speaks": "en", "joins": "0s", "events": events},
        "bo": {"speaks": "en", "joins": "0s"},
    }
    scheduler = {"room_expiry": "5s", "room_scan_interval": "1s"}
    run, tap = clean(room(members, [("mei", "2s"), ("mei", "17s")], network=network("5ms"), scheduler=scheduler))
    # Last sent into it at 2.62 s on the scheduler's clock; the second room is quiet from 17.62 s on.
    assert [at for at, _ in tap.told(RoomExpired)] == 3 * [ZERO + 8 * SECOND] + 2 * [ZERO + 23 * SECOND]
    assert len(tap.heard(RoomCreate)) == 2
    assert len({shown.room_code for _, shown in tap.told(RoomMembers)}) == 2
    assert heard_by(run, "anna") == [("mei", 0), ("mei", 1)]
    assert heard_by(run, "bo") == [("mei", 0)]


def test_who_asks_for_a_room_that_has_just_expired_opens_it_anew() -> None:
    """The request and the notice cross on their way."""
    members: dict[str, Data] = {
        "mei": {"speaks": "zh", "joins": "0s"},
        "late": {"speaks": "en", "joins": "11920ms"},
        "later": {"speaks": "en", "joins": "11930ms"},
    }
    scheduler = {"room_expiry": "10s", "room_scan_interval": "2s"}
    _, tap = clean(room(members, network=network("50ms"), scheduler=scheduler))
    assert [error.code for _, error in tap.told(RoomError)] == [ErrorCode.ROOM_NOT_FOUND, ErrorCode.ROOM_NOT_FOUND]
    assert len(tap.heard(RoomCreate)) == 2
    assert [names(shown.members) for _, shown in tap.told(RoomMembers)][-1] == ["late", "later"]


def test_who_closes_says_so_and_hangs_up_at_the_acknowledgement() -> None:
    events = [{"at": "10s", "close": {}}, {"at": "12s", "leave": "1s"}, {"at": "13s", "drop": "1s"}]
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "anna": {"speaks": "en", "events": events},
        "bo": {"speaks": "en"},
    }
    run, tap = clean(room(members, [("mei", "5s"), ("mei", "15s"), ("anna", "20s")], network=network("5ms")))
    (anna,) = connections_of(tap, "anna")
    assert [at for at, _ in tap.heard(SessionClose)] == [ZERO + 10_005_000]
    assert len(tap.told(SessionCloseAck, anna)) == 1
    assert [each.at for each in tap.said if each.closed] == [ZERO + 10_015_000]
    assert heard_by(run, "anna") == [("mei", 0)]
    assert run.unspoken == 1
    assert last_members(tap) == ["bo", "mei"]


@graces
@pytest.mark.parametrize("after", ["3ms", "7ms", "12ms", "17ms"])
def test_who_closes_before_having_arrived_is_gone_all_the_same(grace: str, after: str) -> None:
    members: dict[str, Data] = {
        **ZH_EN,
        "brief": {"speaks": "en", "joins": "0s", "events": [{"at": after, "close": {}}]},
    }
    _, tap = clean(room(members, [("mei", "10s")], network=network("5ms"), scheduler={"reconnect_grace": grace}))
    assert len(tap.heard(SessionClose)) == 1
    assert len([each for each in tap.said if each.closed]) == 1
    assert last_members(tap) == ["anna", "mei"]


@pytest.mark.parametrize("after", ["12ms", "17ms"])
def test_who_closes_while_entering_does_not_count_as_there(after: str) -> None:
    members: dict[str, Data] = {
        "mei": {"speaks": "zh"},
        "brief": {"speaks": "en", "joins": "0s", "events": [{"at": after, "close": {}}]},
    }
    run, _ = clean(room(members, [("mei", "10s")], network=network("5ms")))
    assert run.ledger.utterances()["room"].tolist() == [NONE], "mei is alone"


@pytest.mark.parametrize("after", ["2001ms", "2007ms", "2012ms"])
@pytest.mark.parametrize("grace", ["0s", "1s", "5s"])
def test_who_closes_while_coming_back_is_gone_all_the_same(grace: str, after: str) -> None:
    """Just back, on the way to be acknowledged, resumed or refused."""
    events = [{"at": "0s", "drop": "2s"}, {"at": after, "close": {}}]
    members: dict[str, Data] = {**ZH_EN, "brief": {"speaks": "en", "events": events}}
    _, tap = clean(room(members, [("mei", "10s")], network=network("5ms"), scheduler={"reconnect_grace": grace}))
    opened = [each.connection for each in tap.said if each.message is None and not each.closed]
    closed = [each.connection for each in tap.said if each.closed]
    assert len(opened) == 5  # the node's among them
    assert len(closed) == 2
    assert last_members(tap) == ["anna", "mei"]
    sessions = len({ack.session_id for _, ack in tap.told(SessionInitAck)})
    refused = grace == "0s" or (grace == "1s" and after == "2012ms")  # and by then it has asked for a new session
    assert sessions == (4 if refused else 3)


def test_single_sessions_drop_out_and_close_like_members() -> None:
    speech = {"script": [{"at": f"{at}s", "length": "500ms"} for at in (5, 10, 15, 20)]}
    data = room(ZH_EN, scheduler={"reconnect_grace": "5s"})
    events = [{"at": "10s", "drop": "2s"}, {"at": "18s", "close": {}}]
    data["sessions"] = [{"name": "solo", "src_lang": "zh", "tgt_lang": "en", "speech": speech, "events": events}]
    run, tap = clean(data)
    assert run.unspoken == 2
    assert run.verdict.ends["delivered"] == 2
    assert len(tap.heard(SessionClose)) == 1
