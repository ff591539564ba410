"""Random rooms, members and sessions: who they are, when they speak, and what happens to them.

Nearly everything is drawn as plain instants and spans, not as distributions: what is found can then be cut down line
by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from simroom.scenario.units import format_duration
from simroom.study.luck import Luck

Data = dict[str, Any]

PLAIN: Final = ("en", "zh", "ja", "de")
VARIANTS: Final = ("zh-CN", "ZH-cn", "zh-Hant")
"""Tags that are more or less alike, and like one of the plain ones."""
LANGUAGES: Final = PLAIN + VARIANTS
FEATURES: Final = ("emotion_detection", "voice_style_detection", "speech_rate_control", "persona_adaptation")
_EVENTS: Final = ("drop", "drop", "drop", "leave", "leave", "change", "change", "close")


def room(luck: Luck, position: int) -> Data:
    """A random room."""
    used = [*luck.sample(PLAIN, luck.choice((1, 2, 2, 3))), *luck.sample(VARIANTS, luck.choice((0, 0, 1, 2)))]
    members = [_member(luck, number, used) for number in range(luck.choice((1, 2, 2, 3, 3, 4)))]
    names = [
        member["name"] if member["count"] == 1 else f"{member['name']}-{number + 1}"
        for member in members
        for number in range(member["count"])
    ]
    speech: Any
    if luck.temper.grid or luck.likely(0.6):
        speech = _script(luck, names)
    elif luck.likely(0.95):
        utterance = luck.choice(("300ms", "1s", {"uniform": {"from": "50ms", "to": "3s"}}))
        speech = {"turn_taking": {"utterance": utterance, "silence": luck.choice((0.05, 0.3)), "overlap": 0}}
        if luck.likely(0.1):
            speech["turn_taking"]["overlap"] = 0.1
        members[0]["talks"] = 1
    else:
        speech = "none"
    return {"name": f"room{position}", "count": luck.choice((1, 1, 2)), "members": members, "speech": speech}


def _member(luck: Luck, number: int, used: Sequence[str]) -> Data:
    # Usually each prefers another language than the one before, so that there is something to translate.
    preferred = used[number % len(used)] if luck.likely(0.7) else luck.choice(used)
    speaks = preferred if luck.likely(0.7) else luck.choice(used)
    member: Data = {
        "name": f"m{number}",
        "count": luck.choice((1, 1, 1, 2)),
        "speaks": "auto" if luck.nasty(0.1) else speaks,
        "preferred_lang": "none" if luck.nasty(0.1) else preferred,
        "tgt_lang": _target(luck, used, speaks),
        "talks": luck.choice((0, 1, 1, 3)),
        "events": events(luck, used),
    }
    _asks(luck, member)
    return member


def _target(luck: Luck, used: Sequence[str], speaks: str) -> str:
    """A language to be translated into; usually not the one that is spoken, however it is written."""
    others = [language for language in used if language.casefold() != speaks.casefold()]
    return luck.choice(others) if others and luck.likely(0.8) else luck.choice(LANGUAGES)


def sessions(luck: Luck) -> Data:
    """A random group of sessions outside rooms."""
    source, target = luck.sample(LANGUAGES, 2)
    group: Data = {
        "name": "solo",
        "count": luck.whole(1, 3),
        "src_lang": "auto" if luck.nasty(0.2) else source,
        "tgt_lang": source if luck.nasty(0.1) else target,
        "events": [event for event in events(luck, LANGUAGES) if "drop" in event or "close" in event],
    }
    if luck.temper.grid:
        regular = {"arrivals": {"constant": luck.choice(("200ms", "1s"))}, "utterance": "500ms"}
        group["speech"] = luck.choice((regular, _script(luck, [])))
    else:
        arrivals = luck.choice(({"poisson": "60/min"}, {"gamma": {"rate": "1/s", "cv": 4}}, {"constant": "700ms"}))
        utterance = {"uniform": {"from": "100ms", "to": "3s"}}
        longest = luck.choice(("none", "1s", "10s"))
        group["speech"] = {"arrivals": arrivals, "utterance": utterance, "longest": longest}
    _asks(luck, group)
    return group


def _asks(luck: Luck, person: Data) -> None:
    """Give somebody what only some have."""
    if luck.nasty(0.15):
        person["features"] = {luck.choice(FEATURES): True}
    if luck.nasty(0.15):
        person["auto_langs"] = luck.sample(LANGUAGES, 2)
    if luck.temper.paired and luck.likely(0.5):
        person["pairing_code"] = "first"
    if luck.nasty(0.3):
        person["joins"] = luck.early()


def _script(luck: Luck, names: Sequence[str]) -> Data:
    lines = []
    for _ in range(luck.choice((5, 20, 40))):
        line: Data = {"at": luck.instant(), "length": luck.span(20, 3000)}
        if names:
            line["speaker"] = luck.choice(names)
        lines.append(line)
    return {"script": lines, "longest": luck.choice(("none", "none", "1s"))}


def events(luck: Luck, used: Sequence[str]) -> list[Data]:
    """What happens to somebody, once each, and now and then again and again."""
    drawn: list[Data] = []
    for _ in range(luck.choice((0, 1, 1, 2, 3)) if luck.nasty(0.8) else 0):
        kind = luck.choice(_EVENTS)
        if kind == "close":
            drawn.append({"at": luck.late(), "close": {}})
        elif luck.likely(0.4):
            drawn.append({"at": luck.instant(), **_happening(luck, kind, used)})
        elif luck.likely(0.2):
            often = luck.span(500, 9000) if luck.temper.grid else {"uniform": {"from": "20ms", "to": "12s"}}
            drawn.append({"every": often, **_happening(luck, kind, used)})
        else:
            drawn += [{"at": luck.instant(), **_happening(luck, kind, used)} for _ in range(luck.whole(2, 4))]
    return drawn


def _happening(luck: Luck, kind: str, used: Sequence[str]) -> Data:
    if kind == "change":
        return {"change": {"preferred_lang": luck.choice((*used, *LANGUAGES, "none"))}}
    return {kind: {"for": luck.span(0, luck.choice((200, 2000, 6000)))} if luck.likely(0.9) else {}}


def link(luck: Luck) -> Data:
    """A random way between a kind of peer and the scheduler."""
    if luck.temper.grid:
        return luck.choice(({}, {"delay": "10ms"}, {"up": "0s", "down": "20ms"}))
    slow_tail = {"empirical": [*(luck.span(1, 60) for _ in range(19)), luck.span(1000, 5000)]}
    return luck.choice(
        (
            {},
            {"delay": "5ms"},
            {"delay": {"uniform": {"from": "1ms", "to": "90ms"}}},
            {"delay": slow_tail},
            {"up": {"uniform": {"from": "0s", "to": "1500ms"}}, "down": "1ms"},
            {"up": "3ms", "down": {"exponential": {"mean": "300ms"}} if luck.likely(0.2) else slow_tail},
        )
    )


def seconds(luck: Luck) -> str:
    """How long people speak, as a file says it."""
    return format_duration(luck.temper.duration)
