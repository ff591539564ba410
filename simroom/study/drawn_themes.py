"""What some random scenarios are about: a few settings and events that together reach what chance alone seldom does.

Each theme changes a scenario that is already drawn, so everything else in it stays as nasty as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from simroom.scenario.units import MILLISECOND, format_duration, parse_duration
from simroom.study.drawn_people import FEATURES, Data
from simroom.study.luck import Luck

MODULES: Final = (
    "emotion_detection",
    "speaker_identification",
    "voice_cloning",
    "speech_rate_detection",
    "speech_rate_control",
    "persona_adaptation",
)


def themed(luck: Luck, data: Data) -> None:
    """Change a scenario so that it is about something, or leave it as it is."""
    if luck.likely(0.5):
        THEMES[luck.choice(list(THEMES))](luck, data)


def _people(data: Data) -> Iterator[Data]:
    for room in data["rooms"]:
        yield from room["members"]
    yield from data["sessions"]


def _resuming(luck: Luck, data: Data) -> None:
    """Connections drop and come back within the grace, while rooms end and languages change."""
    data["scheduler"] |= {
        "reconnect_grace": luck.choice(("3s", "10s", "30s")),
        "kept_count_max": luck.choice((1, 256, 256)),
    }
    if luck.likely(0.4):
        _away_to_the_end(luck, data)
        return
    for person in _people(data):
        person["events"] = [*person["events"], *(_drop(luck) for _ in range(luck.choice((0, 1, 3))))]


def _drop(luck: Luck) -> Data:
    return {"at": luck.instant(), "drop": {"for": luck.span(0, luck.choice((300, 3_000, 6_000)))}}


def _away_to_the_end(luck: Luck, data: Data) -> None:
    """Little is said in each room, members drop out as it is, and come back when their room may have ended."""
    _short_lived(luck, data, lines=luck.whole(1, 3))
    data["scheduler"]["reconnect_grace"] = "30s"
    for room in data["rooms"]:
        last = parse_duration(room["speech"]["script"][-1]["at"])
        for member in room["members"]:
            if luck.likely(0.6):
                at = format_duration(last + luck.whole(0, 1_000) * MILLISECOND)
                member["events"] = [{"at": at, "drop": {"for": luck.span(2_000, 12_000)}}]


def _short_lived(luck: Luck, data: Data, *, lines: int) -> None:
    """Have rooms end soon after the last word: all join at once, and what is said comes in time, until it does not."""
    expiry = luck.choice((500, 1_000, 3_000))
    data["scheduler"] |= {"room_expiry": f"{expiry}ms", "room_scan_interval": luck.choice(("100ms", "500ms"))}
    for room in data["rooms"]:
        at = luck.whole(0, 3_000)
        for member in room["members"]:
            member["joins"] = format_duration(at * MILLISECOND)
        script = []
        for _ in range(lines):
            at += luck.whole(expiry // 10, expiry)
            length = luck.whole(20, expiry // 2)
            spoken = {"at": format_duration(at * MILLISECOND), "length": f"{length}ms"}
            script.append({**spoken, "speaker": luck.choice(_names(room))})
        room["speech"] = {"script": script}


def _names(room: Data) -> list[str]:
    return [member["name"] if member["count"] == 1 else f"{member['name']}-1" for member in room["members"]]


def _ending(luck: Luck, data: Data) -> None:
    """Rooms end, by silence or because everybody goes, with jobs in flight; codes come back."""
    if luck.likely(0.6):
        _short_lived(luck, data, lines=luck.whole(1, 8))
        for node in data["nodes"]:
            if node["gpu"] != "none" and node["gpu"]["model"] != "batching":
                node["service"] = luck.choice(("1s", "4s", {"uniform": {"from": "500ms", "to": "9s"}}))
        if luck.likely(0.5):
            data["scheduler"]["reconnect_grace"] = luck.choice(("3s", "10s"))
    for room in data["rooms"]:
        together = luck.instant()
        for member in room["members"]:
            if luck.likely(0.6):
                leave: Data = {"leave": {"for": luck.span(0, 3_000)}}
                member["events"] = [*member["events"], {"at": together, **leave}, {"at": luck.instant(), **leave}]
    _few_codes(luck, data)


def _few_codes(luck: Luck, data: Data) -> None:
    if not any("room_codes" in fault for fault in data["faults"]):
        count = max(1, sum(room["count"] for room in data["rooms"])) + luck.whole(0, 1)
        data["faults"] = [*data["faults"], {"room_codes": {"count": count}}]


def _holding(luck: Luck, data: Data) -> None:
    """Results are held for older ones, while members come, go and change their language."""
    data["scheduler"] |= {
        "membership": luck.choice(("live", "snapshot", "both")),
        "ordering": luck.choice(("gap", "gap", "strict")),
        "max_hold": luck.choice(("300ms", "1s", "5s")),
        "job_timeout": luck.choice(("1s", "5s", "30s")),
    }
    for node in data["nodes"]:
        if node["gpu"] != "none" and node["gpu"]["model"] != "batching":
            node |= {"slots": 4, "gpu": {"model": "serial", "streams": 4}}
            node["service"] = {"empirical": [luck.span(50, 300), luck.span(300, 900), luck.span(1_000, 4_000)]}
    for room in data["rooms"]:
        spoken = [member["preferred_lang"] for member in room["members"]]
        for member in room["members"]:
            if luck.likely(0.3):
                member["joins"] = luck.instant()
            changes = [{"preferred_lang": luck.choice(spoken)} for _ in range(luck.choice((0, 1, 3)))]
            member["events"] = [*member["events"], *({"at": luck.instant(), "change": change} for change in changes)]


def _retrying(luck: Luck, data: Data) -> None:
    """Attempts time out, fail and are tried again, with few slots and nodes that crash."""
    data["scheduler"] |= {
        "job_timeout": luck.choice(("300ms", "700ms", "2s")),
        "max_attempts": luck.choice((2, 3)),
        "abandon_after": luck.choice(("0s", "1s", "20s")),
        "on_no_node": luck.choice(("reject", "queue")),
    }
    failing: Data = {"nodes": luck.choice(("all", data["nodes"][0]["name"])), "share": luck.choice(("20%", "50%"))}
    kind = luck.choice(("out_of_memory", "lose", "duplicate", "crash_after_work"))
    extra: Any = {"messages": ["job_result"]} if kind in ("lose", "duplicate") else {}
    extra = {"for": luck.span(100, 3_000)} if kind == "crash_after_work" else extra
    data["faults"] = [*data["faults"], {kind: {**failing, **extra}}]
    for node in data["nodes"]:
        node["slots"] = luck.choice((1, 1, 2))


def _crowding(luck: Luck, data: Data) -> None:
    """More is said than nodes can do: slots, queues and waiting jobs are always at their bounds."""
    data["scheduler"] |= {
        "on_no_node": luck.choice(("queue", "queue", "reject")),
        "waiting_count_max": luck.choice((1, 3, 1_000)),
        "waiting_time_max": luck.choice(("500ms", "3s", "30s")),
    }
    for node in data["nodes"]:
        node["slots"] = luck.choice((1, 1, 2))
    parties = [*(room["name"] for room in data["rooms"]), *(group["name"] for group in data["sessions"])]
    for _ in range(luck.whole(1, 4)):
        burst = {"utterances": luck.whole(2, 6), "within": luck.span(10, 1_000), "length": luck.span(20, 500)}
        data["faults"] = [*data["faults"], {"at": luck.instant(), "burst": {"sessions": luck.choice(parties), **burst}}]


def _equipping(luck: Luck, data: Data) -> None:
    """Everybody asks for features, and nodes have different modules, models and load."""
    for person in _people(data):
        person["features"] = dict.fromkeys(luck.sample(FEATURES, luck.whole(1, 2)), True)
    for position, node in enumerate(data["nodes"]):
        if luck.likely(0.7 if position else 0.2):
            node["modules"] = luck.sample(MODULES, luck.whole(0, 3))
        node["cpu"] = luck.choice(("10%", "50%", "90%") if position else ("10%", "25%"))
    data["scheduler"]["resource_threshold"] = luck.choice(("100%", "60%", "30%"))


THEMES: Final[dict[str, Callable[[Luck, Data], None]]] = {
    "resuming": _resuming,
    "ending": _ending,
    "holding": _holding,
    "retrying": _retrying,
    "crowding": _crowding,
    "equipping": _equipping,
}
"""What a scenario can be about, by name."""
