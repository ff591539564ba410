"""``simroom measures``: what can be measured and expected, by name."""

from __future__ import annotations

import sys
from typing import Any

from msgspec import Struct
from rich.console import RenderableType
from rich.text import Text

from simroom.cli import exits
from simroom.report.console import console, say, write
from simroom.scenario.nearest import nearest
from simroom.scenario.printable import quoted
from simroom.study.measures import MEASURES, TAG_MEANINGS, Measure
from simroom.study.summary import dumps


class Options(Struct, frozen=True):
    """What was asked for.

    Attributes:
        names: Measures, or beginnings of their names; empty: all.
        as_json: Print JSON to stdout, and nothing else there.
        colour: Whether colours may be used.
    """

    names: tuple[str, ...] = ()
    as_json: bool = False
    colour: bool = True


def measures(options: Options) -> int:
    """Print measures.

    Returns:
        The exit code.

    Raises:
        StopError: There is no such measure.
    """
    chosen = _chosen(options.names)
    if options.as_json:
        write(sys.stdout, dumps({"schema_version": 1, "measures": [_content(each) for each in chosen]}))
        return exits.PASSED
    parts: list[RenderableType] = []
    for each in chosen:
        parts += _words(each)
    tags = dict.fromkeys(tag for each in chosen for tag in each.tags)
    if tags:
        parts.append(Text("selectors", style="bold"))
        parts += [Text(f"  {tag}: {TAG_MEANINGS[tag]}") for tag in tags]
    say(console(sys.stdout, colour=options.colour), parts)
    return exits.PASSED


def _chosen(names: tuple[str, ...]) -> list[Measure]:
    if not names:
        return list(MEASURES.values())
    for name in names:
        if not any(known == name or known.startswith(f"{name}.") for known in MEASURES):
            like = nearest(name, list(MEASURES))
            hint = f"; did you mean {like}?" if like else ""
            raise exits.StopError(f"there is no measure {quoted(name)}{hint}", exits.INVALID)
    return [each for known, each in MEASURES.items() if any(known == n or known.startswith(f"{n}.") for n in names)]


def _words(measure: Measure) -> list[RenderableType]:
    stats = ", ".join(f".{stat}" for stat in measure.stats) or "one value"
    tags = "{" + ", ".join(measure.tags) + "}" if measure.tags else "no selectors"
    return [
        Text(f"{measure.name}", style="bold").append(f"  {measure.unit}", "dim"),
        Text(f"  {measure.formula}"),
        Text(f"  {stats} · {tags}", style="dim"),
    ]


def _content(measure: Measure) -> dict[str, Any]:
    return {
        "name": measure.name,
        "unit": measure.unit,
        "formula": measure.formula,
        "statistics": list(measure.stats),
        "selectors": list(measure.tags),
    }
