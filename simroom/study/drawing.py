"""Random scenarios of about half a minute, small and nasty: every setting, tiny bounds, ties, churn and faults.

A scenario is a function of its seed alone, so a bad one is named by it. What is drawn is what a file would hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from simroom.scenario.emit import dump
from simroom.scenario.units import UnfitError, parse_duration
from simroom.study import drawn_nodes, drawn_people
from simroom.study.drawn_faults import cast_of, faults
from simroom.study.drawn_people import LANGUAGES, Data
from simroom.study.drawn_themes import themed
from simroom.study.luck import Luck, luck_of

CHOICES: Final[dict[str, Sequence[str]]] = {
    "fan_out": ("per_language", "per_language", "per_language", "session_target"),
    "same_language": ("skip", "skip", "skip", "translate"),
    "language_match": ("exact", "exact", "primary"),
    "membership": ("live", "snapshot", "both"),
    "policy": ("least_connections", "least_connections", "least_connections", "random", "choices", "any"),
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
TINY: Final[dict[str, Sequence[Any]]] = {
    "resource_threshold": ("100%", "90%", "60%", "60%", "30%"),
    "max_concurrent_jobs": (1, 2, 4),
    "choices_count": (1, 2, 3),
    "choices_repeat": (False, True),
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
    "room_size_max": (1, 2, 3, 4, None, None),
    "reconnect_grace": ("0s", "200ms", "3s", "10s"),
    "kept_count_max": (0, 1, 2, 256),
}
"""Settings that are numbers, from next to nothing to the default."""

_CRAMPING: Final = frozenset({"resource_threshold", "warmup_timeout", "heartbeat_timeout", "job_timeout"})
"""Settings that keep every node from being used, where they are small."""
_EMPTY_SAYS_NOTHING: Final = frozenset(
    {
        *("rooms", "sessions", "members", "events", "faults", "script"),
        *("network", "session", "node", "scheduler", "features"),
    }
)
"""Keys of which an empty value means what none means."""
_PLANNED: Final = frozenset({"at", "joins", "starts", "leaves", "drains", "from", "until"})
AROUND_MAX: Final = 60_000_000
"""A scenario drawn around a longer one is cut to about this, so that many can be tried."""


def drawn(seed: int) -> Data:
    """The random scenario of this seed, which is also the seed it is run with."""
    luck = luck_of(seed)
    data: Data = {
        "simroom": 1,
        "name": f"random {seed}",
        "seed": seed,
        "duration": drawn_people.seconds(luck),
        "lead_in": luck.choice(("15s", "20s", "50s", "50s")),
        "drain": luck.choice(("0s", "2s", "30s", "30s", "5min", "5min")),
        **_parties(luck),
        "nodes": [drawn_nodes.node(luck.part(f"node {at}"), at) for at in range(luck.whole(1, 3))],
        "network": {
            "session": drawn_people.link(luck.part("session link")),
            "node": drawn_people.link(luck.part("node link")),
        },
    }
    data["scheduler"] = _settings(luck.part("scheduler"), data["nodes"])
    data["faults"] = faults(luck.part("faults"), cast_of(data))
    themed(luck.part("theme"), data)
    return data


def _parties(luck: Luck) -> Data:
    rooms = [drawn_people.room(luck.part(f"room {at}"), at) for at in range(luck.choice((0, 1, 1, 1, 2)))]
    alone = [] if rooms and not luck.likely(0.3) else [drawn_people.sessions(luck.part("sessions"))]
    return {"rooms": rooms, "sessions": alone}


def _settings(luck: Luck, nodes: list[Data]) -> Data:
    settings: Data = {name: luck.choice(words) for name, words in CHOICES.items()}
    settings |= {name: luck.choice(values) for name, values in TINY.items() if luck.nasty(0.3)}
    if luck.temper.sound:
        settings = {name: value for name, value in settings.items() if name not in _CRAMPING or luck.likely(0.1)}
    if luck.temper.late:
        settings |= {"ordering": "gap", "max_hold": luck.choice(("0s", "300ms", "1s")), "job_timeout": "30s"}
    if luck.temper.paired:
        first = nodes[0]
        settings["pairing"] = {"first": first["name"] if first["count"] == 1 else f"{first['name']}-1"}
    return settings


# --- around a scenario that is given -----------------------------------------------------------------------------


def drawn_around(data: Data, seed: int) -> Data:
    """A random scenario with the people, nodes and settings of another, and other chance, churn, delays and faults.

    Args:
        data: What the file of the given one holds; it is left as it is.
        seed: Which of the random scenarios around it.
    """
    duration = min(parse_duration(data["duration"]), AROUND_MAX)
    luck = luck_of(seed, duration=_shortened(luck_of(seed), duration))
    around = deepcopy(data)
    for key in ("expect", "warm_up", "description", "tags"):
        around.pop(key, None)
    around |= {"seed": seed, "duration": drawn_people.seconds(luck), "drain": luck.choice(("2s", "30s", "5min"))}
    _keep_what_is_planned(around, data)
    if luck.likely(0.5):
        around["network"] = {
            "session": drawn_people.link(luck.part("session link")),
            "node": drawn_people.link(luck.part("node link")),
        }
    _churn(luck.part("churn"), around)
    around["faults"] = [*(around.get("faults") or ()), *faults(luck.part("faults"), cast_of(around))]
    return around


def _shortened(luck: Luck, duration: int) -> int:
    """Half a minute or less, where there is that much."""
    return min(duration, luck.temper.duration)


def _keep_what_is_planned(around: Data, data: Data) -> None:
    """Give back the whole duration where something of the given scenario has its instant beyond the shorter one."""
    if _last_instant(data) >= parse_duration(around["duration"]):
        around["duration"] = data["duration"]


def _last_instant(data: Any) -> int:
    """The last instant that anything in the data is planned for, microseconds."""
    if isinstance(data, list):
        return max((_last_instant(item) for item in data), default=0)
    if not isinstance(data, dict):
        return 0
    planned = [_instant(value) for key, value in data.items() if key in _PLANNED]
    return max([*planned, *(_last_instant(value) for value in data.values())], default=0)


def _instant(value: object) -> int:
    try:
        return parse_duration(value)
    except UnfitError:
        return 0  # drawn, not planned


def _churn(luck: Luck, data: Data) -> None:
    """Let something happen to people to whom nothing happens yet."""
    for room in data.get("rooms") or ():
        for group in room.get("members") or ():
            if not group.get("events"):
                group["events"] = drawn_people.events(luck, _languages(room))
            if "joins" not in group and luck.nasty(0.15):
                group["joins"] = luck.instant()
    for group in data.get("sessions") or ():
        if not group.get("events"):
            drawn_events = drawn_people.events(luck, LANGUAGES)
            group["events"] = [event for event in drawn_events if "drop" in event or "close" in event]


def _languages(room: Data) -> list[str]:
    """The languages of a room's members, in their order."""
    people = [*(room.get("speakers") or {}).values(), *(room.get("members") or ())]
    spoken = [person.get(key) for person in people for key in ("preferred_lang", "speaks")]
    named = [language for language in spoken if isinstance(language, str) and language not in ("auto", "none")]
    return list(dict.fromkeys(named)) or ["en"]


# --- as a file ---------------------------------------------------------------------------------------------------


def text_of(data: Data) -> str:
    """What a file with this scenario would hold; what is empty is left out."""
    return dump(tidied(data))


def tidied(data: Any) -> Any:
    """The same scenario without lists and mappings that are empty and say nothing by it."""
    if isinstance(data, list):
        return [tidied(item) for item in data]
    if not isinstance(data, dict):
        return data
    kept = {key: tidied(value) for key, value in data.items()}
    return {key: value for key, value in kept.items() if not (value in ([], {}) and key in _EMPTY_SAYS_NOTHING)}
