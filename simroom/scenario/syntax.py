"""What the YAML parser says of broken syntax, in words that say what to do."""

from __future__ import annotations

import re
from typing import Any, Final

from ruamel.yaml.error import MarkedYAMLError

from simroom.scenario.printable import shortened

_QUOTES: Final = "quotes around text that holds or begins with it"

_TABLE: Final[tuple[tuple[str, str, str], ...]] = (
    (r"found character '\\t'", "a tab", "spaces for indentation"),
    (r"found character '(.)' that cannot start", r"the character \1 at the start of a value", _QUOTES),
    (
        r"mapping values are not allowed",
        "a second `: ` where a value goes on",
        "one `key: value` a line, indented as its neighbours, or " + _QUOTES,
    ),
    (r"could not find expected ':'", "a line without `:`", "`key: value`"),
    (r"unknown escape character '(.)'", r"the unknown escape \\\1", 'an escape that YAML knows, or \\\\ for a "\\"'),
    (r"expected escape sequence of", "an escape with too few digits", "as many hexadecimal digits as the escape needs"),
    (r"unexpected end of stream", "quotes that are never closed", "the closing quote"),
    (r"unexpected document separator", "`---` inside quotes", "the closing quote before it"),
    (r"expected ',' or '([\]}])'", r"a bracket that is never closed, or a comma missing", r"`,` or `\1`"),
    (r"but found '<stream end>'", "the end of the file inside a bracket", "the closing bracket"),
    (r"expected the node content", "no value", "a value"),
    (
        r"expected <block end>, but found '-'",
        "an item `-` here",
        "a key, or an item indented as the others of its list",
    ),
    (
        r"expected <block end>",
        "a line whose indentation fits nothing before it",
        "keys of one mapping, and items of one list, at the same indentation",
    ),
    (r"incompatible YAML document", "another version of YAML", "%YAML 1.2, or no such line"),
    (r"duplicate YAML directive", "a second %YAML line", "one, or none"),
    (r"expected '<document start>'", "more after the end of the document", "one document, with one mapping"),
    (r"undefined tag handle|expected URI|tag", "a tag", "values alone; tags are not used here"),
    (r"alias|anchor", "an anchor or alias", "the value itself; anchors are not used here"),
    (r"chomping or indentation|indentation indicator", "a block text with an odd heading", "`|` or `>` alone"),
)


def reworded(error: MarkedYAMLError) -> tuple[str, str, Any]:
    """What was found, what was expected, and the parser's mark of the place (None where it has none)."""
    said = error.problem or error.context or "broken syntax"
    mark = error.problem_mark or error.context_mark
    for pattern, found, expected in _TABLE:
        match = re.search(pattern, said)
        if match is not None:
            began = "never closed" in found or "without `:`" in found
            place = error.context_mark if began and error.context_mark is not None else mark
            return match.expand(found), match.expand(expected), place
    return f"broken YAML ({shortened(said, 100)})", "YAML 1.2", mark
