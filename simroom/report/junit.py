"""A check as JUnit XML: a suite for each scenario, a case for each thing that was judged.

Names of cases hold no measured value, so that they are the same in every run; values are in the messages. Whatever a
name in a scenario holds, the file stays well-formed XML 1.0, with no character in it that XML does not have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from simroom import __version__
from simroom.report.check import command_line
from simroom.scenario.printable import printable
from simroom.study.checked import Case, Checked

_LENGTH_MAX: Final = 8_000
"""Characters of one message: readers keep them in columns of databases."""


def junit(checked: Sequence[Checked]) -> bytes:
    """The whole file, in UTF-8.

    Args:
        checked: The scenarios, in the order in which they are to stand.
    """
    root = Element("testsuites", name="simroom check")
    counts = [_suite(root, one) for one in checked]
    for place, key in enumerate(("tests", "failures", "errors", "skipped")):
        root.set(key, str(sum(one[place] for one in counts)))
    root.set("time", f"{sum(one.wall_seconds for one in checked):.3f}")
    indent(root)
    text: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _suite(root: Element, one: Checked) -> tuple[int, int, int, int]:
    """Add a scenario; returns how many cases it has, how many of them failed, could not be judged, were not run."""
    path = _text(one.path.as_posix())
    suite = SubElement(root, "testsuite", name=path)
    cases = one.cases or (Case("run completed", "error", kind="run"),)
    skipped = one.word == "not_run"
    failed = sum(case.word == "failed" for case in cases)
    errors = 0 if skipped else sum(case.word in ("error", "inconclusive") for case in cases)
    numbers = (len(cases), failed, errors, len(cases) if skipped else 0)
    for key, number in zip(("tests", "failures", "errors", "skipped"), numbers, strict=True):
        suite.set(key, str(number))
    suite.set("time", f"{one.wall_seconds:.3f}")
    suite.set("file", path)
    properties = SubElement(suite, "properties")
    for key, value in _properties(one):
        SubElement(properties, "property", name=key, value=value)
    for position, case in enumerate(cases):
        # All of the time is the run's; the expectations are judged in no time.
        seconds = one.wall_seconds if position == 0 else 0.0
        element = SubElement(suite, "testcase", name=_text(case.name), classname=path, time=f"{seconds:.3f}", file=path)
        if case.line is not None:
            element.set("line", str(case.line))
        if skipped:
            SubElement(element, "skipped", message="not run")
        elif case.word != "passed":
            _bad(element, one, case)
    return numbers


def _properties(one: Checked) -> list[tuple[str, str]]:
    found = [("simroom", __version__), ("verdict", one.word)]
    if one.name is not None:
        found.append(("scenario", _text(one.name)))
    if one.digest is not None:
        found.append(("hash", one.digest))
    found += [("seed", str(seed)) for seed in one.seeds]
    found += [("tag", _text(tag)) for tag in one.tags]
    for replication in one.replications[:1]:
        found.append(("trace_hash", replication.trace_hash))
    return found


def _bad(element: Element, one: Checked, case: Case) -> None:
    """What is wrong. What is inconclusive is an error: readers know only these, and it has not passed."""
    kind = "failure" if case.word == "failed" else "error"
    what = _text(case.what)
    # With the attribute first, as readers show it; the text tells the whole.
    inner = SubElement(element, kind, message=what, type=case.word if case.word != "failed" else case.kind)
    place = one.path.as_posix() if case.line is None else f"{one.path.as_posix()}:{case.line}"
    lines = [f"{case.name}: {case.what}", *case.details, place]
    command = command_line(case.following)
    if command is not None:
        lines.append(command)
    inner.text = "\n".join(_text(line) for line in lines)


def _text(text: str) -> str:
    """What XML 1.0 can hold: everything else is written as an escape that one can read."""
    shown = printable(text)
    return shown if len(shown) <= _LENGTH_MAX else shown[: _LENGTH_MAX - 1] + "…"
