"""Random faults: a few kinds of them in one scenario, each at plain instants and mostly on things that are named.

The ranges are those of real trouble, scaled down to scenarios of half a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from simroom.study.drawn_people import LANGUAGES, Data
from simroom.study.luck import Luck


class Cast(Struct, frozen=True):
    """What there is in a scenario for faults to happen to; names as faults name them.

    Attributes:
        nodes: Groups of nodes and single ones.
        sessions: Rooms, members and sessions.
        room_count: Rooms.
    """

    nodes: tuple[str, ...]
    sessions: tuple[str, ...]
    room_count: int


def cast_of(data: Data) -> Cast:
    """Who and what there is in a scenario as a file holds it."""
    nodes = [name for group in data["nodes"] for name in _names(group)]
    sessions = [name for group in data.get("sessions") or () for name in _names(group)]
    room_count = 0
    for room in data.get("rooms") or ():
        room_count += room.get("count", 1)
        rooms = _numbered(room)
        sessions += rooms
        people = [name for group in room.get("members") or () if "name" in group for name in _numbered(group)]
        sessions += [f"{one}/{person}" for one in rooms for person in people]
    return Cast(tuple(nodes), tuple(sessions), room_count)


def _numbered(group: Data) -> list[str]:
    count = group.get("count", 1)
    return [group["name"]] if count == 1 else [f"{group['name']}-{number}" for number in range(1, count + 1)]


def _names(group: Data) -> list[str]:
    """The group's own name, and that of each in it."""
    return list(dict.fromkeys([group["name"], *_numbered(group)]))


# --- things that happen at an instant ----------------------------------------------------------------------------


def _nodes(luck: Luck, cast: Cast) -> Any:
    return luck.choice(("all", {"random": 1}, {"random": "50%"}, *3 * cast.nodes))


def _sessions(luck: Luck, cast: Cast) -> Any:
    return luck.choice(("all", {"random": 1}, {"random": "50%"}, *3 * cast.sessions))


def _whom(luck: Luck, cast: Cast) -> Data:
    """The nodes or the sessions at one end of some links, and which way the links are in trouble."""
    target = {"nodes": _nodes(luck, cast)} if luck.likely(0.5) else {"sessions": _sessions(luck, cast)}
    return {**target, "way": luck.choice(("both", "both", "up", "down"))}


def _crash(luck: Luck, cast: Cast) -> Data:
    return {"nodes": _nodes(luck, cast)} | ({"for": luck.span(100, 10_000)} if luck.likely(0.85) else {})


def _slow(luck: Luck, cast: Cast) -> Data:
    return {"nodes": _nodes(luck, cast), "factor": luck.choice((1.5, 5, 50)), "for": luck.span(500, 15_000)}


def _pause(luck: Luck, cast: Cast) -> Data:
    return {"nodes": _nodes(luck, cast), "for": luck.span(100, 10_000)}


def _evict(luck: Luck, cast: Cast) -> Data:
    source, target = luck.choice(LANGUAGES[:2]), luck.choice(LANGUAGES)
    models = luck.choice((None, ["asr"], ["nmt", "tts"], [f"{source}>{target}"]))
    named = {} if models is None else {"models": models}
    return {"nodes": _nodes(luck, cast), **named, "for": luck.span(500, 10_000)}


def _clog(luck: Luck, cast: Cast) -> Data:
    return {**_whom(luck, cast), "for": luck.span(100, 8_000)}


def _partition(luck: Luck, cast: Cast) -> Data:
    return {**_whom(luck, cast), "for": luck.span(100, 8_000)}


def _drop(luck: Luck, cast: Cast) -> Data:
    noticed = {"noticed": luck.span(0, 6_000)} if luck.likely(0.7) else {}
    return {"sessions": _sessions(luck, cast), "for": luck.span(10, luck.choice((200, 5_000))), **noticed}


def _leave(luck: Luck, cast: Cast) -> Data:
    return {"sessions": _sessions(luck, cast), "for": luck.span(0, 5_000)}


def _change(luck: Luck, cast: Cast) -> Data:
    return {"sessions": _sessions(luck, cast), "preferred_lang": luck.choice((*LANGUAGES, "none"))}


def _close(luck: Luck, cast: Cast) -> Data:
    return {"sessions": _sessions(luck, cast)}


def _slow_reader(luck: Luck, cast: Cast) -> Data:
    rate = luck.choice(("100B/s", "1kB/s", "10kB/s"))
    return {"sessions": _sessions(luck, cast), "rate": rate, "for": luck.span(500, 10_000)}


def _clock(luck: Luck, cast: Cast) -> Data:
    return {"nodes": _nodes(luck, cast), "skew": luck.choice(("-1h", "-5s", "-10ms", "10ms", "5s", "1h"))}


def _restart_scheduler(_luck: Luck, _cast: Cast) -> Data:
    return {}


def _flap(luck: Luck, cast: Cast) -> Data:
    spans = {"up": luck.span(100, 2_000), "down": luck.span(50, 2_000)}
    return {"nodes": _nodes(luck, cast), **spans, "for": luck.span(1_000, 8_000)}


def _burst(luck: Luck, cast: Cast) -> Data:
    spans = {"within": luck.span(10, 2_000), "length": luck.span(20, 1_000)}
    return {"sessions": _sessions(luck, cast), "utterances": luck.whole(1, 8), **spans}


# --- things that happen to a share of all ------------------------------------------------------------------------


def _crash_after_work(luck: Luck, cast: Cast) -> Data:
    return {"nodes": _nodes(luck, cast), "share": luck.share(20), "for": luck.span(100, 5_000)}


def _out_of_memory(luck: Luck, cast: Cast) -> Data:
    return {"nodes": _nodes(luck, cast), "share": luck.share(50), "lost": luck.choice(("job", "batch"))}


def _wrong_answer(luck: Luck, cast: Cast) -> Data:
    how = luck.choice(("swapped", "previous", "empty", "wrong_language", "oversized"))
    return {"nodes": _nodes(luck, cast), "share": luck.share(30), "how": how}


def _lose_heartbeats(luck: Luck, cast: Cast) -> Data:
    return {"nodes": _nodes(luck, cast), "share": luck.share(60)}


def _delay(luck: Luck, cast: Cast) -> Data:
    return {**_whom(luck, cast), "share": luck.share(30), "by": luck.span(10, luck.choice((100, 5_000)))}


def _lose(luck: Luck, cast: Cast) -> Data:
    messages = luck.sample(("job_result", "node_heartbeat", "job_assign"), luck.whole(1, 2))
    return {"nodes": _nodes(luck, cast), "messages": messages, "share": luck.share(30)}


def _duplicate(luck: Luck, cast: Cast) -> Data:
    if luck.likely(0.4):
        return {"sessions": _sessions(luck, cast), "messages": ["utterance"], "share": luck.share(50)}
    messages = luck.sample(("job_result", "node_heartbeat"), luck.whole(1, 2))
    return {"nodes": _nodes(luck, cast), "messages": messages, "share": luck.share(50)}


# --- things that always hold -------------------------------------------------------------------------------------


def _ties(luck: Luck, _cast: Cast) -> Data:
    return {"grid": luck.choice(("10ms", "10ms", "100ms"))}


def _room_codes(luck: Luck, cast: Cast) -> Data:
    return {"count": max(1, cast.room_count) + luck.whole(0, 2)}


_Drawer = Callable[[Luck, Cast], Data]

AT_AN_INSTANT: Final[dict[str, _Drawer]] = {
    "crash": _crash,
    "slow": _slow,
    "pause": _pause,
    "evict": _evict,
    "clog": _clog,
    "partition": _partition,
    "drop": _drop,
    "leave": _leave,
    "change": _change,
    "close": _close,
    "slow_reader": _slow_reader,
    "clock": _clock,
    "restart_scheduler": _restart_scheduler,
    "flap": _flap,
    "burst": _burst,
}
OF_A_SHARE: Final[dict[str, _Drawer]] = {
    "crash_after_work": _crash_after_work,
    "out_of_memory": _out_of_memory,
    "wrong_answer": _wrong_answer,
    "lose_heartbeats": _lose_heartbeats,
    "delay": _delay,
    "lose": _lose,
    "duplicate": _duplicate,
}
ALWAYS: Final[dict[str, _Drawer]] = {"ties": _ties, "room_codes": _room_codes}


_TIMES_MAX: Final = {"close": 1, "slow": 2}
"""How often a kind happens at most where it is not four times: slow twice over is slow enough, and closed is closed."""
_OF_ROOMS: Final = frozenset({"leave", "change", "room_codes"})
"""Kinds of which nothing comes where there is no room."""


def faults(luck: Luck, cast: Cast, kinds: Sequence[str] | None = None) -> list[Data]:
    """Random faults.

    Args:
        luck: What to draw from.
        cast: What they can happen to.
        kinds: The kinds to choose from; None: all that have somebody to happen to.
    """
    drawn: list[Data] = []
    chosen = luck.sample(_possible(cast) if kinds is None else kinds, luck.choice((0, 1, 1, 2, 3, 5)))
    for kind in chosen:
        own = luck.part(kind)
        if kind in AT_AN_INSTANT:
            drawn += _at_instants(own, cast, kind)
        elif kind in OF_A_SHARE:
            window = {"from": own.instant()} if own.likely(0.2) else {}
            drawn.append({**window, kind: OF_A_SHARE[kind](own, cast)})
        else:
            drawn.append({kind: ALWAYS[kind](own, cast)})
    return drawn


def _possible(cast: Cast) -> list[str]:
    if not cast.sessions:
        return [*OF_A_SHARE, *ALWAYS]
    kinds = [*AT_AN_INSTANT, *OF_A_SHARE, *ALWAYS]
    return kinds if cast.room_count else [kind for kind in kinds if kind not in _OF_ROOMS]


def _at_instants(luck: Luck, cast: Cast, kind: str) -> list[Data]:
    draw = AT_AN_INSTANT[kind]
    if kind == "restart_scheduler":
        return [{"at": luck.instant(), kind: {}} for _ in range(luck.whole(1, 2))]
    if kind != "slow" and luck.likely(0.1):
        mean = luck.span(2_000, 10_000)
        often = mean if luck.temper.grid else {"exponential": {"mean": mean}}
        return [{"every": often, kind: draw(luck, cast)}]
    count = luck.whole(1, _TIMES_MAX.get(kind, 4))
    return [{"at": luck.late() if kind == "close" else luck.instant(), kind: draw(luck, cast)} for _ in range(count)]
