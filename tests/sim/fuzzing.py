"""Random scenarios of about a minute, small and nasty: every setting, tiny bounds, ties, churn, nodes that come and go.

A scenario is a function of its number alone, so a bad one is named by it. What is drawn is what a file would hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

from .worlds import Data

T = TypeVar("T")

LANGUAGES = ("en", "zh", "zh-CN", "ZH-cn", "ja", "zh-Hant")
FEATURES = ("emotion_detection", "voice_style_detection", "speech_rate_control", "persona_adaptation")
CHOICES: dict[str, Sequence[str]] = {
    "fan_out": ("per_language", "per_language", "session_target"),
    "same_language": ("skip", "translate"),
    "language_match": ("exact", "primary"),
    "membership": ("live", "snapshot", "both"),
    "tie_break": ("first", "rotate", "random"),
    "load": ("tracked", "tracked", "reported"),
    "sticky": ("none", "session", "room"),
    "on_no_node": ("reject", "queue", "queue"),
    "ordering": ("strict", "gap", "gap", "none"),
    "late": ("drop", "deliver"),
    "cancel": ("never", "moot"),
    "ui_events": ("errors", "all"),
}
"""Settings that are a choice between words; what is listed twice comes twice as often."""
TINY: dict[str, Sequence[Any]] = {
    "resource_threshold": ("100%", "90%", "60%", "30%"),
    "max_concurrent_jobs": (1, 2, 4),
    "waiting_time_max": ("0s", "500ms", "3s", "30s"),
    "waiting_count_max": (0, 1, 2, 1000),
    "max_hold": ("0s", "100ms", "1s", "5s"),
    "job_timeout": ("500ms", "1s", "2s", "5s", "30s"),
    "max_attempts": (1, 2, 3),
    "abandon_after": ("0s", "300ms", "2s", "20s"),
    "health_check_count": (1, 2, 3),
    "warmup_timeout": ("2s", "10s", "60s"),
    "heartbeat_timeout": ("2s", "5s", "45s"),
    "node_scan_interval": ("1s", "4s", "30s"),
    "room_expiry": ("2s", "8s", "30min"),
    "room_scan_interval": ("500ms", "3s", "60s"),
    "room_size_max": (1, 2, 3, None),
    "reconnect_grace": ("0s", "200ms", "3s", "10s"),
    "kept_count_max": (0, 1, 2, 256),
}
"""Settings that are numbers, from next to nothing to the default."""


class _Luck(Random):
    """Python's generator, with words that read better, and what one scenario has in common."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.grid = self.likely(0.3)
        """All times on a grid of 10 ms, so that many things happen at one instant."""
        self.nastiness = self.choice((0.1, 0.3, 0.7))
        """How likely everything unusual is."""
        self.duration = self.choice((10, 20, 30))
        """Seconds of speech."""
        self.paired = self.likely(0.15)
        """Some are paired with a node."""
        self.late = self.likely(0.3)
        """Results come late: short patience, and now and then a job that takes very long beside others."""

    def likely(self, share: float) -> bool:
        return self.random() < share

    def nasty(self, share: float = 0.5) -> bool:
        return self.likely(share * self.nastiness * 2)


def scenario(number: int) -> Data:
    """The random scenario of this number."""
    luck = _Luck(number)
    nodes = [_node(luck, position) for position in range(luck.randint(1, 3))]
    scheduler: Data = {name: luck.choice(words) for name, words in CHOICES.items()}
    scheduler |= {name: luck.choice(values) for name, values in TINY.items() if luck.nasty()}
    if luck.late:
        scheduler |= {"ordering": "gap", "max_hold": luck.choice(("0s", "300ms", "1s")), "job_timeout": "30s"}
    if luck.paired:
        first = nodes[0]
        scheduler["pairing"] = {"first": first["name"] if first["count"] == 1 else f"{first['name']}-1"}
    data: Data = {
        "simroom": 1,
        "name": f"random {number}",
        "duration": f"{luck.duration}s",
        "lead_in": luck.choice(("15s", "20s", "50s")),
        "drain": luck.choice(("0s", "2s", "30s", "5min")),
        "rooms": [_room(luck, position) for position in range(luck.choice((0, 1, 1, 1, 2)))],
        "sessions": [],
        "nodes": nodes,
        "network": {"session": _link(luck), "node": _link(luck)},
        "scheduler": scheduler,
    }
    if not data["rooms"] or luck.likely(0.3):
        data["sessions"] = [_sessions(luck)]
    return data


# --- people


def _room(luck: _Luck, position: int) -> Data:
    used = luck.sample(LANGUAGES, luck.randint(1, 4))
    members = [_member(luck, number, used) for number in range(luck.randint(1, 4))]
    names = [
        member["name"] if member["count"] == 1 else f"{member['name']}-{number + 1}"
        for member in members
        for number in range(member["count"])
    ]
    speech: Any
    if luck.grid or luck.likely(0.6):
        speech = _script(luck, names)
    elif luck.likely(0.9):
        utterance = luck.choice(("300ms", "1s", {"uniform": {"from": "50ms", "to": "3s"}}))
        speech = {"turn_taking": {"utterance": utterance, "silence": luck.choice((0.05, 0.3)), "overlap": 0}}
        if luck.likely(0.1):
            speech["turn_taking"]["overlap"] = 0.1
        members[0]["talks"] = 1
    else:
        speech = "none"
    return {"name": f"room{position}", "count": luck.choice((1, 1, 2)), "members": members, "speech": speech}


def _member(luck: _Luck, number: int, used: Sequence[str]) -> Data:
    member: Data = {
        "name": f"m{number}",
        "count": luck.choice((1, 1, 1, 2)),
        "speaks": "auto" if luck.nasty(0.2) else luck.choice(used),
        "preferred_lang": "none" if luck.nasty(0.2) else luck.choice(used),
        "tgt_lang": luck.choice(used if luck.likely(0.5) else LANGUAGES),
        "talks": luck.choice((0, 1, 1, 3)),
        "events": _events(luck, used),
    }
    _asks(luck, member)
    return member


def _sessions(luck: _Luck) -> Data:
    group: Data = {
        "name": "solo",
        "count": luck.randint(1, 3),
        "src_lang": luck.choice((*LANGUAGES, "auto")),
        "tgt_lang": luck.choice(LANGUAGES),
        "events": [event for event in _events(luck, LANGUAGES) if "drop" in event or "close" in event],
    }
    if luck.grid:
        regular = {"arrivals": {"constant": luck.choice(("200ms", "1s"))}, "utterance": "500ms"}
        group["speech"] = luck.choice((regular, _script(luck, [])))
    else:
        arrivals = luck.choice(({"poisson": "60/min"}, {"gamma": {"rate": "1/s", "cv": 4}}, {"constant": "700ms"}))
        utterance = {"uniform": {"from": "100ms", "to": "3s"}}
        longest = luck.choice(("none", "1s", "10s"))
        group["speech"] = {"arrivals": arrivals, "utterance": utterance, "longest": longest}
    _asks(luck, group)
    return group


def _asks(luck: _Luck, person: Data) -> None:
    """Give somebody what only some have."""
    if luck.nasty(0.15):
        person["features"] = {luck.choice(FEATURES): True}
    if luck.nasty(0.15):
        person["auto_langs"] = luck.sample(LANGUAGES, 2)
    if luck.paired and luck.likely(0.5):
        person["pairing_code"] = "first"
    if luck.nasty(0.3):
        person["joins"] = _instant(luck)


def _script(luck: _Luck, names: Sequence[str]) -> Data:
    lines = []
    for _ in range(luck.choice((5, 20, 40))):
        line: Data = {"at": _instant(luck), "length": _span(luck, 20, 3000)}
        if names:
            line["speaker"] = luck.choice(names)
        lines.append(line)
    return {"script": lines, "longest": luck.choice(("none", "none", "1s"))}


def _events(luck: _Luck, used: Sequence[str]) -> list[Data]:
    events = []
    for _ in range(luck.choice((0, 1, 1, 2, 3)) if luck.nasty(0.8) else 0):
        event: Data
        kind = luck.choice(("drop", "drop", "drop", "leave", "leave", "change", "change", "close"))
        if kind == "close" or luck.likely(0.5):
            event = {"at": _instant(luck)}
        else:
            event = {"every": _span(luck, 500, 9000) if luck.grid else {"uniform": {"from": "20ms", "to": "12s"}}}
        if kind == "change":
            event["change"] = {"preferred_lang": luck.choice((*used, *LANGUAGES, "none"))}
        elif kind == "close":
            event["close"] = {}
        else:
            event[kind] = {"for": _span(luck, 0, luck.choice((200, 2000, 6000)))} if luck.likely(0.9) else {}
        events.append(event)
    return events


# --- nodes and links


def _node(luck: _Luck, position: int) -> Data:
    kind = "serial" if luck.late else luck.choice(("serial", "serial", "shared", "batching"))
    node: Data = {
        "name": f"node{position}",
        "count": luck.choice((1, 1, 2)),
        "gpu": {"model": kind},
        "service": _service(luck, kind),
        "heartbeat": {"every": luck.choice(("1s", "1s", "3s", "7s", "15s"))},
    }
    if kind == "serial":
        node["gpu"]["streams"] = 4 if luck.late else luck.choice((1, 2, 4))
    elif kind == "batching":
        node["gpu"]["cap"] = luck.choice((1, 2, 8))
    if luck.nasty(0.3):
        node["gpu"]["background"] = luck.choice(
            (
                "20%",
                {"wave": {"mean": "40%", "amplitude": "50%", "period": "8s"}},
                {"steps": [{"at": "2s", "load": "95%"}, {"at": "6s", "load": 0.1}, {"at": "9s", "load": 0}]},
            )
        )
    if luck.likely(0.8):
        node["slots"] = luck.randint(3 if luck.late else 1, 4)
    if luck.nasty(0.4):
        node["queue_count_max"] = luck.choice((0, 0, 1, 2))
    if luck.nasty(0.3):
        node["cold_start"] = luck.choice(("1s", "4s", {"asr": "500ms", "tts": {"uniform": {"from": "0s", "to": "2s"}}}))
    if luck.nasty(0.3):
        node["warm_up"] = luck.choice(("1s", "4s", "12s", "30s"))
    if position and luck.nasty(0.3):
        node["starts"] = _instant(luck)
    if luck.nasty(0.3):
        node["leaves"] = _instant(luck)
    if luck.nasty(0.25):
        node["drains"] = _instant(luck)
    if luck.nasty(0.15):
        node["pairs"] = luck.sample(["zh>en", "en>ja", "zh-CN>en", "ja>en", "zh>zh", "en>zh", "zh-cn > en"], 3)
    elif luck.nasty(0.15):
        node["languages"] = luck.sample(LANGUAGES, 3)
    if luck.nasty(0.1):
        node["modules"] = []
    if luck.nasty(0.05):
        node["public"] = False
    if luck.nasty(0.05):
        node["gpu"] = "none"
        node["service"] = "1s"
    for share in ("cpu", "memory", "gpu_memory"):
        if luck.nasty(0.1):
            node[share] = luck.choice(("50%", "90%", "100%"))
    return node


def _service(luck: _Luck, kind: str) -> Any:
    if kind == "batching":
        if luck.grid:
            return {"batching": {"fixed": _span(luck, 0, 400), "per_job": _span(luck, 0, 200)}}
        return {"batching": {"fixed": "190ms", "per_job": "77ms"}}
    if luck.grid and not luck.late:
        return _span(luck, 0, 1500)
    mostly_short = {"empirical": [*(_span(luck, 100, 900) for _ in range(9)), _span(luck, 2000, 9000)]}
    stages = {
        "asr": {"rtf": luck.choice((0.2, 1))},
        "nmt": {"fixed": "80ms"},
        "tts": {"fixed": "50ms", "rtf": 0.1, "spread": 0.3 if luck.likely(0.1) else 0},
    }
    if luck.late:
        return mostly_short
    return luck.choice(("900ms", {"uniform": {"from": "10ms", "to": "1500ms"}}, mostly_short, mostly_short, stages))


def _link(luck: _Luck) -> Data:
    if luck.grid:
        return luck.choice(({}, {"delay": "10ms"}, {"up": "0s", "down": "20ms"}))
    slow_tail = {"empirical": [*(_span(luck, 1, 60) for _ in range(19)), _span(luck, 1000, 5000)]}
    return luck.choice(
        (
            {},
            {"delay": "5ms"},
            {"delay": {"uniform": {"from": "1ms", "to": "90ms"}}},
            {"delay": slow_tail},
            {"up": {"uniform": {"from": "0ms", "to": "1500ms"}}, "down": "1ms"},
            {"up": "3ms", "down": {"exponential": {"mean": "300ms"}} if luck.likely(0.2) else slow_tail},
        )
    )


# --- times


def _instant(luck: _Luck) -> str:
    """An instant while people speak."""
    return _span(luck, 0, luck.duration * 1000 - 10)


def _span(luck: _Luck, low: int, high: int) -> str:
    """Milliseconds from low to high, with microseconds between them; on the grid, whole hundredths of a second."""
    if not luck.grid:
        return f"{luck.randint(low * 1000, high * 1000)}us"
    step = luck.choice((10, 10, 500))  # often a multiple of half a second, for ties between things far apart
    least = -(-low // step)
    return f"{luck.randint(least, max(least, high // step)) * step}ms"
