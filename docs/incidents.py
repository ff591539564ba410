"""Writes into incidents.md and cases.md what the runs of their scenarios print, so that no number there is made up.

    python docs/incidents.py            write them
    python docs/incidents.py --check    say which are out of date, and exit with 1 if any is

A part stands in its page between ``<!-- printed: incidents/NAME -->`` (or ``cases/NAME``) and ``<!-- end -->``. It is
what ``simroom run`` says of that scenario, less what takes room or differs from machine to machine: how long it took,
the table of latencies, the nodes, the files.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.console import Console, Group

from simroom.report.terminal import report
from simroom.scenario.load import load
from simroom.sim.run import simulate
from simroom.study.conclusion import conclude
from simroom.study.expect import read_all
from simroom.study.summary import Source, Timing
from simroom.study.table import Table

DOCS: Final = Path(__file__).resolve().parent
SCENARIOS: Final = DOCS.parent / "scenarios"
PAGES: Final = (DOCS / "incidents.md", DOCS / "cases.md")
WIDTH: Final = 96
KEPT: Final = ("Fan-out", "Faults", "Jobs", "Expectations")
"""What is shown of the lower parts of the report, by its labels."""
BRIEF: Final = ("Expectations",)
"""What is shown where the run is only there to be compared with."""
BREACHES_SHOWN: Final = 2

_PART: Final = re.compile(r"(<!-- printed: ([a-z]+/[a-z0-9-]+)( briefly)? -->\n).*?(<!-- end -->)", re.DOTALL)
_TIMING: Final = re.compile(r"\s+in\s+\d+\.\d\s+s\s+\([\d,]+\u00d7\)")
_LABEL: Final = re.compile(r" ([A-Z][a-z-]+)(?= |$)")
_JUDGED: Final = re.compile(r"\s+\d+ invariants?,")


def printed(name: str, *, briefly: bool = False) -> str:
    """What running a scenario prints, as a block of Markdown.

    Args:
        name: Its path under ``scenarios/``, without ``.yaml``.
        briefly: The verdict and the expectations only.
    """
    file = SCENARIOS / f"{name}.yaml"
    scenario = load(file)
    ran = simulate(scenario)
    table = Table(ran)
    parts = report(
        table,
        conclude(table, read_all(scenario.expect)[0]),
        Source(name=scenario.name, file=file.name, hash=scenario.digest),
        Timing(wall_seconds=1, cpu_seconds=1, simulated_time=0, events=0),
    )
    text = io.StringIO()
    Console(file=text, width=WIDTH, color_system=None, highlight=False).print(Group(*parts))
    lines = [line.rstrip() for line in _TIMING.sub("", text.getvalue()).splitlines()]
    told = _told_briefly(lines) if briefly else _told(lines, ran.verdict.violation_count)
    return "\n".join(["```text", f"$ simroom run scenarios/{name}.yaml", *told, "```"])


def _told(lines: list[str], breach_count: int) -> Iterator[str]:
    """The verdict, the first breaches, what became of jobs and deliveries, and the expectations."""
    _, verdict, *rest = _sections(lines)
    yield from verdict
    if breach_count:
        yield from _breaches(rest.pop(0), breach_count)
    for section in rest:
        yield from _rows(section, KEPT)


def _told_briefly(lines: list[str]) -> Iterator[str]:
    _, verdict, *rest = _sections(lines)
    yield from verdict
    for section in rest:
        yield from _rows(section, BRIEF)


def _sections(lines: list[str]) -> list[list[str]]:
    """The report in parts, which an empty line divides; it begins with one."""
    sections: list[list[str]] = [[]]
    for line in lines:
        if line:
            sections[-1].append(line)
        else:
            sections.append([])
    return sections


def _breaches(section: list[str], count: int) -> Iterator[str]:
    """The first ones, each of which begins three columns from the left edge."""
    begun = 0
    for line in section:
        begun += not line.startswith(4 * " ")
        if begun > BREACHES_SHOWN:
            yield f"   and {count - BREACHES_SHOWN:,} more"
            return
        yield line


def _rows(section: list[str], kept: tuple[str, ...]) -> Iterator[str]:
    """The rows with these labels. A label begins one column from the left edge; what belongs to it, further in."""
    shown = False
    for line in section:
        label = _LABEL.match(line)
        if label is not None:
            shown = label[1] in kept
        elif _JUDGED.match(line):
            shown = False  # how often each was judged is for those who build oracles
        if shown:
            yield line


def filled(text: str, show: Callable[..., str] = printed) -> str:
    """A page with its printed parts as they should be."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{show(match[2], briefly=match[3] is not None)}\n\n{match[4]}"

    return _PART.sub(fill, text)


def wanted() -> dict[Path, str]:
    """Both pages, as they should be."""
    return {page: filled(page.read_text(encoding="utf-8")) for page in PAGES}


def shown_in(page: Path) -> list[str]:
    """The scenarios whose runs a page shows, in its order."""
    return [match[2] for match in _PART.finditer(page.read_text(encoding="utf-8"))]


def main(arguments: list[str]) -> int:
    """Write, or check."""
    stale = {page: text for page, text in wanted().items() if page.read_text(encoding="utf-8") != text}
    if "--check" in arguments:
        sys.stderr.writelines(f"{page.name} is out of date: run python docs/incidents.py\n" for page in stale)
        return 1 if stale else 0
    for page, text in stale.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
