"""Scripts in a whole world: each line happens at its instant, exactly, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from simroom.scheduler.messages import (
    JobAssign,
    JobResult,
    NodeControl,
    NodeRegister,
    RoomCreate,
    RoomJoin,
    RoomLanguage,
    RoomLeave,
    SessionClose,
    SessionInit,
    UiEvent,
    Utterance,
)
from simroom.sim.run import RunData

from .test_clients import connections_of, last_members
from .worlds import SECOND, Data, Tap, tapped

ZERO = 20 * SECOND

MEI = "room/mei"
ANNA = "room/anna"


def scripted(*lines: Data, members: dict[str, Data] | None = None, **more: Any) -> Data:
    """Mei speaks Chinese and Anna hears English, on a node that takes 100 ms and beats every second."""
    people = members or {"mei": {"speaks": "zh"}, "anna": {"speaks": "en"}}
    node = {
        "name": "node",
        "slots": 50,
        "gpu": {"model": "serial", "streams": 50},
        "service": "100ms",
        "heartbeat": {"every": "1s"},
    }
    return {
        "simroom": 1,
        "name": "scripted",
        "lead_in": "20s",
        "duration": "30s",
        "drain": "1min",
        "rooms": [
            {"name": "room", "members": [{"name": name, "tgt_lang": "ja"} | one for name, one in people.items()]}
        ],
        "nodes": [node],
        "script": list(lines),
    } | more


def at(seconds: float, **action: Any) -> Data:
    return {"at": f"{round(seconds * 1_000)}ms", **action}


def clean(data: Data) -> tuple[RunData, Tap]:
    run, tap = tapped(data)
    assert run.verdict.violations == ()
    assert not run.undrained
    return run, tap


def instants(tap: Tap, kind: type) -> list[float]:
    """When messages of a kind came to the scheduler, in seconds from time 0."""
    return [(each - ZERO) / SECOND for each, _ in tap.heard(kind)]


def heard_by(run: RunData, name: str) -> list[float]:
    """When results arrived at somebody, in seconds from time 0."""
    deliveries = run.ledger.deliveries()
    who = run.ledger.sessions.names.index(name)
    return [(each - ZERO) / SECOND for each in deliveries["arrived_at"][deliveries["recipient"] == who].tolist()]


# --- people


def test_nobody_says_anything_that_is_not_in_the_script() -> None:
    run, tap = clean(scripted(at(5, speak={"member": MEI, "length": "2s"})))
    assert instants(tap, Utterance) == [7]
    utterances = run.ledger.utterances()
    assert [(int(each) - ZERO) / SECOND for each in utterances["started_at"]] == [5]
    assert [(int(each) - ZERO) / SECOND for each in utterances["ended_at"]] == [7]
    assert heard_by(run, ANNA) == [7.1]


def test_an_utterance_lasts_a_second_where_nothing_is_said() -> None:
    _, tap = clean(scripted(at(5, speak=MEI)))
    assert instants(tap, Utterance) == [6]


def test_who_joins_in_the_script_is_not_there_before() -> None:
    run, tap = clean(scripted(at(2, join=ANNA), at(1, speak=MEI), at(1.5, speak=MEI)))
    (anna,) = connections_of(tap, "anna")
    assert [(each - ZERO) / SECOND for each, _ in tap.heard(SessionInit, anna)] == [2]
    assert len(tap.heard(RoomCreate)) == len(tap.heard(RoomJoin)) == 1
    # The result of what Mei said alone is for herself; it is sent at 2.1 s.
    assert heard_by(run, MEI) == [2.1]
    assert heard_by(run, ANNA) == [2.6]


def test_a_member_leaves_and_comes_back_as_the_lines_say() -> None:
    people: dict[str, Data] = {"mei": {"speaks": "zh"}, "anna": {"speaks": "en"}, "bo": {"speaks": "en"}}
    lines = [at(2, leave=ANNA), at(6, come_back=ANNA), *(at(each, speak=MEI) for each in (0, 3, 7))]
    run, tap = clean(scripted(*lines, members=people))
    assert instants(tap, RoomLeave) == [2]
    assert heard_by(run, ANNA) == [1.1, 8.1]
    assert heard_by(run, "room/bo") == [1.1, 4.1, 8.1]


def test_who_leaves_in_the_script_stays_away_where_no_line_says_otherwise() -> None:
    _, tap = clean(scripted(at(2, leave=ANNA)))
    assert last_members(tap) == ["mei"]
    run, tap = clean(scripted(at(2, leave={"member": ANNA, "for": "3s"}), at(6, speak=MEI)))
    assert last_members(tap) == ["anna", "mei"]
    assert heard_by(run, ANNA) == [7.1]


@pytest.mark.parametrize("grace", ["0s", "10s"])
def test_a_lost_connection_is_lost_until_a_line_says_otherwise(grace: str) -> None:
    lines = [at(2, drop=ANNA), at(8, connect=ANNA), at(3, speak=MEI), at(9, speak=MEI)]
    run, tap = clean(scripted(*lines, scheduler={"reconnect_grace": grace}))
    assert [each for each in instants(tap, SessionInit) if each > 0] == [8]
    # Within the grace what was said meanwhile was kept; without one Mei was alone, and it was for herself.
    assert heard_by(run, ANNA) == ([8, 10.1] if grace == "10s" else [10.1])
    _, tap = clean(scripted(at(2, drop=ANNA)))
    assert [each for each in instants(tap, SessionInit) if each > 0] == []


def test_connecting_or_coming_back_without_having_been_away_changes_nothing() -> None:
    _, tap = clean(scripted(at(2, connect=ANNA), at(3, come_back=ANNA), at(4, join=MEI)))
    # Mei has a line that she joins by: it is her only one.
    assert instants(tap, SessionInit)[-1] == 4
    assert len(tap.heard(SessionInit)) == 2
    assert last_members(tap) == ["anna", "mei"]


def test_a_session_closes_and_a_member_changes_the_language() -> None:
    lines = [at(2, change={"member": ANNA, "preferred_lang": "ja"}), at(3, speak=MEI), at(6, close=ANNA)]
    run, tap = clean(scripted(*lines))
    assert instants(tap, RoomLanguage) == [2]
    assert instants(tap, SessionClose) == [6]
    assert [message.tgt_lang for _, message in tap.told(JobAssign)] == ["ja"]
    assert heard_by(run, ANNA) == [4.1]


def test_what_is_said_by_somebody_who_is_away_is_counted_as_unspoken() -> None:
    run, tap = clean(scripted(at(2, drop=MEI), at(3, speak=MEI)))
    assert run.unspoken == 1
    assert tap.heard(Utterance) == []


# --- jobs


def test_a_line_can_say_how_long_a_node_works_on_each_language() -> None:
    people: dict[str, Data] = {"mei": {"speaks": "zh"}, "anna": {"speaks": "en"}, "yuki": {"speaks": "ja"}}
    lines = [
        at(1, speak={"member": MEI, "service": {"ja": "3s", "en": "1s"}}),
        at(10, speak={"member": MEI, "service": "2s"}),
        at(20, speak={"member": MEI, "service": {"ja": "500ms"}}),
    ]
    run, _ = clean(scripted(*lines, members=people))
    assert heard_by(run, ANNA) == [3, 13, 21.1]
    assert heard_by(run, "room/yuki") == [5, 13, 21.5]


def test_a_line_can_say_that_a_job_fails() -> None:
    people: dict[str, Data] = {"mei": {"speaks": "zh"}, "anna": {"speaks": "en"}, "yuki": {"speaks": "ja"}}
    lines = [
        at(1, speak={"member": MEI, "fails": {"ja": "INTERNAL_ERROR"}}),
        at(10, speak={"member": MEI, "fails": "UNSUPPORTED_FEATURE"}),
    ]
    run, tap = clean(scripted(*lines, members=people))
    assert heard_by(run, ANNA) == [2.1]
    assert heard_by(run, "room/yuki") == []
    assert run.verdict.ends["failed"] == 3
    # The first code is tried again elsewhere, here on the only node there is; the second is not.
    assert len(tap.told(JobAssign)) == 3 + 2
    assert [event.error_code for _, event in tap.told(UiEvent)] == [
        "INTERNAL_ERROR",
        "UNSUPPORTED_FEATURE",
        "UNSUPPORTED_FEATURE",
    ]


# --- nodes


def test_a_node_starts_drains_and_stops_as_the_lines_say() -> None:
    lines = [
        at(1, start="node"),
        *(at(each, speak=MEI) for each in (0, 8, 16, 24)),
        at(12, stop="node"),
        at(18, start="node"),
        at(27, drain="node"),
    ]
    run, tap = clean(scripted(*lines))
    assert instants(tap, NodeRegister) == [1, 18]
    assert instants(tap, NodeControl) == [27]
    assert [(each.at - ZERO) / SECOND for each in tap.said if each.closed] == [12, 27]
    # At 1 s it has just begun, and is ready at the third beat; at 17 s there is none.
    assert heard_by(run, ANNA) == [9.1, 25.1]
    assert run.verdict.refusals == {"STATUS_NOT_READY": 1, "OFFLINE": 1}


def test_a_script_can_have_faults_happen_which_are_counted() -> None:
    lines = [
        at(5, crash={"nodes": "node", "for": "2s"}),
        at(5.5, crash="node"),
        at(15, clog={"sessions": ANNA, "way": "down", "for": "4s"}),
        at(15, speak=MEI),
    ]
    run, tap = clean(scripted(*lines))
    assert instants(tap, NodeRegister)[1:] == [7]
    assert heard_by(run, ANNA) == [19]
    assert [(use.label, use.fired_count) for use in run.faults] == [
        ("crash node", 1),
        ("crash node", 0),
        ("clog room/anna", 1),
    ]


def test_lines_of_one_instant_happen_in_their_order_wherever_in_the_file_they_stand() -> None:
    """Out and in again, or in and out again: it makes a difference."""
    first, second = at(5, drop=ANNA), at(5, connect=ANNA)
    early = at(1, speak=MEI)
    _, tap = clean(scripted(first, second, early))
    assert [each for each in instants(tap, SessionInit) if each > 0] == [5]
    _, tap = clean(scripted(second, early, first))
    assert [each for each in instants(tap, SessionInit) if each > 0] == []
    assert [(each.at - ZERO) / SECOND for each in tap.said if each.closed] == [5]


def test_what_rooms_say_by_themselves_goes_on_beside_a_script() -> None:
    data = scripted(at(5, speak=MEI))
    data["rooms"][0]["speech"] = {"script": [{"at": "10s", "length": "1s", "speaker": "anna"}]}
    _, tap = clean(data)
    assert instants(tap, Utterance) == [6, 11]
    assert len(tap.heard(JobResult)) == 2
