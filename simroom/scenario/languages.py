"""Which translations a scenario can ask for: the pairs that a node has by default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from simroom.scenario.fields import AUTO

if TYPE_CHECKING:
    from simroom.scenario.faults import Happening
    from simroom.scenario.nodes import NodeGroup
    from simroom.scenario.people import Speaker
    from simroom.scenario.schema import Scenario

Pair = tuple[str, str]

_SCRIPT_LENGTH: Final = 4
_REGION_LENGTH: Final = 2


def canonical(tag: str, *, primary: bool = False) -> str:
    """A language tag in the casing of BCP 47: ``zh-hans-cn`` becomes ``zh-Hans-CN``.

    Args:
        tag: A tag in any casing.
        primary: Keep the primary subtag only.
    """
    subtags = tag.split("-")
    result = [subtags[0].lower()]
    for subtag in [] if primary else subtags[1:]:
        if len(result[-1]) == 1:
            result.append(subtag.lower())
        elif len(subtag) == _SCRIPT_LENGTH and subtag.isalpha():
            result.append(subtag.title())
        elif len(subtag) == _REGION_LENGTH and subtag.isalpha():
            result.append(subtag.upper())
        else:
            result.append(subtag.lower())
    return "-".join(result)


def needed_pairs(scenario: Scenario) -> tuple[Pair, ...]:
    """Every pair of different languages that a job of the scenario can have, canonical, in ascending order.

    A source of ``auto`` may be any of the session's ``auto_langs``, or, without these, any language of the scenario.
    """
    primary = scenario.scheduler.settings().language_match == "primary"
    chosen = chosen_languages([*scenario.faults, *scenario.script])
    wanted: list[tuple[str, Sequence[str] | None, list[str]]] = []
    for room in scenario.rooms:
        people = [*(room.speakers or {}).values(), *room.members]
        targets = [*chosen, *(language for person in people for language in _wanted_by(person))]
        wanted += [(person.speaks, person.auto_langs, [*targets, person.tgt_lang]) for person in people]
    wanted += [(group.src_lang, group.auto_langs, [group.tgt_lang]) for group in scenario.sessions]
    everywhere = [source for source, _, _ in wanted if source != AUTO]
    everywhere += [target for _, _, targets in wanted for target in targets]
    pairs: dict[Pair, None] = {}
    for source, auto_langs, targets in wanted:
        sources = (auto_langs or everywhere) if source == AUTO else (source,)
        pairs.update(dict.fromkeys(_crossed(sources, targets, primary=primary)))
    return tuple(sorted(pairs))


def pairs_of(scenario: Scenario, node: NodeGroup) -> tuple[Pair, ...]:
    """The pairs that such a node translates, canonical, in ascending order."""
    primary = scenario.scheduler.settings().language_match == "primary"
    if node.pairs is not None:
        pairs = [pair.split(">") for pair in node.pairs]
        tags = [(canonical(source, primary=primary), canonical(target, primary=primary)) for source, target in pairs]
        return tuple(sorted(dict.fromkeys(tags)))
    if node.languages is not None:
        return tuple(sorted(dict.fromkeys(_crossed(node.languages, node.languages, primary=primary))))
    return needed_pairs(scenario)


def chosen_languages(happenings: Iterable[Happening]) -> list[str]:
    """The languages that faults, or lines of a script, have members choose."""
    chosen = [one.change.preferred_lang for one in happenings if one.change is not None]
    return [language for language in chosen if language is not None]


def _wanted_by(person: Speaker) -> list[str]:
    """Every language in which a person ever wants to hear the others."""
    languages = [person.preferred_lang, *(event.change.preferred_lang for event in person.events if event.change)]
    return [language for language in languages if language is not None]


def _crossed(sources: Iterable[str], targets: Iterable[str], *, primary: bool) -> Iterable[Pair]:
    tags = [canonical(target, primary=primary) for target in targets]
    for source in sources:
        tag = canonical(source, primary=primary)
        for target in tags:
            if target != tag:
                yield tag, target
